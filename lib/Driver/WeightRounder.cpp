// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/WeightRounder.h"
#include "lib/Quant/Algorithm.h"
#include "lib/Quant/Storage.h"
#include "lib/Quant/algorithms/ChannelScales.h"
#include "lib/Quant/algorithms/MatrixAlgorithm.h"
#include "passes/Quantize/ChannelSite.h"
#include <algorithm>

using namespace mlir;

namespace qopt::driver {

/// What share of the input's factor is the curvature's own (blendMoments).
constexpr float curvatureShare = 0.3f;

namespace {

/// The moments of one weight, as algorithms ask for them.
class WeightMetrics {
public:
  /// None: what a linear reads was not observed, it has no curvature, no token
  /// looks the weight up.
  WeightMetrics(const Observation *observed, int64_t rows,
                std::optional<CurvatureFactors> ofProduct,
                std::optional<CurvatureFactors> ofLookup)
      : rows(rows), product(std::move(ofProduct)), lookup(std::move(ofLookup)) {
    if (!observed)
      return;
    plain = observed->moment.matrix();
    heldOut = observed->heldOut.matrix();
    mean = observed->mean();
    heldOutMean = observed->heldOutMean();
    if (!product)
      return;
    const float before = largestOf(heldOut);
    auto size = int64_t(observed->moment.size());
    blended = quant::blendMoments(product->input.data(), plain.data(), size,
                                  curvatureShare);
    // As long as the curvature's own factor: it then costs KL.
    heldOut = quant::blendMoments(product->input.data(), heldOut.data(), size,
                                  /*share=*/0);
    heldOutScale = before > 0 ? largestOf(heldOut) / before : 0;
  }

  /// Of the activations alone, or of the table's gradients.
  quant::Metric activations() const {
    return {.inputMoment = plain.empty() ? lookup->input.data() : plain.data()};
  }
  /// Of the predictions, where gradients reached the linear.
  quant::Metric predictions() const {
    return product ? product->metric(blended.data(), rows) : activations();
  }
  /// On sequences that no algorithm saw; what tokens look up has one metric.
  quant::Metric judge() const {
    if (product)
      return product->metric(heldOut.data(), rows);
    if (plain.empty())
      return lookup->metric(lookup->input.data(), rows);
    return {.inputMoment = heldOut.data()};
  }
  /// RoundedWeight::divergence of the values.
  double divergence(const quant::MatrixView &weights, const float *values,
                    unsigned threads) const {
    double error = quant::weightError(weights, values, judge(), threads);
    if (lookup && !plain.empty()) // a weight that is both
      error += quant::weightError(
          weights, values, lookup->metric(lookup->input.data(), rows), threads);
    return error / 2;
  }

  /// What a bias gains, and what that changes of the divergence: nothing where
  /// held-out text does not confirm it.
  std::pair<std::vector<float>, double>
  biasCorrection(const quant::MatrixView &weights, const float *values) const {
    if (mean.empty())
      return {};
    std::vector<float> correction =
        quant::biasCorrection(weights, values, mean.data());
    double change = heldOutScale *
                    quant::correctionCost(weights, values, heldOutMean.data(),
                                          correction, judge()) /
                    2;
    if (!(change < 0))
      return {};
    return {std::move(correction), change};
  }

private:
  /// Of a moment's diagonal, where every element is at most.
  static float largestOf(const std::vector<float> &moment) {
    return *std::max_element(moment.begin(), moment.end());
  }

  std::vector<float> plain, heldOut, blended; ///< of what linears read
  std::vector<float> mean, heldOutMean;       ///< the same
  float heldOutScale = 1;                     ///< of `heldOut`, to cost KL
  int64_t rows;
  std::optional<CurvatureFactors> product, lookup;
};

} // namespace

struct WeightRounder::Weight {
  std::string name;
  bool hasBias = false; ///< its one linear has, a constant
  std::vector<float> values;
  quant::MatrixView view;
  WeightMetrics metrics;
  RoundingOptions options;

