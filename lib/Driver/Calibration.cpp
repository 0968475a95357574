// One layer at a time: what goes in is kept for all sequences, the layer runs
// as the model has it to be observed, its weights are quantized, and it runs
// again to make what the next layer reads.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/Calibration.h"
#include "dialects/QOpt/QOptOps.h"
#include "lib/Calibrate/SecondMoment.h"
#include "lib/Codegen/TemporaryFolder.h"
#include "lib/Driver/HostFunction.h"
#include "lib/Driver/WeightCalibration.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/PassManager.h"
#include "passes/Calibrate/Passes.h"
#include "passes/Pipelines.h"
#include "llvm/Support/MemoryBuffer.h"
#include <map>
#include <numeric>
#include <thread>

using namespace mlir;

namespace qopt::driver {

namespace {

/// Every eighth sequence is held out: rounding does not see it, the choice
/// between candidates does.
constexpr int64_t heldOutEvery = 8;

class Calibrator {
public:
  Calibrator(ModuleOp reference, const calibrate::CalibrationTokens &tokens,
             const CompileOptions &options, const Progress &progress)
      : module(reference.clone()), tokens(tokens), options(options),
        progress(progress), folder("qopt-calibrate"),
        threads(options.threads ? options.threads
                                : std::thread::hardware_concurrency()) {}

  Status run() {
    QOPT_RETURN_IF_ERROR(folder.made());
    PassManager manager(module->getContext());
    passes::addCalibrateStage(manager);
    if (failed(manager.run(*module)))
      return Status(StatusCode::Internal, "the model could not be cut into "
                                          "layers");
    auto segments = llvm::to_vector(module->getOps<func::FuncOp>());
    for (auto [index, segment] : llvm::enumerate(segments)) {
      if (progress)
        progress("calibrating", double(index) / double(segments.size()));
      QOPT_RETURN_IF_ERROR(calibrateSegment(segment));
    }
    return Status();
  }

  const std::map<std::string, StoredWeight> &weights() const { return stored; }

private:
  Status calibrateSegment(func::FuncOp segment) {
    Observations observed;
    {
      OwningOpRef<func::FuncOp> plain = segment.clone();
      readSources(*plain);
      QOPT_RETURN_IF_ERROR(observe(*plain, observed));
    }
    QOPT_RETURN_IF_ERROR(quantizeAll(segment, observed));
    if (segment->getNextNode() == nullptr)
      return Status(); // nobody reads what the last one makes
    replaceWeights(segment, stored);
    return advance(segment);
  }

  /// The inputs of a segment for one sequence.
  std::vector<TensorView> inputsOf(func::FuncOp segment, int64_t window) {
    std::vector<TensorView> inputs;
    for (unsigned i = 0; i < segment.getNumArguments(); ++i) {
      std::string name =
          segment.getArgAttrOfType<StringAttr>(i, "qopt.name").str();
      if (name == "hidden") {
        inputs.push_back(hidden[size_t(window)].view());
      } else {
        auto ids = name == "positions" ? std::span<const int32_t>(positions())
                                       : tokens[window];
        inputs.push_back({name,
                          DType::I32,
                          {int64_t(ids.size())},
                          const_cast<int32_t *>(ids.data())});
      }
      inputs.back().name = name;
    }
    return inputs;
  }

  const std::vector<int32_t> &positions() {
    if (places.empty()) {
      places.resize(size_t(tokens.length()));
      std::iota(places.begin(), places.end(), 0);
    }
    return places;
  }

  /// Runs the segment on every sequence.
  template <typename Each>
  Status forWindows(func::FuncOp segment, const Each &each) {
    auto function =
        HostFunction::compile(segment, options, std::string(folder.path));
    if (!function.ok())
      return function.status();
    for (int64_t window = 0; window < tokens.count(); ++window) {
      auto results = function->run(inputsOf(segment, window));
      if (!results.ok())
        return results.status();
      each(window, *results);
    }
    return Status();
  }

