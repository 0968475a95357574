// What linears read: its formats as a module has them, and scores of those that
// a budget on latency chooses from.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/QOpt/QOptOps.h"
#include "dialects/QOpt/Shapes.h"
#include "lib/Driver/ActivationOption.h"
#include "lib/Driver/ActivationScores.h"
#include "lib/Driver/Quantization.h"
#include "lib/Driver/WeightEvaluator.h"
#include "passes/Quantize/FormatOverrides.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/STLExtras.h"
#include <set>

using namespace mlir;

namespace qopt::driver {

/// The name of the weight of a file that a linear multiplies by; empty where it
/// is none.
static std::string fileWeightOf(ir::LinearOp linear) {
  Value weight = linear.getWeight();
  if (auto quantize = weight.getDefiningOp<ir::QuantizeWeightOp>())
    weight = quantize.getSource();
  return weight.getDefiningOp<ir::WeightOp>() ? weightNameOf(weight) : "";
}

/// Nothing where the values are codes of the model.
static std::optional<quant::Format> formatOf(Value x) {
  if (auto codes = dyn_cast<ir::QuantizedType>(x.getType()))
    return ir::QuantizedType::isCentred(codes.getFormat())
               ? std::nullopt
               : std::optional(codes.getFormat());
  Type element = cast<ShapedType>(x.getType()).getElementType();
  if (element.isF16())
    return quant::floatFormat(quant::ElementType::F16);
  return quant::floatFormat(element.isBF16() ? quant::ElementType::BF16
                                             : quant::ElementType::F32);
}

void listTensors(ModuleOp module, const CompileOptions &options,
                 std::vector<PlannedActivation> &tensors) {
  std::set<std::string> known;
  for (const PlannedActivation &tensor : tensors)
    known.insert(tensor.weights.begin(), tensor.weights.end());
  auto asked = passes::FormatOverrides::parse("--activation-format",
                                              options.activationFormats);
  llvm::MapVector<Value, PlannedActivation> found;
  module.walk([&](ir::LinearOp linear) {
    std::string name = fileWeightOf(linear);
    auto format = formatOf(linear.getX());
    if (name.empty() || !format || !known.insert(name).second)
      return;
    PlannedActivation &tensor = found[linear.getX()];
    if (tensor.weights.empty()) {
      tensor.name = name;
      tensor.columns = linear.getWeight().getType().getColumns();
      tensor.chosen.format = quant::spell(*format);
      tensor.chosen.bytes = tokenBytes(*format, tensor.columns);
      bool isNamed = asked.ok() && asked->lookup(name);
      tensor.reason = isNamed || !options.activations.empty()
                          ? "asked for"
                          : "the target's default";
    }
    tensor.weights.push_back(name);
  });
  for (auto &[x, tensor] : found)
    tensors.push_back(std::move(tensor));
}

/// An entry of a store that is the same for all budgets.
static const char *const tensorScoresEntry = "tensor-scores";

/// Of what --activation-format names nothing is chosen.
static Status dropNamed(const CompileOptions &options,
                        std::vector<PlannedActivation> &scored) {
  auto overrides = passes::FormatOverrides::parse("--activation-format",
                                                  options.activationFormats);
  if (!overrides.ok())
    return overrides.status();
  llvm::erase_if(scored, [&](const PlannedActivation &tensor) {
    return llvm::any_of(tensor.weights, [&](const std::string &weight) {
      return overrides->lookup(weight).has_value();
    });
  });
  return Status();
}

Status Quantization::scoreActivations(ModuleOp raised,
                                      const CalibrationStore &scores,
                                      const Progress &progress) {
  PrecisionPlan scored;
  if (scores.has(tensorScoresEntry)) {
    auto stored = storedPlan(scores, tensorScoresEntry);
    if (!stored.ok())
      return stored.status();
    scored = std::move(*stored);
  } else {
    CompileOptions all = asked; // linears of quantized weights are observed
    all.formats.clear();
    all.weights = all.embedding = "int8";
    auto model = layersOf(raised, all);
    if (!model.ok())
      return model.status();
    auto gradients = ModelGradients::forward(**model, progress);
    if (!gradients.ok())
      return gradients.status();
    auto tensors = driver::scoreActivations(**model, *gradients,
                                            {.target = asked.target}, progress);
    if (!tensors.ok())
      return tensors.status();
    scored.tensors = std::move(*tensors);
    for (PlannedActivation &tensor : scored.tensors)
      tensor.chosen = tensor.alternatives.back();
    QOPT_RETURN_IF_ERROR(scores.put(tensorScoresEntry, toJson(scored)));
  }
  QOPT_RETURN_IF_ERROR(dropNamed(asked, scored.tensors));
  decided.tensors = std::move(scored.tensors);
  return Status();
}

} // namespace qopt::driver
