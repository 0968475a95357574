// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/WeightCalibration.h"
#include "lib/Quant/Storage.h"
#include "lib/Quant/algorithms/FeedbackRounding.h"
#include "lib/Quant/algorithms/GridSearch.h"
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

static StatusOr<StoredWeight> roundWeight(const CanonicalWeight &source,
                                          const quant::Format &format,
                                          const Observation &observed,
                                          const CurvatureFactors *curvature,
                                          unsigned threads) {
  std::vector<float> values(size_t(source.rows * source.columns));
  quant::dequantizeRows(source.format, source.stored(), source.rows,
                        source.columns, values.data());
  quant::MatrixView weights{values.data(), source.rows, source.columns};
  std::vector<float> moment = observed.moment.matrix();
  quant::Metric metric{.inputMoment = moment.data()};
  if (curvature)
    metric = {.inputMoment = curvature->input.data(),
              .outputMoment = curvature->output.data()};
  QOPT_RETURN_IF_ERROR(quant::checkMetric(metric, weights));
  auto factors =
      quant::factorMetric(metric, weights, quant::usualDamping, threads);
  if (!factors.ok())
    return factors.status();
  quant::GridShape shape =
      quant::gridShape(format, source.rows, source.columns);
  auto grid =
      quant::searchGrid(shape, weights, quant::columnCosts(*factors),
                        quant::RangeSteps::forLevels(shape.levels), threads);
  if (!grid.ok())
    return grid.status();
  quant::QuantizedMatrix rounded =
      quant::roundWithFeedback(std::move(*grid), weights, *factors, threads);
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
               unsigned threads) {
  std::string name = weightNameOf(op.getSource());
  auto found = observed.ofWeight.find(name);
  if (found == observed.ofWeight.end() || op.getType().getFormat().isFloat())
    return std::optional<StoredWeight>();
  auto source = evaluateWeight(op.getSource(), threads);
  if (!source.ok())
    return source.status();
  auto factors = observed.curvature.find(name);
  auto result = roundWeight(
      *source, op.getType().getFormat(), *found->second,
      factors == observed.curvature.end() ? nullptr : &factors->second,
      threads);
  if (!result.ok())
    return Status(result.status().code(),
                  "weight \"" + name + "\": " + result.status().message());
  return std::optional<StoredWeight>(std::move(*result));
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
