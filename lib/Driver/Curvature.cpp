// Forward, one layer after the other, keeping what each reads; then backward in
// the other order, where each layer computes itself anew.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/Curvature.h"
#include "dialects/QOpt/QOptOps.h"
#include "lib/Calibrate/CurvatureFactor.h"
#include "lib/Calibrate/SampledLabels.h"
#include "lib/Driver/WeightEvaluator.h"
#include <map>

using namespace mlir;

namespace qopt::driver {

using calibrate::CurvatureFactor;
using calibrate::SecondMoment;
using calibrate::TokenStates;

/// A linear with more outputs than this for each input has so many pairs of
/// them that only the diagonal of H_O is measured: heads over a vocabulary.
constexpr int64_t mostOutputsPerInput = 6;

namespace {

/// Both sides of a linear's weight.
struct ProductSums {
  CurvatureFactor input, output;
};

/// What tokens look up in a table, in one iteration.
struct LookupSums {
  SecondMoment gradients;
  std::vector<int64_t> uses; ///< of each row
};

/// The tensors that a layer's function gives of one weight in one sequence.
struct ObservedWeight {
  const Tensor *input = nullptr, *ids = nullptr, *gradient = nullptr;
};

class CurvatureRun {
public:
  CurvatureRun(CalibrationModel &model, const CurvatureOptions &options,
               const Progress &progress)
      : model(model), options(options), progress(progress) {
    for (func::FuncOp segment : model.segments())
      segment.walk([&](ir::QuantizeWeightOp op) {
        wanted[weightNameOf(op.getSource())] = op.getType().getRows();
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
  void addProduct(const std::string &name, const Tensor &x, const Tensor &g);
  void addLookup(const std::string &name, const Tensor &ids, const Tensor &g);
  void startAnew();
  Curvature factors();
  void report(double done) {
    if (progress)
      progress("measuring curvature", done);
  }

  CalibrationModel &model;
  const CurvatureOptions &options;
  const Progress &progress;
  std::map<std::string, int64_t> wanted; ///< rows of what is quantized, by name
  std::vector<TokenStates> inputs;       ///< of each segment
  std::map<std::string, ProductSums> products;
  std::map<std::string, LookupSums> lookups;
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
  size_t count = model.segments().size();
  for (size_t segment = count; segment-- > 0;) {
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
        // The first segment reads tokens, which have no gradient.
        return segment ? next->write(sequence, results.front().view())
                       : Status();
      },
      step));
  gradients = std::move(*next);
  return Status();
}

void CurvatureRun::addSequence(func::FuncOp function,
                               std::vector<Tensor> &results) {
  std::map<std::string, ObservedWeight> found;
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
  for (auto &[name, tensors] : found) {
    if (!tensors.gradient || !wanted.count(name))
      continue;
    if (tensors.input)
      addProduct(name, *tensors.input, *tensors.gradient);
    if (tensors.ids)
      addLookup(name, *tensors.ids, *tensors.gradient);
  }
}

void CurvatureRun::addProduct(const std::string &name, const Tensor &x,
                              const Tensor &g) {
  int64_t tokens = x.shape()[0], columns = x.shape()[1], rows = g.shape()[1];
  ProductSums &weight = products[name];
  if (!weight.input.size()) {
    weight.input = CurvatureFactor(columns, /*isDiagonal=*/false);
    weight.output = CurvatureFactor(rows, rows > mostOutputsPerInput * columns);
  }
  unsigned threads = model.threads();
  const float *in = x.as<float>(), *out = g.as<float>();
  std::vector<float> ofOutput = weight.output.forms(out, tokens, threads);
  std::vector<float> ofInput = weight.input.forms(in, tokens, threads);
  weight.input.add(in, tokens, ofOutput, threads);
  weight.output.add(out, tokens, ofInput, threads);
}

void CurvatureRun::addLookup(const std::string &name, const Tensor &ids,
                             const Tensor &g) {
  LookupSums &table = lookups[name];
  if (table.uses.empty()) {
    table.gradients = SecondMoment(g.shape()[1]);
    table.uses.resize(size_t(wanted[name]));
  }
  table.gradients.add(g.as<float>(), ids.elements(), nullptr, model.threads());
  for (int64_t t = 0; t < ids.elements(); ++t)
    ++table.uses[size_t(ids.as<int32_t>()[t])];
}

void CurvatureRun::startAnew() {
  for (auto &[name, weight] : products) {
    weight.input.startAnew();
    weight.output.startAnew();
  }
  lookups.clear();
}

/// H_I and the diagonal of H_O of a table. A token that the text does not have
/// counts as half a use: others may have it.
static CurvatureFactors factorsOf(const LookupSums &table) {
  CurvatureFactors factors;
  factors.isOutputDiagonal = true;
  factors.input = table.gradients.matrix();
  auto tokens = double(table.gradients.tokens());
  for (float &value : factors.input)
    value = float(value / tokens);
  double all = tokens + 0.5 * double(table.uses.size());
  for (int64_t uses : table.uses)
    factors.output.push_back(float((double(uses) + 0.5) / all));
  return factors;
}

Curvature CurvatureRun::factors() {
  Curvature result;
  for (auto &[name, weight] : products) {
    CurvatureFactors &factors = result.products[name];
    factors.input = weight.input.normalized();
    factors.output = weight.output.mean();
    factors.isOutputDiagonal = weight.output.isDiagonal();
    weight = ProductSums(); // one of the two is in memory
  }
  for (auto &[name, table] : lookups)
    result.lookups[name] = factorsOf(table);
  return result;
}

StatusOr<Curvature> measureCurvature(CalibrationModel &model,
                                     const CurvatureOptions &options,
                                     const Progress &progress) {
  return CurvatureRun(model, options, progress).run();
}

} // namespace qopt::driver
