// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/Observations.h"
#include "dialects/QOpt/QOptOps.h"

using namespace mlir;

namespace qopt::driver {

void Observation::add(const float *x, int64_t tokens, bool isHeldOut,
                      unsigned threads) {
  (isHeldOut ? heldOut : moment).add(x, tokens, nullptr, threads);
  std::vector<double> &all = isHeldOut ? heldOutSums : sums;
  for (int64_t t = 0; t < tokens; ++t)
    for (size_t k = 0; k < all.size(); ++k)
      all[k] += double(*x++);
}

static std::vector<float> meanOf(const std::vector<double> &sums,
                                 int64_t tokens) {
  std::vector<float> mean;
  for (double sum : sums)
    mean.push_back(float(sum / double(std::max<int64_t>(tokens, 1))));
  return mean;
}

std::vector<float> Observation::mean() const {
  return meanOf(sums, moment.tokens());
}

std::vector<float> Observation::heldOutMean() const {
  return meanOf(heldOutSums, heldOut.tokens());
}

StatusOr<Observations> Observations::take(CalibrationModel &model, size_t layer,
                                          const calibrate::TokenStates &hidden,
                                          const Curvature &curvature) {
  auto segment = model.segmentAs(layer, SegmentForm::Observed);
  if (!segment.ok())
    return segment.status();
  Observations observed(curvature);
  std::vector<std::pair<unsigned, Observation *>> sums;
  for (unsigned i = 0; i < (*segment)->getNumResults(); ++i) {
    auto observation = (*segment)->getResultAttrOfType<ir::ObservationAttr>(
        i, "qopt.observation");
    if (!observation)
      continue;
    auto type = cast<RankedTensorType>((*segment)->getResultTypes()[i]);
    observed.tensors.push_back(
        std::make_unique<Observation>(type.getShape().back()));
    sums.emplace_back(i, observed.tensors.back().get());
    for (auto name : observation.getOf().getAsRange<StringAttr>())
      observed.inputs[name.str()] = observed.tensors.back().get();
  }
  if (sums.empty())
    return observed;
  QOPT_RETURN_IF_ERROR(
      model.run(**segment, {{model.hidden(), &hidden}},
                [&](int64_t sequence, std::vector<Tensor> &results) {
                  bool isHeldOut = calibrate::isHeldOut(sequence);
                  for (auto &[index, observation] : sums) {
                    const Tensor &x = results[index];
                    observation->add(x.as<float>(),
                                     x.elements() / observation->moment.size(),
                                     isHeldOut, model.threads());
                  }
                  return Status();
                }));
  // Of a short text no window is held out: results are judged by what they were
  // fitted to, for by nothing all would be equal.
  for (auto &tensor : observed.tensors)
    if (tensor->heldOut.tokens() == 0) {
      tensor->heldOut = tensor->moment;
      tensor->heldOutSums = tensor->sums;
    }
  return observed;
}

const Observation *Observations::input(const std::string &weight) const {
  auto found = inputs.find(weight);
  return found == inputs.end() ? nullptr : found->second;
}

} // namespace qopt::driver
