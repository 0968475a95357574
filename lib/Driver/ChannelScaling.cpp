// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/ChannelScaling.h"
#include "dialects/QOpt/QOptOps.h"
#include "lib/Calibrate/ActivationHistogram.h"
#include "lib/Driver/LinearTrial.h"
#include "lib/Quant/algorithms/ChannelScales.h"
#include "mlir/IR/Remarks.h"
#include "passes/Quantize/ChannelSite.h"
#include "passes/Quantize/LinearScales.h"
#include "llvm/ADT/MapVector.h"
#include <array>
#include <cmath>
#include <map>

#define DEBUG_TYPE "qopt-scale-channels"

using namespace mlir;

namespace qopt::driver {

/// Rows of a tensor that errors are measured on, and windows of all that they
/// come from: three groups of eight, of which the last is held out.
constexpr int64_t fitRows = 1024, heldOutRows = 512, windowGroups = 3;

std::vector<int64_t> samplesForScales(int64_t count) {
  int64_t groups = (count + 7) / 8;
  std::vector<int64_t> chosen;
  for (int64_t sample = 0; sample < count; ++sample) {
    int64_t group = sample / 8;
    if (group * windowGroups / groups != (group + 1) * windowGroups / groups ||
        groups <= windowGroups)
      chosen.push_back(sample);
  }
  return chosen;
}

namespace {

/// What was seen of a tensor that linears read.
struct ObservedTensor {
  std::vector<std::string> weights; ///< that multiply it
  SampledRows fit, heldOut;
  std::vector<float> largest; ///< |x| of each channel, of all rows to fit
  std::vector<double> squares;
  int64_t rows = 0;
  /// Of the same rows; of no channels where each token has its own scale.
  std::optional<calibrate::ActivationHistogram> histogram;

  void add(const Tensor &x, bool isHeldOut, int64_t windows, unsigned threads) {
    const float *values = x.as<float>();
    int64_t columns = x.shape().back(), count = x.elements() / columns;
    largest.resize(size_t(columns));
    squares.resize(size_t(columns));
    SampledRows &samples = isHeldOut ? heldOut : fit;
    fit.columns = heldOut.columns = columns;
    int64_t all = count * windows / 8 * (isHeldOut ? 1 : 7);
    int64_t stride =
        std::max<int64_t>(1, all / (isHeldOut ? heldOutRows : fitRows));
    if (histogram && !isHeldOut)
      histogram->add(values, count, threads);
    for (int64_t t = 0; t < count; ++t, values += columns) {
      if (t % stride == 0)
        samples.values.insert(samples.values.end(), values, values + columns);
      if (isHeldOut)
        continue;
      ++rows;
      for (int64_t k = 0; k < columns; ++k) {
        largest[size_t(k)] = std::max(largest[size_t(k)], std::fabs(values[k]));
        squares[size_t(k)] += double(values[k]) * values[k];
      }
    }
  }
};

/// What the quantized model makes of a weight and of what its linear reads.
struct QuantizedLinear {
  quant::Format weight;
  ir::QuantizedType activations; ///< null: real numbers
};

class Scaling {
public:
  Scaling(ModuleOp raised, ModuleOp quantized, bool isStatic,
          CalibrationModel &model)
      : isStatic(isStatic), model(model), pool(int(model.threads())) {
    raised.walk([&](ir::LinearOp linear) {
      if (auto weight = linear.getWeight().getDefiningOp<ir::WeightOp>())
        linears[weight.getName().str()] = linear;
    });
    quantized.walk([&](ir::LinearOp linear) {
      auto weight = linear.getWeight().getDefiningOp<ir::QuantizeWeightOp>();
      auto source = weight ? weight.getSource().getDefiningOp<ir::WeightOp>()
                           : ir::WeightOp();
      if (source)
        formats[source.getName().str()] = {
            weight.getType().getFormat(),
            dyn_cast<ir::QuantizedType>(linear.getX().getType())};
    });
  }

