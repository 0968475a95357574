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
  int64_t rows = 0; ///< that the linear reads of a sample
};

/// What tokens look up in a table, in one iteration.
struct LookupSums {
  SecondMoment gradients;
  std::vector<int64_t> uses; ///< of each row
  int64_t rows = 0;          ///< that are looked up for a sample
};

class CurvatureRun {
public:
  CurvatureRun(CalibrationModel &model, ModelGradients &gradients,
               const CurvatureOptions &options, const Progress &progress)
      : model(model), store(model.store()), gradients(gradients),
        options(options), progress(progress) {
    for (func::FuncOp segment : model.segments())
      segment.walk([&](ir::QuantizeWeightOp op) {
        wanted[weightNameOf(op.getSource())] = op.getType().getRows();
      });
  }

  StatusOr<Curvature> run() {
    for (iteration = 0; iteration < options.iterations; ++iteration) {
      bool last = iteration + 1 == options.iterations;
      QOPT_RETURN_IF_ERROR(gradients.backward(
          options.seed + uint64_t(iteration), last ? 1 : options.coarse,
          {.isDone = [&](size_t layer) { return store.has(markOf(layer)); },
           .enter = [&](size_t layer) { return enter(layer); },
           .leave = [&](size_t layer) { return leave(layer, last); },
           .observe =
               [&](int64_t sequence, const ObservedWeights &weights) {
                 if (!calibrate::isHeldOut(sequence))
                   addSequence(weights);
               }}));
    }
    return Curvature(store);
  }

private:
  /// An entry that says that a layer is done.
  std::string markOf(size_t layer) const {
    return "curvature-" + std::to_string(iteration) + "-" +
           std::to_string(layer);
  }
  /// Where a side of a weight is after an iteration but the last.
  static std::string stepOf(int iteration, const std::string &name,
                            const char *side) {
    return "power-" + std::to_string(iteration) + "-" + side + "-" + name;
  }

  Status enter(size_t layer);
  Status leave(size_t layer, bool last);
  void scale(std::vector<float> &sums, int64_t rows) const;
  void addSequence(const ObservedWeights &weights);
  void addProduct(const std::string &name, const Tensor &x, const Tensor &g);
  void addLookup(const std::string &name, const Tensor &ids, const Tensor &g);

  CalibrationModel &model;
  const CalibrationStore &store;
  ModelGradients &gradients;
  const CurvatureOptions &options;
  const Progress &progress;
  int iteration = 0;
  Status unreadable;                     ///< an entry of the iteration before
  std::map<std::string, int64_t> wanted; ///< rows of what is quantized, by name
  /// Of one layer.
  std::map<std::string, ProductSums> products;
  std::map<std::string, LookupSums> lookups;
};

} // namespace

static std::string productOf(const std::string &name, const char *side) {
  return std::string("product-") + side + "-" + name;
}

static std::string lookupOf(const std::string &name, const char *side) {
  return std::string("lookup-") + side + "-" + name;
}

Status CurvatureRun::enter(size_t layer) {
  auto count = double(model.segments().size());
  if (progress)
    progress("measuring curvature",
             (iteration + 1 - double(layer + 1) / count) / options.iterations);
  products.clear();
  lookups.clear();
  return Status();
}

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
    StatusOr<std::vector<float>> input = std::vector<float>(),
                                 output = std::vector<float>();
    if (iteration > 0) {
      input = store.getFloats(stepOf(iteration - 1, name, "input"));
      output = store.getFloats(stepOf(iteration - 1, name, "output"));
    }
    if (!input.ok() || !output.ok()) {
      unreadable = input.ok() ? output.status() : input.status();
      return;
    }
    weight.input =
        CurvatureFactor(columns, /*isDiagonal=*/false, std::move(*input));
    weight.output = CurvatureFactor(rows, rows > mostOutputsPerInput * columns,
                                    std::move(*output));
  }
  weight.rows = tokens;
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
    table.gradients = SecondMoment(g.shape().back());
    table.uses.resize(size_t(wanted[name]));
  }
  table.rows = ids.elements();
  table.gradients.add(g.as<float>(), ids.elements(), nullptr, model.threads());
  for (int32_t row : lookedUpRows(ids, wanted[name]))
    ++table.uses[size_t(row)];
}

/// H_I and the diagonal of H_O of a table. A token that the text does not have
/// counts as half a use: others may have it.
static CurvatureFactors factorsOf(const LookupSums &table) {
  CurvatureFactors factors;
  factors.input = table.gradients.matrix();
  auto tokens = double(table.gradients.tokens());
  for (float &value : factors.input)
    value = float(value / tokens);
  double all = tokens + 0.5 * double(table.uses.size());
  for (int64_t uses : table.uses)
    factors.output.push_back(float((double(uses) + 0.5) / all));
  return factors;
}

/// Of a mean over rows that are read makes one over terms of the loss, of which
/// a sample has another number where a graph reads more than it predicts.
void CurvatureRun::scale(std::vector<float> &sums, int64_t rows) const {
  if (rows == gradients.termsOfLoss())
    return;
  auto factor = float(double(rows) / double(gradients.termsOfLoss()));
  for (float &value : sums)
    value *= factor;
}

Status CurvatureRun::leave(size_t layer, bool last) {
  QOPT_RETURN_IF_ERROR(unreadable);
  for (auto &[name, weight] : products) {
    QOPT_RETURN_IF_ERROR(store.put(last ? productOf(name, "input")
                                        : stepOf(iteration, name, "input"),
                                   weight.input.normalized()));
    std::vector<float> output =
        last ? weight.output.mean() : weight.output.normalized();
    if (last)
      scale(output, weight.rows);
    QOPT_RETURN_IF_ERROR(store.put(last ? productOf(name, "output")
                                        : stepOf(iteration, name, "output"),
                                   output));
  }
  if (last)
    for (auto &[name, table] : lookups) {
      CurvatureFactors factors = factorsOf(table);
      scale(factors.input, table.rows);
      QOPT_RETURN_IF_ERROR(store.put(lookupOf(name, "input"), factors.input));
      QOPT_RETURN_IF_ERROR(store.put(lookupOf(name, "output"), factors.output));
    }
  return store.put(markOf(layer), std::string());
}

bool Curvature::hasProduct(const std::string &weight) const {
  return store && store->has(productOf(weight, "output"));
}

bool Curvature::hasLookup(const std::string &weight) const {
  return store && store->has(lookupOf(weight, "output"));
}

static StatusOr<CurvatureFactors> readFactors(const CalibrationStore &store,
                                              const std::string &input,
                                              const std::string &output) {
  auto ofInput = store.getFloats(input), ofOutput = store.getFloats(output);
  if (!ofInput.ok())
    return ofInput.status();
  if (!ofOutput.ok())
    return ofOutput.status();
  return CurvatureFactors{std::move(*ofInput), std::move(*ofOutput)};
}

StatusOr<CurvatureFactors> Curvature::product(const std::string &weight) const {
  return readFactors(*store, productOf(weight, "input"),
                     productOf(weight, "output"));
}

StatusOr<CurvatureFactors> Curvature::lookup(const std::string &weight) const {
  return readFactors(*store, lookupOf(weight, "input"),
                     lookupOf(weight, "output"));
}

StatusOr<Curvature> measureCurvature(CalibrationModel &model,
                                     ModelGradients &gradients,
                                     const CurvatureOptions &options,
                                     const Progress &progress) {
  return CurvatureRun(model, gradients, options, progress).run();
}

} // namespace qopt::driver