  StatusOr<quant::Candidate> best(const quant::GridShape &shape) const;
  StatusOr<RoundedWeight> roundCodes(const quant::Format &format) const;
  Status roundValues(StoredWeight &result) const;
};

/// The result of the algorithm that was asked for, or of the one that did best.
StatusOr<quant::Candidate>
WeightRounder::Weight::best(const quant::GridShape &shape) const {
  bool choose = options.algorithm == bestAlgorithm;
  std::vector<std::string> names = {options.algorithm};
  if (choose)
    names = {"gptq", "kronecker"};
  std::vector<quant::Candidate> candidates;
  for (const std::string &name : names) {
    bool ofPredictions = name == "kronecker";
    auto matrix = quant::quantizeMatrix(
        *quant::findMatrixAlgorithm(name), shape, view,
        ofPredictions ? metrics.predictions() : metrics.activations(),
        {options.threads, options.refinements});
    if (!matrix.ok())
      return matrix.status();
    candidates.push_back({name, std::move(*matrix)});
  }
  if (!choose)
    return std::move(candidates.front());
  auto choice = quant::chooseCandidate(shape, view, std::move(candidates),
                                       metrics.judge(), options.threads);
  if (!choice.ok())
    return choice.status();
  return std::move(choice->best);
}

StatusOr<RoundedWeight>
WeightRounder::Weight::roundCodes(const quant::Format &format) const {
  auto candidate = best(quant::gridShape(format, view.rows, view.columns));
  if (!candidate.ok())
    return candidate.status();
  RoundedWeight result;
  result.algorithm = candidate->name;
  StoredWeight &weight = result.weight;
  weight.format = format;
  weight.rows = view.rows;
  weight.columns = view.columns;
  weight.allocate();
  quant::store(candidate->matrix,
               {weight.codes(), weight.scales(), weight.zeros()});
  return result;
}

/// Values of another floating point type.
Status WeightRounder::Weight::roundValues(StoredWeight &result) const {
  result.rows = view.rows;
  result.columns = view.columns;
  result.allocate();
  return quant::roundToNearest(result.format,
                               {view.values, 0, view.rows, view.columns}, {},
                               {result.codes(), nullptr, nullptr});
}

WeightRounder::WeightRounder(std::unique_ptr<Weight> weight)
    : weight(std::move(weight)) {}
WeightRounder::WeightRounder(WeightRounder &&) noexcept = default;
WeightRounder &WeightRounder::operator=(WeightRounder &&) noexcept = default;
WeightRounder::~WeightRounder() = default;

static std::vector<float> valuesOf(const StoredWeight &weight) {
  std::vector<float> values(size_t(weight.rows * weight.columns));
  quant::dequantizeRows(weight.format, weight.stored(), weight.rows,
                        weight.columns, values.data());
  return values;
}

/// The factors of one kind of use, where there are any.
static StatusOr<std::optional<CurvatureFactors>>
factorsOf(bool has,
          StatusOr<CurvatureFactors> (Curvature::*read)(const std::string &)
              const,
          const Curvature &curvature, const std::string &name) {
  if (!has)
    return std::optional<CurvatureFactors>();
  auto factors = (curvature.*read)(name);
  if (!factors.ok())
    return factors.status();
  return std::optional<CurvatureFactors>(std::move(*factors));
}

/// Whether the only reader of a weight is a linear with a bias to correct.
static bool hasOwnBias(ir::QuantizeWeightOp op) {
  auto linear = op->hasOneUse()
                    ? dyn_cast<ir::LinearOp>(*op->getUsers().begin())
                    : ir::LinearOp();
  return linear && passes::hasConstantBias(linear);
}

StatusOr<std::optional<WeightRounder>>
WeightRounder::create(ir::QuantizeWeightOp op, const Observations &observed,
                      const RoundingOptions &options) {
  std::string name = weightNameOf(op.getSource());
  const Observation *input = observed.input(name);
  const Curvature &curvature = observed.factors();
  bool hasLookup = curvature.hasLookup(name);
  if (!input && (curvature.hasProduct(name) || !hasLookup))
    return std::optional<WeightRounder>();
  auto product = factorsOf(curvature.hasProduct(name), &Curvature::product,
                           curvature, name);
  auto lookup = factorsOf(hasLookup, &Curvature::lookup, curvature, name);
  auto source = evaluateWeight(op.getSource(), options.threads);
  for (const Status &status :
       {product.status(), lookup.status(), source.status()})
    QOPT_RETURN_IF_ERROR(status);
  std::vector<float> values = valuesOf(*source);
  quant::MatrixView view{values.data(), source->rows, source->columns};
  // The values are a copy, and whatever else asks for the file maps it again.
  releaseSources(op.getSource());
  return std::optional<WeightRounder>(WeightRounder(std::unique_ptr<Weight>(
      new Weight{name, hasOwnBias(op), std::move(values), view,
                 WeightMetrics(input, source->rows, std::move(*product),
                               std::move(*lookup)),
                 options})));
}

std::vector<float> WeightRounder::errorOf(const RoundedWeight &rounded) const {
  std::vector<float> values = valuesOf(rounded.weight);
  for (size_t i = 0; i < values.size(); ++i)
    values[i] -= weight->values[i];
  return values;
}

StatusOr<RoundedWeight>
WeightRounder::round(const quant::Format &format) const {
  StatusOr<RoundedWeight> result = RoundedWeight();
  Status status;
  if (format.isFloat()) {
    result->algorithm = "rtn";
    result->weight.format = format;
    status = weight->roundValues(result->weight);
  } else {
    result = weight->roundCodes(format);
    status = result.status();
  }
  if (!status.ok())
    return Status(status.code(),
                  "weight \"" + weight->name + "\": " + status.message());
  std::vector<float> values = valuesOf(result->weight);
  result->divergence = weight->metrics.divergence(weight->view, values.data(),
                                                  weight->options.threads);
  if (weight->hasBias && !format.isFloat()) {
    auto [correction, change] =
        weight->metrics.biasCorrection(weight->view, values.data());
    result->biasCorrection = std::move(correction);
    result->divergence += change;
  }
  return result;
}

std::string algorithmOf(const CompileOptions &options) {
  bool usual = options.algorithm.empty() && !options.calibrate.empty();
  return usual ? bestAlgorithm : options.algorithm;
}

bool needsText(const std::string &algorithm) {
  return !algorithm.empty() && !ir::symbolizeAlgorithm(algorithm);
}

Status checkAlgorithm(const std::string &name) {
  if (name.empty() || name == bestAlgorithm || name == awqAlgorithm ||
      quant::findMatrixAlgorithm(name))
    return Status();
  return Status(StatusCode::InvalidArgument, "unknown algorithm \"" + name +
                                                 "\"; expected best, awq, " +
                                                 quant::matrixAlgorithmNames());
}

} // namespace qopt::driver