  Status observe(func::FuncOp segment, Observations &observed) {
    std::vector<std::pair<unsigned, Observation *>> sums;
    for (unsigned i = 0; i < segment.getNumResults(); ++i) {
      auto observation = segment.getResultAttrOfType<ir::ObservationAttr>(
          i, "qopt.observation");
      if (!observation)
        continue;
      auto type = cast<RankedTensorType>(segment.getResultTypes()[i]);
      observed.tensors.push_back(
          std::make_unique<Observation>(type.getShape().back()));
      sums.emplace_back(i, observed.tensors.back().get());
      for (auto name : observation.getOf().getAsRange<StringAttr>())
        observed.ofWeight[name.str()] = observed.tensors.back().get();
    }
    if (sums.empty())
      return Status();
    return forWindows(segment, [&](int64_t window,
                                   const std::vector<Tensor> &results) {
      bool isHeldOut = window % heldOutEvery == heldOutEvery - 1;
      for (auto &[index, observation] : sums) {
        const Tensor &x = results[index];
        auto &moment = isHeldOut ? observation->heldOut : observation->moment;
        moment.add(x.as<float>(), x.elements() / moment.size(), nullptr,
                   threads);
      }
    });
  }

  Status quantizeAll(func::FuncOp segment, const Observations &observed) {
    SmallVector<ir::QuantizeWeightOp> ops;
    segment.walk([&](ir::QuantizeWeightOp op) { ops.push_back(op); });
    for (ir::QuantizeWeightOp op : ops) {
      std::string name = weightKey(op);
      if (name.empty() || stored.count(name))
        continue;
      auto codes = quantizeWeight(op, observed, threads);
      if (!codes.ok())
        return codes.status();
      if (*codes)
        stored.emplace(name, std::move(**codes));
    }
    return Status();
  }

  /// Runs the segment as it will be, which makes the next one's input.
  Status advance(func::FuncOp segment) {
    std::vector<Tensor> next(static_cast<size_t>(tokens.count()));
    QOPT_RETURN_IF_ERROR(forWindows(
        segment, [&](int64_t window, const std::vector<Tensor> &results) {
          next[size_t(window)] = results.front();
        }));
    hidden = std::move(next);
    return Status();
  }

  OwningOpRef<ModuleOp> module;
  const calibrate::CalibrationTokens &tokens;
  const CompileOptions &options;
  const Progress &progress;
  codegen::TemporaryFolder folder;
  unsigned threads;
  std::vector<int32_t> places;
  std::vector<Tensor> hidden; ///< [T, features] of each sequence
  std::map<std::string, StoredWeight> stored;
};

} // namespace

StatusOr<calibrate::CalibrationTokens>
readCalibrationText(ModuleOp module, const CompileOptions &options,
                    const Companions &companions) {
  func::FuncOp step;
  for (auto func : module.getOps<func::FuncOp>())
    if (func->hasAttr("qopt.decoder"))
      step = func;
  if (!step)
    return Status(StatusCode::Unsupported,
                  "--calibrate is given, but the model is no decoder of text");
  if (companions.tokenizer.empty())
    return Status(StatusCode::InvalidArgument,
                  "--calibrate is text, but no tokenizer.json is beside the "
                  "model; give it as --tokenizer");
  auto tokenizer = Tokenizer::create(companions.tokenizer);
  if (!tokenizer.ok())
    return tokenizer.status();
  auto text = llvm::MemoryBuffer::getFile(options.calibrate);
  if (!text)
    return Status(StatusCode::NotFound, "--calibrate: cannot read \"" +
                                            options.calibrate +
                                            "\": " + text.getError().message());
  calibrate::WindowLimits limits;
  limits.vocabulary =
      cast<RankedTensorType>(step.getResultTypes()[0]).getDimSize(1);
  if (companions.context)
    limits.length = std::min(limits.length, companions.context);
  return calibrate::CalibrationTokens::ofText(
      (*text)->getBuffer().str(), options.calibrate, *tokenizer, limits);
}

Status calibrateWeights(ModuleOp module, ModuleOp reference,
                        const calibrate::CalibrationTokens &tokens,
                        const CompileOptions &options,
                        const Progress &progress) {
  Calibrator calibrator(reference, tokens, options, progress);
  QOPT_RETURN_IF_ERROR(calibrator.run());
  replaceWeights(module, calibrator.weights());
  return Status();
}

} // namespace qopt::driver
