// Forward, one layer after the other, keeping what each reads; then backward in
// the other order, where each layer computes itself anew.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/Curvature.h"
#include "dialects/QOpt/QOptOps.h"
#include "lib/Calibrate/QuadraticForm.h"
#include "lib/Calibrate/SampledLabels.h"
#include "lib/Driver/WeightEvaluator.h"
#include <cmath>
#include <set>

using namespace mlir;

namespace qopt::driver {

using calibrate::SecondMoment;
using calibrate::TokenStates;

namespace {

/// Sums of one weight in an iteration, and the factors of the one before.
struct WeightSums {
  SecondMoment input, output;
  std::vector<float> lastInput, lastOutput; ///< of norm 1; empty: the identity
};

class CurvatureRun {
public:
  CurvatureRun(CalibrationModel &model, const CurvatureOptions &options,
               const Progress &progress)
      : model(model), options(options), progress(progress) {
    for (func::FuncOp segment : model.segments())
      segment.walk([&](ir::QuantizeWeightOp op) {
        wanted.insert(weightNameOf(op.getSource()));
      });
  }

  StatusOr<Curvature> run() {
    QOPT_RETURN_IF_ERROR(forward());
    for (int i = 0; i < options.iterations; ++i) {
      bool last = i + 1 == options.iterations;
      step = last ? 1 : options.coarse;
      QOPT_RETURN_IF_ERROR(backward(i));
      if (!last)
        startAnew();
    }
    return factors();
  }

private:
  Status forward();
  Status backward(int iteration);
  Status labelGradients(TokenStates &gradients, int iteration);
  Status differentiate(size_t segment, const std::string &resultGradient,
                       TokenStates &gradients);
  void addSequence(func::FuncOp function, std::vector<Tensor> &results);
  void addWeight(const std::string &name, const Tensor &x, const Tensor &g);
  void startAnew();
  Curvature factors();
  void report(double done) {
    if (progress)
      progress("measuring curvature", done);
  }

  CalibrationModel &model;
  const CurvatureOptions &options;
  const Progress &progress;
  std::set<std::string> wanted;    ///< names of weights that are quantized
  std::vector<TokenStates> inputs; ///< of each segment
  std::map<std::string, WeightSums> sums;
  int64_t step = 1; ///< from one sequence to the next that is used
};

} // namespace

Status CurvatureRun::forward() {
  inputs.emplace_back(); // the first reads tokens
  size_t count = model.segments().size();
  for (size_t i = 0; i + 1 < count; ++i) {
    report(double(i) / double(count) / (1 + 2 * options.iterations));
    auto function = model.segmentAs(i, SegmentForm::Original);
    if (!function.ok())
      return function.status();
    auto next = model.advance(**function, inputs.back());
    if (!next.ok())
      return next.status();
    inputs.push_back(std::move(*next));
  }
  return Status();
}

Status CurvatureRun::labelGradients(TokenStates &gradients, int iteration) {
  size_t last = model.segments().size() - 1;
  auto head = model.segmentAs(last, SegmentForm::Original);
  if (!head.ok())
    return head.status();
  uint64_t seed = options.seed + uint64_t(iteration);
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

Status CurvatureRun::backward(int iteration) {
  auto gradients = model.newStates();
  if (!gradients.ok())
    return gradients.status();
  QOPT_RETURN_IF_ERROR(labelGradients(*gradients, iteration));
  // The first segment looks tokens up: no linear reads a tensor there.
  size_t count = model.segments().size();
  for (size_t segment = count - 1; segment > 0; --segment) {
    report((1 + 2 * (iteration + double(count - segment) / double(count))) /
           (1 + 2 * options.iterations));
    bool isHead = segment + 1 == count;
    QOPT_RETURN_IF_ERROR(differentiate(
        segment, isHead ? "logits.gradient" : "hidden.gradient", *gradients));
  }
  return Status();
}

/// Replaces the gradients of a segment's result by those of its input.
Status CurvatureRun::differentiate(size_t segment,
                                   const std::string &resultGradient,
                                   TokenStates &gradients) {
  auto function = model.segmentAs(segment, SegmentForm::Gradient);
  if (!function.ok())
    return function.status();
  auto next = model.newStates();
  if (!next.ok())
    return next.status();
  QOPT_RETURN_IF_ERROR(model.run(
      **function, {{"hidden", &inputs[segment]}, {resultGradient, &gradients}},
      [&](int64_t sequence, std::vector<Tensor> &results) {
        if (!calibrate::isHeldOut(sequence))
          addSequence(**function, results);
        return next->write(sequence, results.front().view());
      },
      step));
  gradients = std::move(*next);
  return Status();
}

void CurvatureRun::addSequence(func::FuncOp function,
                               std::vector<Tensor> &results) {
  std::map<std::string, std::pair<const Tensor *, const Tensor *>> found;
  for (auto [number, result] : llvm::enumerate(results)) {
    auto what = function.getResultAttrOfType<ir::ObservationAttr>(
        unsigned(number), "qopt.observation");
    bool isInput = what.getWhat() == ir::Observed::Input;
    if (!isInput && what.getWhat() != ir::Observed::OutputGradient)
      continue;
    for (auto name : what.getOf().getAsRange<StringAttr>())
      (isInput ? found[name.str()].first : found[name.str()].second) = &result;
  }
  for (auto &[name, pair] : found)
    if (pair.first && pair.second && wanted.count(name))
      addWeight(name, *pair.first, *pair.second);
}

void CurvatureRun::addWeight(const std::string &name, const Tensor &x,
                             const Tensor &g) {
  int64_t tokens = x.shape()[0], columns = x.shape()[1], rows = g.shape()[1];
  WeightSums &weight = sums[name];
  if (!weight.input.size()) {
    weight.input = SecondMoment(columns);
    weight.output = SecondMoment(rows);
  }
  unsigned threads = model.threads();
  const float *in = x.as<float>(), *out = g.as<float>();
  std::vector<float> ofOutput =
      calibrate::quadraticForms(out, tokens, rows, weight.lastOutput, threads);
  std::vector<float> ofInput =
      calibrate::quadraticForms(in, tokens, columns, weight.lastInput, threads);
  weight.input.add(in, tokens, ofOutput.data(), threads);
  weight.output.add(out, tokens, ofInput.data(), threads);
}

/// A matrix divided by its Frobenius norm.
static std::vector<float> normalized(std::vector<float> matrix) {
  double squares = 0;
  for (float value : matrix)
    squares += double(value) * value;
  auto factor = float(squares > 0 ? 1 / std::sqrt(squares) : 0);
  for (float &value : matrix)
    value *= factor;
  return matrix;
}

void CurvatureRun::startAnew() {
  for (auto &[name, weight] : sums) {
    weight.lastInput = normalized(weight.input.matrix());
    weight.lastOutput = normalized(weight.output.matrix());
    weight.input = SecondMoment(weight.input.size());
    weight.output = SecondMoment(weight.output.size());
  }
}

Curvature CurvatureRun::factors() {
  Curvature result;
  for (auto &[name, weight] : sums) {
    CurvatureFactors &factors = result[name];
    factors.input = normalized(weight.input.matrix());
    factors.output = weight.output.matrix();
    float mean = 1 / float(weight.output.tokens());
    for (float &value : factors.output)
      value *= mean;
    weight = WeightSums(); // one of the two is in memory
  }
  return result;
}

StatusOr<Curvature> measureCurvature(CalibrationModel &model,
                                     const CurvatureOptions &options,
                                     const Progress &progress) {
  return CurvatureRun(model, options, progress).run();
}

} // namespace qopt::driver
