// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/Blame.h"
#include "lib/Driver/HostModels.h"
#include "lib/Driver/StageOptions.h"
#include "lib/Driver/WeightCalibration.h"
#include "lib/Evaluate/Evaluation.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/PassManager.h"
#include "passes/Pipelines.h"
#include "llvm/ADT/STLExtras.h"
#include <cmath>
#include <map>
#include <set>
#include <tuple>

using namespace mlir;

namespace qopt::driver {

/// Tokens of a step of the second run, whose distance is the floor.
constexpr int64_t floorStep = 16;
/// Of the reference's logits, which are computed again where there are more.
constexpr size_t mostLogitBytes = size_t(1) << 29;

Blame::Blame(ModuleOp raised, const CompileOptions &chosen,
             const Companions &companions, TokenWindows windows,
             std::optional<ValidationSamples> samples)
    : raised(raised), device(measuredOn(chosen)),
      options(chosen.target == TargetDevice::Host ? chosen : onHost(chosen)),
      companions(companions), windows(std::move(windows)),
      samples(std::move(samples)) {}

/// What all names begin with, up to a separator: "model.layers.3"; where there
/// is no such, the first and the last.
static std::string commonName(ArrayRef<std::string> names) {
  StringRef prefix = names.front();
  if (names.size() == 1)
    return prefix.str();
  for (StringRef name : names) {
    size_t same = 0;
    while (same < std::min(prefix.size(), name.size()) &&
           prefix[same] == name[same])
      ++same;
    prefix = prefix.take_front(same);
  }
  size_t end = prefix.find_last_of("./");
  return end == StringRef::npos || end == 0
             ? names.front() + " to " + names.back()
             : prefix.take_front(end).str();
}

/// Formats are given to weights by name, so that uses of one weight agree.
static Status checkUses(ModuleOp quantized) {
  std::map<std::string, std::string> formats;
  Status status;
  quantized.walk([&](ir::WeightUserOpInterface user) {
    Value value = user.getWeightOperand().get();
    std::string format =
        quant::spell(cast<ir::WeightType>(value.getType()).getFormat());
    if (auto op = value.getDefiningOp<ir::QuantizeWeightOp>())
      value = op.getSource();
    std::string name = weightNameOf(value);
    auto [known, isNew] = formats.emplace(name, format);
    if (!isNew && known->second != format)
      status =
          Status(StatusCode::Unsupported,
                 "--blame: the weight \"" + name + "\" is stored twice, in " +
                     known->second + " and in " + format +
                     "; expected one format for all its uses (leave "
                     "--embedding out)");
  });
  return status;
}

Status Blame::findLayers() {
  // With the weights' formats and no others: as calibration cuts models.
  passes::AskedFormats formats = askedFormats(options);
  formats.type = formats.activations = formats.widest = "f32";
  auto module = quantizedModel(raised, formats);
  if (!module.ok())
    return module.status();
  QOPT_RETURN_IF_ERROR(checkUses(**module));
  PassManager manager(raised.getContext());
  passes::addCalibrateStage(manager);
  if (failed(manager.run(**module)))
    return Status(StatusCode::Internal,
                  "the model could not be cut into layers");
  std::set<std::string> seen; // a tied weight belongs to the first layer
  for (auto function : (*module)->getOps<func::FuncOp>()) {
    LayerBlame layer;
    for (ir::QuantizeWeightOp op : quantizedWeights(function)) {
      std::string name = weightNameOf(op.getSource());
      if (!name.empty() && seen.insert(name).second) {
        layer.weights.push_back(name);
        layer.formats.push_back(quant::spell(op.getType().getFormat()));
      }
    }
    if (!layer.weights.empty()) {
      layer.name = commonName(layer.weights);
      layer.place = int64_t(layers.size());
      layers.push_back(std::move(layer));
    }
  }
  if (layers.empty())
    return Status(StatusCode::InvalidArgument,
                  "no weight of the model is quantized, and no layer to blame; "
                  "give formats as --weights, --bits or --plan");
  return Status();
}

StatusOr<OwningOpRef<ModuleOp>> Blame::restored(ArrayRef<std::string> weights,
                                                ModuleOp quantized) const {
  // By name, as a plan says it: an option for a kind of weights, or a pattern,
  // would be one without effect where all that it means is restored.
  CompileOptions own = options;
  own.weights = own.lmHead = own.embedding = "";
  own.formats.clear();
  for (const LayerBlame &layer : layers)
    for (const auto &[name, format] : llvm::zip(layer.weights, layer.formats))
      if (!llvm::is_contained(weights, name))
        own.formats.push_back(name + "=" + format);
  auto model = quantizedModel(raised, askedFormats(own));
  if (model.ok())
    takeCodes(**model, quantized);
  return model;
}

StatusOr<Blame::Distance> Blame::distanceOf(ModuleOp model,
                                            eval::ReferenceLogits &reference,
                                            Floor floor) const {
  auto engine = engineOf(model, options, companions);
  if (!engine.ok())
    return engine.status();
  eval::EvaluationInputs inputs{windows};
  inputs.reference = &reference;
  inputs.threads = int(options.threads);
  inputs.floorChunk = floor == Floor::With ? floorStep : 0;
  auto found = eval::evaluate(**engine, inputs);
  if (!found.ok())
    return found.status();
  const eval::Figures &figures = found->all.figures;
  return Distance{
      figures.agreement->divergence.value, std::exp(figures.model.nll.value),
      found->all.floor ? found->all.floor->agreement->divergence.value : 0};
}

StatusOr<Blame::Distance> Blame::distanceOf(ModuleOp model,
                                            Session &reference) const {
  auto session = sessionOf(model, options, companions);
  if (!session.ok())
    return session.status();
  eval::GraphInputs inputs;
  inputs.samples = samples->count();
  inputs.model = samples->run(**session);
  inputs.reference = samples->run(reference);
  auto found = eval::evaluate(inputs);
  if (!found.ok())
    return found.status();
  return Distance{found->all.loss(), 0, 0, found->all.size()};
}

StatusOr<BlameSummary> Blame::measure(ModuleOp quantized,
                                      const Progress &progress) {
  QOPT_RETURN_IF_ERROR(findLayers());
  auto unquantized = quantizedModel(raised, unquantizedFormats());
  if (!unquantized.ok())
    return unquantized.status();
  if (samples) {
    auto reference = sessionOf(**unquantized, options, companions);
    if (!reference.ok())
      return reference.status();
    return measureWith(
        [&](ModuleOp model, Floor) { return distanceOf(model, **reference); },
        quantized, progress);
  }
  auto reference = engineOf(**unquantized, options, companions);
  if (!reference.ok())
    return reference.status();
  eval::EngineLogits computed(**reference, windows);
  eval::KeptLogits logits(computed, mostLogitBytes);
  return measureWith(
      [&](ModuleOp model, Floor floor) {
        return distanceOf(model, logits, floor);
      },
      quantized, progress);
}

StatusOr<BlameSummary> Blame::measureWith(const Measure &measure,
                                          ModuleOp quantized,
                                          const Progress &progress) {
  size_t done = 0;
  auto distance = [&](ArrayRef<std::string> weights,
                      Floor floor) -> StatusOr<Distance> {
    if (progress)
      progress("restoring layers",
               double(done++) / double(2 * layers.size() + 1));
    auto model = restored(weights, quantized);
    if (!model.ok())
      return model.status();
    return measure(**model, floor);
  };
  auto own = distance({}, Floor::With);
  if (!own.ok())
    return own.status();
  std::vector<std::string> all;
  for (LayerBlame &layer : layers) {
    llvm::append_range(all, layer.weights);
    auto found = distance(layer.weights, Floor::Without);
    if (!found.ok())
      return found.status();
    layer.divergence = found->divergence;
    layer.recovered = own->divergence - found->divergence;
  }
  auto rest = distance(all, Floor::Without);
  if (!rest.ok())
    return rest.status();
  ArrayRef<std::string> behind(all);
  for (LayerBlame &layer : layers) {
    behind = behind.drop_front(layer.weights.size());
    auto found = behind.empty() ? own : distance(behind, Floor::Without);
    if (!found.ok())
      return found.status();
    layer.added = found->divergence;
  }
  llvm::sort(layers, [](const LayerBlame &a, const LayerBlame &b) {
    return std::tie(b.recovered, a.weights) < std::tie(a.recovered, b.weights);
  });
  BlameSummary summary;
  summary.isOfGraph = samples.has_value();
  summary.device = device;
  summary.divergence = own->divergence;
  summary.perplexity = own->perplexity;
  summary.outputSize = own->outputSize;
  summary.restored = rest->divergence;
  summary.floor = own->floor;
  summary.layers = layers;
  return summary;
}

} // namespace qopt::driver
