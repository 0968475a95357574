// One layer at a time: what goes in is kept for all sequences, the layer runs
// as the model has it to be observed, its weights are quantized, and it runs
// again to make what the next layer reads.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/Calibration.h"
#include "dialects/QOpt/QOptOps.h"
#include "lib/Driver/Observations.h"
#include "lib/Driver/WeightCalibration.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "runtime/Sha256.h"
#include "llvm/Support/MemoryBuffer.h"
#include <map>

using namespace mlir;

namespace qopt::driver {

namespace {

class Calibrator {
public:
  Calibrator(CalibrationModel &model, const Curvature &curvature,
             const CalibrationOptions &options, const Progress &progress,
             PrecisionPlan &plan)
      : model(model), curvature(curvature), options(options),
        progress(progress), plan(plan) {}

  Status run() {
    for (size_t i = 0; i < model.segments().size(); ++i) {
      if (progress)
        progress("quantizing", double(i) / double(model.segments().size()));
      QOPT_RETURN_IF_ERROR(calibrateSegment(i));
    }
    return Status();
  }

  const std::map<std::string, StoredWeight> &weights() const { return stored; }

private:
  Status calibrateSegment(size_t index) {
    auto observed = Observations::take(model, index, hidden, curvature);
    if (!observed.ok())
      return observed.status();
    func::FuncOp segment = model.segments()[index];
    QOPT_RETURN_IF_ERROR(quantizeAll(segment, *observed));
    if (index + 1 == model.segments().size())
      return Status(); // nobody reads what the last one makes
    replaceWeights(segment, stored);
    auto next = model.advance(segment, hidden);
    if (!next.ok())
      return next.status();
    hidden = std::move(*next);
    return Status();
  }

  Status quantizeAll(func::FuncOp segment, const Observations &observed) {
    SmallVector<ir::QuantizeWeightOp> ops;
    segment.walk([&](ir::QuantizeWeightOp op) { ops.push_back(op); });
    for (ir::QuantizeWeightOp op : ops) {
      std::string name = weightKey(op);
      if (name.empty() || stored.count(name))
        continue;
      quant::Format format = op.getType().getFormat();
      if (format.isFloat())
        continue; // as it is written
      PlannedWeight *planned = plan.find(weightNameOf(op.getSource()));
      bool isPlanned =
          options.usePlanned && planned && !planned->chosen.algorithm.empty();
      auto rounder = WeightRounder::create(
          op, observed,
          {isPlanned ? planned->chosen.algorithm : options.algorithm,
           model.threads()});
      if (!rounder.ok())
        return rounder.status();
      if (!*rounder)
        continue;
      auto rounded = (*rounder)->round(format);
      if (!rounded.ok())
        return rounded.status();
      stored.emplace(name, std::move(rounded->weight));
      if (!planned)
        continue;
      planned->chosen.algorithm = rounded->algorithm;
      if (planned->alternatives.empty()) // else it has a better estimate
        planned->chosen.divergence = rounded->divergence;
    }
    return Status();
  }

  CalibrationModel &model;
  const Curvature &curvature;
  const CalibrationOptions &options;
  const Progress &progress;
  PrecisionPlan &plan;
  calibrate::TokenStates hidden; ///< what the segment reads
  std::map<std::string, StoredWeight> stored;
};

} // namespace

StatusOr<CalibrationText> readCalibrationText(ModuleOp module,
                                              const CompileOptions &options,
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
  limits.most = std::max<int64_t>(options.calibrateTokens / limits.length, 1);
  StringRef bytes = (*text)->getBuffer();
  auto tokens = calibrate::CalibrationTokens::ofText(
      bytes.str(), options.calibrate, *tokenizer, limits);
  if (!tokens.ok())
    return tokens.status();
  return CalibrationText{
      std::move(*tokens),
      {options.calibrate,
       runtime::spell(runtime::Sha256::of(bytes.data(), bytes.size())),
       options.calibrateTokens, options.algorithm}};
}

Status calibrateWeights(ModuleOp module, CalibrationModel &model,
                        const Curvature &curvature,
                        const CalibrationOptions &options,
                        const Progress &progress, PrecisionPlan &plan) {
  Calibrator calibrator(model, curvature, options, progress, plan);
  QOPT_RETURN_IF_ERROR(calibrator.run());
  replaceWeights(module, calibrator.weights());
  return Status();
}

} // namespace qopt::driver