  Status run(const Progress &progress) {
    calibrate::TokenStates hidden;
    size_t count = model.segments().size();
    for (size_t i = 0; i < count; ++i) {
      if (progress)
        progress("scaling channels", double(i) / double(count));
      auto tensors = observe(i, hidden);
      if (!tensors.ok())
        return tensors.status();
      for (const ObservedTensor &tensor : *tensors)
        QOPT_RETURN_IF_ERROR(scale(tensor));
      if (i + 1 == count)
        break;
      auto function = model.segmentAs(i, SegmentForm::Original);
      if (!function.ok())
        return function.status();
      auto next = model.advance(**function, hidden,
                                "unscaled-" + std::to_string(i + 1));
      if (!next.ok())
        return next.status();
      hidden = std::move(*next);
      model.store().erase("unscaled-" + std::to_string(i));
    }
    model.store().eraseAll("unscaled-");
    return Status();
  }

private:
  StatusOr<std::vector<ObservedTensor>>
  observe(size_t layer, const calibrate::TokenStates &hidden) {
    auto segment = model.segmentAs(layer, SegmentForm::Observed);
    if (!segment.ok())
      return segment.status();
    std::vector<ObservedTensor> tensors;
    std::vector<unsigned> results;
    for (unsigned i = 0; i < (*segment)->getNumResults(); ++i) {
      auto observation = (*segment)->getResultAttrOfType<ir::ObservationAttr>(
          i, "qopt.observation");
      if (!observation)
        continue;
      results.push_back(i);
      for (auto name : observation.getOf().getAsRange<StringAttr>())
        (name == observation.getOf()[0] ? tensors.emplace_back()
                                        : tensors.back())
            .weights.push_back(name.str());
    }
    QOPT_RETURN_IF_ERROR(
        model.run(**segment, {{model.hidden(), &hidden}},
                  [&](int64_t sequence, std::vector<Tensor> &values) {
                    for (size_t i = 0; i < results.size(); ++i) {
                      const Tensor &x = values[results[i]];
                      if (isStatic && !tensors[i].histogram)
                        tensors[i].histogram.emplace(x.shape().back());
                      tensors[i].add(x, calibrate::isHeldOut(sequence),
                                     model.samples().count(), model.threads());
                    }
                    return Status();
                  }));
    // Of a short text no window is held out (Observations.cpp).
    for (ObservedTensor &tensor : tensors)
      if (tensor.heldOut.values.empty())
        tensor.heldOut = tensor.fit;
    return tensors;
  }

  /// The quantized weights of a tensor's linears, and the codes that these
  /// read.
  struct Linears {
    std::vector<TrialWeight> weights;
    std::vector<ir::LinearOp> ops;
    std::optional<host::ActivationCodes> codes;
    std::string names;
  };
  StatusOr<Linears> linearsOf(const ObservedTensor &tensor) {
    Linears result;
    for (const std::string &name : tensor.weights) {
      auto linear = linears.find(name);
      auto format = formats.find(name);
      if (linear == linears.end() || format == formats.end() ||
          format->second.weight.isFloat())
        continue;
      auto values = evaluateWeight(linear->second.getWeight(), model.threads());
      if (!values.ok())
        return values.status();
      bool readsCodes = bool(format->second.activations);
      result.weights.push_back(
          {std::move(*values), format->second.weight, readsCodes});
      if (readsCodes)
        result.codes =
            host::activationCodes(format->second.activations.getFormat());
      result.ops.push_back(linear->second);
      result.names += (result.names.empty() ? "\"" : ", \"") + name + "\"";
    }
    return result;
  }

  /// On rows that scales are fitted to, and on held-out ones.
  struct Trials {
    LinearTrial fit, heldOut;
  };

  struct Candidate {
    std::vector<float> scales;
    double activationExponent = 0, weightExponent = 0, error = HUGE_VAL;
    float part = 1; ///< of the largest value, that the largest code stands for
    float step = 0; ///< the scale itself, where it is not by a part
  };

  /// The scale of all codes of x / s, or 0 where each token has its own.
  float stepOf(const ObservedTensor &tensor, const Linears &found,
               const Candidate &candidate) const {
    if (!isStatic || !found.codes)
      return 0;
    if (candidate.step > 0)
      return candidate.step;
    float most = 0;
    for (auto [value, scale] : llvm::zip(tensor.largest, candidate.scales))
      most = std::max(most, value / scale);
    return std::max(most, 1e-30f) * candidate.part /
           float(calibrate::largestCode(codesOf(found)));
  }

  static calibrate::TensorCodes codesOf(const Linears &found) {
    return *found.codes == host::ActivationCodes::Fp8Rows
               ? calibrate::TensorCodes::Fp8
               : calibrate::TensorCodes::Int8;
  }

