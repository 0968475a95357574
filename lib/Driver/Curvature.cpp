// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/Curvature.h"
#include "dialects/QOpt/QOptOps.h"
#include "lib/Calibrate/CurvatureFactor.h"
#include "lib/Driver/WeightEvaluator.h"
#include <map>

using namespace mlir;

namespace qopt::driver {

using calibrate::CurvatureFactor;
using calibrate::SecondMoment;

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

class CurvatureRun {
public:
  CurvatureRun(CalibrationModel &model, ModelGradients &gradients,
               const CurvatureOptions &options, const Progress &progress)
      : model(model), gradients(gradients), options(options),
        progress(progress) {
    for (func::FuncOp segment : model.segments())
      segment.walk([&](ir::QuantizeWeightOp op) {
        wanted[weightNameOf(op.getSource())] = op.getType().getRows();
      });
  }

  StatusOr<Curvature> run() {
    for (int i = 0; i < options.iterations; ++i) {
      bool last = i + 1 == options.iterations;
      QOPT_RETURN_IF_ERROR(gradients.backward(
          options.seed + uint64_t(i), last ? 1 : options.coarse,
          [&](size_t layer) {
            report(i, layer);
            return Status();
          },
          [&](int64_t sequence, const ObservedWeights &weights) {
            if (!calibrate::isHeldOut(sequence))
              addSequence(weights);
          }));
      if (!last)
        startAnew();
    }
    return factors();
  }

private:
  void addSequence(const ObservedWeights &weights);
  void addProduct(const std::string &name, const Tensor &x, const Tensor &g);
  void addLookup(const std::string &name, const Tensor &ids, const Tensor &g);
  void startAnew();
  Curvature factors();
  void report(int iteration, size_t layer) {
    auto count = double(model.segments().size());
    if (progress)
      progress("measuring curvature",
               (iteration + 1 - double(layer + 1) / count) /
                   options.iterations);
  }

  CalibrationModel &model;
  ModelGradients &gradients;
  const CurvatureOptions &options;
  const Progress &progress;
  std::map<std::string, int64_t> wanted; ///< rows of what is quantized, by name
  std::map<std::string, ProductSums> products;
  std::map<std::string, LookupSums> lookups;
};

} // namespace

void CurvatureRun::addSequence(const ObservedWeights &weights) {
  for (auto &[name, tensors] : weights) {
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
                                     ModelGradients &gradients,
                                     const CurvatureOptions &options,
                                     const Progress &progress) {
  return CurvatureRun(model, gradients, options, progress).run();
}

} // namespace qopt::driver
