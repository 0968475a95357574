// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/ModelGradients.h"
#include "dialects/QOpt/QOptOps.h"
#include "lib/Calibrate/SampledLabels.h"

using namespace mlir;

namespace qopt::driver {

using calibrate::TokenStates;

StatusOr<ModelGradients> ModelGradients::forward(CalibrationModel &model,
                                                 const Progress &progress) {
  ModelGradients result(model);
  result.inputs.emplace_back(); // the first reads tokens
  size_t count = model.segments().size();
  for (size_t i = 0; i + 1 < count; ++i) {
    if (progress)
      progress("running the model", double(i) / double(count));
    auto function = model.segmentAs(i, SegmentForm::Original);
    if (!function.ok())
      return function.status();
    auto next = model.advance(**function, result.inputs.back(),
                              "input-" + std::to_string(i + 1));
    if (!next.ok())
      return next.status();
    result.inputs.push_back(std::move(*next));
  }
  return result;
}

StatusOr<TokenStates> ModelGradients::drawLabels(uint64_t seed, int64_t step,
                                                 const std::string &name) {
  size_t last = model.segments().size() - 1;
  auto head = model.segmentAs(last, SegmentForm::Original);
  if (!head.ok())
    return head.status();
  auto gradients = model.store().newStates(name);
  if (!gradients.ok())
    return gradients.status();
  QOPT_RETURN_IF_ERROR(model.run(
      **head, {{"hidden", &inputs[last]}},
      [&](int64_t sequence, std::vector<Tensor> &results) {
        Tensor &logits = results.front();
        calibrate::likelihoodGradients(
            logits.as<float>(), logits.shape()[0], logits.shape()[1],
            {seed, uint64_t(sequence * logits.shape()[0])}, model.threads());
        return gradients->write(sequence, logits.view());
      },
      step));
  QOPT_RETURN_IF_ERROR(gradients->finish());
  return gradients;
}

ObservedWeights weightsOf(func::FuncOp function,
                          const std::vector<Tensor> &results) {
  ObservedWeights found;
  for (auto [number, result] : llvm::enumerate(results)) {
    auto observation = function.getResultAttrOfType<ir::ObservationAttr>(
        unsigned(number), "qopt.observation");
    const Tensor *ObservedWeight::*place = nullptr;
    switch (observation.getWhat()) {
    case ir::Observed::Input:
      place = &ObservedWeight::input;
      break;
    case ir::Observed::Lookup:
      place = &ObservedWeight::ids;
      break;
    case ir::Observed::OutputGradient:
      place = &ObservedWeight::gradient;
      break;
    default:
      continue;
    }
    for (auto name : observation.getOf().getAsRange<StringAttr>())
      found[name.str()].*place = &result;
  }
  return found;
}

/// The results of a gradient function that belong to attentions, by number.
static std::map<int64_t, ObservedAttention>
attentionsOf(func::FuncOp function, const std::vector<Tensor> &results) {
  std::map<int64_t, ObservedAttention> found;
  for (auto [number, result] : llvm::enumerate(results)) {
    auto observation = function.getResultAttrOfType<ir::ObservationAttr>(
        unsigned(number), "qopt.observation");
    const Tensor *ObservedAttention::*place = nullptr;
    switch (observation.getWhat()) {
    case ir::Observed::Key:
      place = &ObservedAttention::key;
      break;
    case ir::Observed::Value:
      place = &ObservedAttention::value;
      break;
    case ir::Observed::KeyGradient:
      place = &ObservedAttention::keyGradient;
      break;
    case ir::Observed::ValueGradient:
      place = &ObservedAttention::valueGradient;
      break;
    default:
      continue;
    }
    for (auto attention : observation.getOf().getAsRange<IntegerAttr>())
      found[attention.getInt()].*place = &result;
  }
  return found;
}

/// The gradients of a layer's input from those of its result.
StatusOr<TokenStates>
ModelGradients::differentiate(size_t layer, int64_t step,
                              const TokenStates &gradients,
                              const Visitor &visitor, const std::string &name) {
  auto function = model.segmentAs(layer, SegmentForm::Gradient);
  if (!function.ok())
    return function.status();
  auto next = model.store().newStates(name);
  if (!next.ok())
    return next.status();
  bool isHead = layer + 1 == model.segments().size();
  std::string ofResult = isHead ? "logits.gradient" : "hidden.gradient";
  QOPT_RETURN_IF_ERROR(model.run(
      **function, {{"hidden", &inputs[layer]}, {ofResult, &gradients}},
      [&](int64_t sequence, std::vector<Tensor> &results) {
        visitor.observe(sequence, weightsOf(**function, results));
        if (visitor.attend)
          for (auto &[number, seen] : attentionsOf(**function, results))
            visitor.attend(layer, number, seen);
        // The first layer reads tokens, which have no gradient.
        return layer ? next->write(sequence, results.front().view()) : Status();
      },
      step));
  if (layer)
    QOPT_RETURN_IF_ERROR(next->finish());
  return next;
}

Status ModelGradients::backward(uint64_t seed, int64_t step,
                                const Visitor &visitor) {
  const CalibrationStore &store = model.store();
  // What a layer reads: its gradients are those of the result of the one ahead.
  auto nameOf = [&](size_t layer) {
    return "gradient-" + std::to_string(seed) + "-" + std::to_string(layer);
  };
  // The last one that is done, and whose gradients the next can begin with.
  size_t layer = model.segments().size();
  for (size_t done = layer; done-- > 0 && visitor.isDone(done);)
    if (done == 0 || store.has(nameOf(done)))
      layer = done;
  if (layer == 0)
    return Status();
  auto gradients = store.has(nameOf(layer))
                       ? store.openStates(nameOf(layer))
                       : drawLabels(seed, step, nameOf(layer));
  while (gradients.ok() && layer-- > 0) {
    QOPT_RETURN_IF_ERROR(visitor.enter(layer));
    gradients = differentiate(layer, step, *gradients, visitor, nameOf(layer));
    if (!gradients.ok())
      break;
    QOPT_RETURN_IF_ERROR(visitor.leave(layer));
    store.erase(nameOf(layer + 1));
  }
  return gradients.status();
}

} // namespace qopt::driver
