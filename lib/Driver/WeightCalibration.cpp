// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/WeightCalibration.h"
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
  WeightMetrics(const Observation &observed, const CurvatureFactors *curvature)
      : plain(observed.moment.matrix()), heldOut(observed.heldOut.matrix()),
        curvature(curvature) {
    if (curvature)
      blended =
          quant::blendMoments(curvature->input.data(), plain.data(),
                              int64_t(observed.moment.size()), curvatureShare);
  }

  /// Of the activations alone.
  quant::Metric activations() const { return {.inputMoment = plain.data()}; }
  /// Of the predictions, where gradients reached the linear.
  quant::Metric predictions() const {
    return curvature ? quant::Metric{.inputMoment = blended.data(),
                                     .outputMoment = curvature->output.data()}
                     : activations();
  }
  /// On sequences that no algorithm saw.
  quant::Metric judge() const {
    return {.inputMoment = heldOut.data(),
            .outputMoment = curvature ? curvature->output.data() : nullptr};
  }

private:
  std::vector<float> plain, heldOut, blended;
  const CurvatureFactors *curvature;
};

} // namespace

/// The results of the algorithm that was asked for, or of all that may be best.
static StatusOr<std::vector<quant::Candidate>>
candidatesOf(const quant::GridShape &shape, const quant::MatrixView &weights,
             const WeightMetrics &metrics, const RoundingOptions &options) {
  std::vector<std::string> names = {options.algorithm};
  if (options.algorithm == bestAlgorithm)
    names = {"gptq", "kronecker"};
  std::vector<quant::Candidate> candidates;
  for (const std::string &name : names) {
    bool ofPredictions = name == "kronecker";
    auto matrix = quant::quantizeMatrix(
        *quant::findMatrixAlgorithm(name), shape, weights,
        ofPredictions ? metrics.predictions() : metrics.activations(),
        options.threads);
    if (!matrix.ok())
      return matrix.status();
    candidates.push_back({name, std::move(*matrix)});
  }
  return candidates;
}

static StatusOr<StoredWeight> roundWeight(const CanonicalWeight &source,
                                          const quant::Format &format,
                                          const WeightMetrics &metrics,
                                          const RoundingOptions &options) {
  std::vector<float> values(size_t(source.rows * source.columns));
  quant::dequantizeRows(source.format, source.stored(), source.rows,
                        source.columns, values.data());
  quant::MatrixView weights{values.data(), source.rows, source.columns};
  quant::GridShape shape =
      quant::gridShape(format, source.rows, source.columns);
  auto candidates = candidatesOf(shape, weights, metrics, options);
  if (!candidates.ok())
    return candidates.status();
  quant::QuantizedMatrix rounded;
  if (options.algorithm == bestAlgorithm) {
    auto choice = quant::chooseCandidate(shape, weights, std::move(*candidates),
                                         metrics.judge(), options.threads);
    if (!choice.ok())
      return choice.status();
    rounded = std::move(choice->best.matrix);
  } else {
    rounded = std::move(candidates->front().matrix);
  }
  StoredWeight result;
  result.format = format;
  result.rows = source.rows;
  result.columns = source.columns;
  result.allocate();
  quant::store(rounded, {result.codes(), result.scales(), result.zeros()});
  return result;
}

StatusOr<std::optional<StoredWeight>>
quantizeWeight(ir::QuantizeWeightOp op, const Observations &observed,
               const RoundingOptions &options) {
  std::string name = weightNameOf(op.getSource());
  auto found = observed.ofWeight.find(name);
  if (found == observed.ofWeight.end() || op.getType().getFormat().isFloat())
    return std::optional<StoredWeight>();
  auto source = evaluateWeight(op.getSource(), options.threads);
  if (!source.ok())
    return source.status();
  auto factors = observed.curvature.find(name);
  WeightMetrics metrics(*found->second, factors == observed.curvature.end()
                                            ? nullptr
                                            : &factors->second);
  auto result =
      roundWeight(*source, op.getType().getFormat(), metrics, options);
  if (!result.ok())
    return Status(result.status().code(),
                  "weight \"" + name + "\": " + result.status().message());
  return std::optional<StoredWeight>(std::move(*result));
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