  Status measure(const ObservedTensor &tensor, const Linears &found,
                 const LinearTrial &trial, Candidate &candidate) const {
    auto error =
        trial.error(candidate.scales, stepOf(tensor, found, candidate));
    if (error.ok())
      candidate.error = *error;
    return error.status();
  }

  /// What part of the largest value is best, where that decides on the scale.
  Status choosePart(const ObservedTensor &tensor, const Linears &found,
                    const LinearTrial &trial, Candidate &candidate) const {
    Candidate best;
    for (float part : {1.0f, 0.85f, 0.7f, 0.55f, 0.4f, 0.3f, 0.2f}) {
      candidate.part = part;
      QOPT_RETURN_IF_ERROR(measure(tensor, found, trial, candidate));
      if (candidate.error < best.error)
        best = candidate;
      if (!isStatic || !found.codes)
        break;
    }
    candidate = std::move(best);
    return Status();
  }

  /// What the distribution of all values says: the scale with the least error
  /// of the linears' outputs, and those that clip a small part of the values.
  /// The best of them on rows to fit is taken where it is better than a part of
  /// the largest value on held-out ones.
  Status tryHistogram(const ObservedTensor &tensor, const Linears &found,
                      const Trials &trials, Candidate &candidate) const {
    if (!isStatic || !found.codes)
      return Status();
    std::vector<double> weights = squaresOfColumns(found.weights);
    for (size_t k = 0; k < weights.size(); ++k)
      weights[k] *= double(candidate.scales[k]) * candidate.scales[k];
    calibrate::ValueDistribution values =
        tensor.histogram->scaled(candidate.scales, weights);
    auto most = float(calibrate::largestCode(codesOf(found)));
    float least = values.bestScale(codesOf(found));
    Candidate best;
    for (float step :
         {least, 0.9f * least, 1.1f * least, values.quantile(0.9999) / most,
          values.quantile(0.99999) / most}) {
      if (!(step > 0))
        continue;
      Candidate clipped = candidate;
      clipped.step = step;
      QOPT_RETURN_IF_ERROR(measure(tensor, found, trials.fit, clipped));
      if (clipped.error < best.error)
        best = std::move(clipped);
    }
    if (best.step == 0)
      return Status();
    QOPT_RETURN_IF_ERROR(measure(tensor, found, trials.heldOut, candidate));
    QOPT_RETURN_IF_ERROR(measure(tensor, found, trials.heldOut, best));
    if (best.error < candidate.error)
      candidate = std::move(best);
    return Status();
  }

  Status scale(const ObservedTensor &tensor) {
    auto found = linearsOf(tensor);
    if (!found.ok())
      return found.status();
    if (found->weights.empty())
      return Status();
    Trials trials{
        {found->weights, tensor.fit, found->codes, model.threads(), pool},
        {found->weights, tensor.heldOut, found->codes, model.threads(), pool}};
    Candidate chosen;
    chosen.scales.assign(tensor.largest.size(), 1.0f);
    QOPT_RETURN_IF_ERROR(choosePart(tensor, *found, trials.fit, chosen));
    float part = chosen.part;
    QOPT_RETURN_IF_ERROR(tryHistogram(tensor, *found, trials, chosen));
    ir::LinearOp first = found->ops.front();
    std::string reason;
    passes::ChannelSite site = passes::findChannelSite(first.getX(), reason);
    if (site.readers.empty())
      remark::missed(first.getLoc(),
                     remark::RemarkOpts::name("NotScaled").category(DEBUG_TYPE))
          << remark::add("the input of {0}: {1}", found->names, reason);
    else
      QOPT_RETURN_IF_ERROR(
          takeBetter(tensor, *found, site, trials, part, chosen));
    note(tensor, *found, chosen);
    return Status();
  }

