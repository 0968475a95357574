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
    auto next = model.advance(**function, result.inputs.back());
    if (!next.ok())
      return next.status();
    result.inputs.push_back(std::move(*next));
  }
  return result;
}

Status ModelGradients::drawLabels(uint64_t seed, int64_t step,
                                  TokenStates &gradients) {
  size_t last = model.segments().size() - 1;
  auto head = model.segmentAs(last, SegmentForm::Original);
  if (!head.ok())
    return head.status();
  return model.run(
      **head, {{"hidden", &inputs[last]}},
      [&](int64_t sequence, std::vector<Tensor> &results) {
        Tensor &logits = results.front();
        calibrate::likelihoodGradients(
            logits.as<float>(), logits.shape()[0], logits.shape()[1],
            {seed, uint64_t(sequence * logits.shape()[0])}, model.threads());
        return gradients.write(sequence, logits.view());
      },
      step);
}

/// The results of a gradient function that belong to weights.
static ObservedWeights weightsOf(func::FuncOp function,
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

/// Replaces the gradients of a layer's result by those of its input.
Status ModelGradients::differentiate(size_t layer, int64_t step,
                                     TokenStates &gradients,
                                     const Observe &observe) {
  auto function = model.segmentAs(layer, SegmentForm::Gradient);
  if (!function.ok())
    return function.status();
  auto next = model.newStates();
  if (!next.ok())
    return next.status();
  bool isHead = layer + 1 == model.segments().size();
  std::string ofResult = isHead ? "logits.gradient" : "hidden.gradient";
  QOPT_RETURN_IF_ERROR(model.run(
      **function, {{"hidden", &inputs[layer]}, {ofResult, &gradients}},
      [&](int64_t sequence, std::vector<Tensor> &results) {
        observe(sequence, weightsOf(**function, results));
        // The first layer reads tokens, which have no gradient.
        return layer ? next->write(sequence, results.front().view()) : Status();
      },
      step));
  gradients = std::move(*next);
  return Status();
}

Status ModelGradients::backward(uint64_t seed, int64_t step, const Enter &enter,
                                const Observe &observe) {
  auto gradients = model.newStates();
  if (!gradients.ok())
    return gradients.status();
  QOPT_RETURN_IF_ERROR(drawLabels(seed, step, *gradients));
  for (size_t layer = model.segments().size(); layer-- > 0;) {
    QOPT_RETURN_IF_ERROR(enter(layer));
    QOPT_RETURN_IF_ERROR(differentiate(layer, step, *gradients, observe));
  }
  return Status();
}

} // namespace qopt::driver
