// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/WeightCalibration.h"
#include "lib/Quant/Algorithm.h"
#include "lib/Quant/Storage.h"
#include "lib/Quant/algorithms/MatrixAlgorithm.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectResourceBlobManager.h"

using namespace mlir;

namespace qopt::driver {

std::string weightKey(ir::QuantizeWeightOp op) {
  auto source = op.getSource().getDefiningOp<ir::WeightOp>();
  return source ? source.getName().str() + " " +
                      quant::spell(op.getType().getFormat())
                : "";
}

/// What share of the input's factor is the curvature's own (blendMoments).
constexpr float curvatureShare = 0.3f;

namespace {

/// The moments of one weight, as algorithms ask for them.
class WeightMetrics {
public:
  /// Null: what a linear reads was not observed, it has no curvature, no token
  /// looks the weight up.
  WeightMetrics(const Observation *observed, const CurvatureFactors *product,
                const CurvatureFactors *lookup)
      : product(observed ? product : nullptr), lookup(lookup) {
    if (!observed)
      return;
    plain = observed->moment.matrix();
    heldOut = observed->heldOut.matrix();
    if (!product)
      return;
    auto size = int64_t(observed->moment.size());
    blended = quant::blendMoments(product->input.data(), plain.data(), size,
                                  curvatureShare);
    // As long as the curvature's own factor: it then costs KL.
    heldOut = quant::blendMoments(product->input.data(), heldOut.data(), size,
                                  /*share=*/0);
  }

  /// Of the activations alone, or of the table's gradients.
  quant::Metric activations() const {
    return {.inputMoment = plain.empty() ? lookup->input.data() : plain.data()};
  }
  /// Of the predictions, where gradients reached the linear.
  quant::Metric predictions() const {
    return product ? product->metric(blended.data()) : activations();
  }
  /// On sequences that no algorithm saw; what tokens look up has one metric.
  quant::Metric judge() const {
    if (product)
      return product->metric(heldOut.data());
    if (plain.empty())
      return lookup->metric(lookup->input.data());
    return {.inputMoment = heldOut.data()};
  }
  /// RoundedWeight::divergence of the values.
  double divergence(const quant::MatrixView &weights, const float *values,
                    unsigned threads) const {
    double error = quant::weightError(weights, values, judge(), threads);
    if (lookup && !plain.empty()) // a weight that is both
      error += quant::weightError(
          weights, values, lookup->metric(lookup->input.data()), threads);
    return error / 2;
  }

private:
  std::vector<float> plain, heldOut, blended; ///< of what linears read
  const CurvatureFactors *product, *lookup;
};

} // namespace

struct WeightRounder::Weight {
  std::string name;
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
        options.threads);
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
  return quant::roundToNearest.quantizeRows(
      result.format, {view.values, 0, view.rows, view.columns}, {},
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

StatusOr<std::optional<WeightRounder>>
WeightRounder::create(ir::QuantizeWeightOp op, const Observations &observed,
                      const RoundingOptions &options) {
  std::string name = weightNameOf(op.getSource());
  const Observation *input = observed.input(name);
  const CurvatureFactors *product = observed.product(name);
  const CurvatureFactors *lookup = observed.lookup(name);
  if (!input && (product || !lookup))
    return std::optional<WeightRounder>();
  auto source = evaluateWeight(op.getSource(), options.threads);
  if (!source.ok())
    return source.status();
  std::vector<float> values = valuesOf(*source);
  quant::MatrixView view{values.data(), source->rows, source->columns};
  return std::optional<WeightRounder>(WeightRounder(std::unique_ptr<Weight>(
      new Weight{name, std::move(values), view,
                 WeightMetrics(input, product, lookup), options})));
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
    result->algorithm = quant::roundToNearest.name;
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
  return result;
}

Status checkAlgorithm(const std::string &name) {
  if (name == bestAlgorithm || quant::findMatrixAlgorithm(name))
    return Status();
  return Status(StatusCode::InvalidArgument, "unknown algorithm \"" + name +
                                                 "\"; expected best, " +
                                                 quant::matrixAlgorithmNames());
}

void readSources(Operation *root) {
  SmallVector<ir::QuantizeWeightOp> ops;
  root->walk([&](ir::QuantizeWeightOp op) { ops.push_back(op); });
  for (ir::QuantizeWeightOp op : ops) {
    // Users say nothing of a weight's format.
    op.getResult().replaceAllUsesWith(op.getSource());
    op.erase();
  }
}

/// An array as a resource of the IR, which owns a copy.
static DenseResourceElementsAttr resource(StringRef name, ShapedType type,
                                          const uint8_t *bytes, size_t count) {
  ArrayRef<char> data(reinterpret_cast<const char *>(bytes), count);
  return DenseResourceElementsAttr::get(
      type, name, HeapAsmResourceBlob::allocateAndCopyWithAlign(data, 64));
}

static Type scaleTypeOf(const quant::Format &format, Builder &builder) {
  return format.scale == quant::ScaleType::F16 ? Type(builder.getF16Type())
                                               : Type(builder.getF32Type());
}

/// The weight of codes in the place of `op`.
static Value storedAt(ir::QuantizeWeightOp op, const StoredWeight &weight) {
  OpBuilder builder(op);
  const quant::Format &format = weight.format;
  auto source = op.getSource().getDefiningOp<ir::WeightOp>();
  int64_t groups = format.granularity == quant::Granularity::Tensor
                       ? 1
                       : quant::groupsPerRow(format, weight.columns);
  int64_t rows =
      format.granularity == quant::Granularity::Tensor ? 1 : weight.rows;
  auto typed = [&](ArrayRef<int64_t> shape, Type element) {
    return RankedTensorType::get(shape, element);
  };
  Type scale = scaleTypeOf(format, builder);
  Type zero =
      format.zero == quant::ZeroType::Float ? scale : builder.getI8Type();
  std::string name = source.getName().str();
  quant::StoredRows stored = weight.stored();
  ElementsAttr codes =
      resource(name + " codes",
               typed({weight.rows, quant::bytesPerRow(format, weight.columns)},
                     builder.getI8Type()),
               stored.codes,
               size_t(quant::codeBytes(format, weight.rows, weight.columns)));
  ElementsAttr scales =
      resource(name + " scales", typed({rows, groups}, scale), stored.scales,
               size_t(quant::scaleBytes(format, weight.rows, weight.columns)));
  ElementsAttr zeros;
  if (!format.isSymmetric())
    zeros =
        resource(name + " zeros", typed({rows, groups}, zero), stored.zeros,
                 size_t(quant::zeroBytes(format, weight.rows, weight.columns)));
  return ir::WeightOp::create(
      builder, source.getLoc(), op.getType(), source.getNameAttr(), codes,
      scales, zeros,
      /*transposed=*/UnitAttr(),
      ir::EncodingAttr::get(builder.getContext(), ir::Encoding::Canonical));
}

void replaceWeights(Operation *root,
                    const std::map<std::string, StoredWeight> &stored) {
  SmallVector<ir::QuantizeWeightOp> ops;
  root->walk([&](ir::QuantizeWeightOp op) { ops.push_back(op); });
  for (ir::QuantizeWeightOp op : ops) {
    auto found = stored.find(weightKey(op));
    if (found == stored.end())
      continue;
    op.getResult().replaceAllUsesWith(storedAt(op, found->second));
    op.erase();
  }
}

} // namespace qopt::driver