  /// Takes the scales that the search finds where held-out text confirms them.
  Status takeBetter(const ObservedTensor &tensor, const Linears &found,
                    const passes::ChannelSite &site, const Trials &trials,
                    float part, Candidate &chosen) {
    auto best = search(tensor, found, site, trials.fit, part);
    if (!best.ok())
      return best.status();
    QOPT_RETURN_IF_ERROR(choosePart(tensor, found, trials.fit, *best));
    QOPT_RETURN_IF_ERROR(tryHistogram(tensor, found, trials, *best));
    QOPT_RETURN_IF_ERROR(measure(tensor, found, trials.heldOut, chosen));
    QOPT_RETURN_IF_ERROR(measure(tensor, found, trials.heldOut, *best));
    bool isBetter = best->error < chosen.error;
    ir::LinearOp first = found.ops.front();
    remark::passed(first.getLoc(),
                   remark::RemarkOpts::name("Scaled").category(DEBUG_TYPE))
        << remark::add("the input of {0}: exponents {1:F1} and {2:F1}, error "
                       "x {3:F3} on held-out text{4}",
                       found.names, best->activationExponent,
                       best->weightExponent, best->error / chosen.error,
                       isBetter ? "" : ", so none is taken");
    if (isBetter)
      chosen = std::move(*best);
    return Status();
  }

  /// Leaves the scales at the linears.
  void note(const ObservedTensor &tensor, const Linears &found,
            const Candidate &chosen) const {
    ir::LinearOp first = found.ops.front();
    Builder builder(first.getContext());
    auto type = RankedTensorType::get({int64_t(chosen.scales.size())},
                                      builder.getF32Type());
    if (chosen.activationExponent > 0)
      first->setAttr(
          passes::channelScalesAttribute,
          DenseElementsAttr::get(type, ArrayRef<float>(chosen.scales)));
    float step = stepOf(tensor, found, chosen);
    for (ir::LinearOp linear : found.ops)
      if (step > 0)
        linear->setAttr(passes::activationScaleAttribute,
                        builder.getF32FloatAttr(step));
  }

  /// The largest of the columns that read one channel, for all of them.
  static std::vector<float> shared(std::vector<float> magnitudes,
                                   const passes::ChannelSite &site) {
    std::vector<float> most(magnitudes.size());
    for (auto [channel, value] : llvm::zip(site.channels, magnitudes))
      most[size_t(channel)] = std::max(most[size_t(channel)], value);
    for (auto [channel, value] : llvm::zip(site.channels, magnitudes))
      value = most[size_t(channel)];
    return magnitudes;
  }

  /// First the exponents 0.4, 0.6 and 0.8 of both measures of activations, with
  /// and without the weights' own, then what lies around the best.
  StatusOr<Candidate> search(const ObservedTensor &tensor, const Linears &found,
                             const passes::ChannelSite &site,
                             const LinearTrial &trial, float part) {
    std::vector<float> effective;
    for (double square : tensor.squares)
      effective.push_back(float(std::sqrt(square / double(tensor.rows))));
    const std::array<std::vector<float>, 2> measures = {
        shared(tensor.largest, site), shared(effective, site)};
    const std::vector<float> ofWeights =
        shared(largestOfColumns(found.weights), site);
    Candidate best;
    size_t chosen = 0;
    auto attempt = [&](size_t index, double a, double b) -> Status {
      Candidate candidate;
      candidate.activationExponent = a;
      candidate.weightExponent = b;
      candidate.part = part;
      candidate.scales = quant::channelScales(measures[index], ofWeights, a, b);
      QOPT_RETURN_IF_ERROR(measure(tensor, found, trial, candidate));
      if (candidate.error < best.error) {
        best = std::move(candidate);
        chosen = index;
      }
      return Status();
    };
    for (size_t index = 0; index < measures.size(); ++index)
      for (double a : {0.4, 0.6, 0.8})
        for (double b : {0.0, 1 - a})
          QOPT_RETURN_IF_ERROR(attempt(index, a, b));
    const double middle = best.activationExponent;
    for (double a : {middle - 0.1, middle, middle + 0.1})
      for (double share : {0.0, 0.5, 1.0})
        QOPT_RETURN_IF_ERROR(attempt(chosen, a, share * (1 - a)));
    return best;
  }

  bool isStatic;
  CalibrationModel &model;
  host::ThreadPool pool;
  std::map<std::string, ir::LinearOp> linears; ///< of the raised model
  std::map<std::string, QuantizedLinear> formats;
};

} // namespace

Status scaleChannels(ModuleOp raised, ModuleOp quantized, bool isStatic,
                     CalibrationModel &model, const Progress &progress) {
  return Scaling(raised, quantized, isStatic, model).run(progress);
}

} // namespace qopt::driver
