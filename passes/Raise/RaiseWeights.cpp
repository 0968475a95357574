// Products with constant matrices and look-ups in constant tables become ops on
// `!qopt.weight`. The weight's bytes stay where they are: the ops that are made
// here describe how the file stores them.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Onnx/OnnxDialect.h"
#include "dialects/Onnx/OnnxOps.h"
#include "dialects/QOpt/QOptDialect.h"
#include "dialects/QOpt/QOptOps.h"
#include "dialects/QOpt/StoredElements.h"
#include "lib/Quant/Format.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "passes/Raise/OnnxValues.h"
#include "passes/Raise/Passes.h"
#include "passes/Raise/WeightName.h"

namespace qopt::passes {
#define GEN_PASS_DEF_RAISEWEIGHTSPASS
#include "passes/Raise/Passes.h.inc"
} // namespace qopt::passes

using namespace mlir;
using namespace qopt;
using namespace qopt::onnx;

namespace {

/// A constant matrix as a file has it: `transposed` means that it stores [K,
/// N].
struct Matrix {
  ElementsAttr data;
  bool transposed = false;
  int64_t rows = 0, columns = 0; ///< N, K
};

bool isFloat(Type element) {
  return element.isF32() || element.isF16() || element.isBF16();
}

std::optional<quant::ElementType> floatElement(Type element) {
  if (element.isF32())
    return quant::ElementType::F32;
  if (element.isF16())
    return quant::ElementType::F16;
  if (element.isBF16())
    return quant::ElementType::BF16;
  return std::nullopt;
}

/// The codes of an array that DequantizeLinear reads.
std::optional<quant::ElementType> codeElement(Type element) {
  if (element.isInteger(8))
    return quant::ElementType::Int8;
  if (element.isInteger(4))
    return quant::ElementType::Int4;
  if (isa<Float8E4M3FNType>(element))
    return quant::ElementType::Fp8E4m3;
  if (isa<Float8E5M2Type>(element))
    return quant::ElementType::Fp8E5m2;
  if (isa<Float4E2M1FNType>(element))
    return quant::ElementType::Fp4E2m1;
  return std::nullopt;
}

std::optional<quant::ScaleType> scaleTypeOf(Type element) {
  if (element.isF32())
    return quant::ScaleType::F32;
  if (element.isF16())
    return quant::ScaleType::F16;
  if (element.isBF16())
    return quant::ScaleType::BF16;
  if (isa<Float8E8M0FNUType>(element))
    return quant::ScaleType::E8m0;
  if (isa<Float8E4M3FNType>(element))
    return quant::ScaleType::E4m3;
  return std::nullopt;
}

/// The integers of so many bits that files have packed in bytes.
std::optional<quant::ElementType> integerElement(int64_t bits) {
  if (bits == 8)
    return quant::ElementType::Int8;
  if (bits == 4)
    return quant::ElementType::Int4;
  if (bits == 2)
    return quant::ElementType::Int2;
  return std::nullopt;
}

ElementsAttr constantOf(Value value) {
  auto constant = value.getDefiningOp<ConstantOp>();
  return constant ? cast<ElementsAttr>(constant.getValue()) : ElementsAttr();
}

/// The float matrix that `value` is, where it is read as [N, K] when `asRows`
/// and as [K, N] otherwise; looks through one Transpose of a constant, and one
/// Cast that widens it: the weight is what the file has.
std::optional<Matrix> matrixOf(Value value, bool asRows) {
  auto type = typeOf(value);
  if (!type || type.getRank() != 2 || !isFloat(type.getElementType()))
    return std::nullopt;
  auto skipCast = [&] {
    if (auto cast = value.getDefiningOp<CastOp>();
        cast && isWideningOfMatrix(cast))
      value = cast.getX();
  };
  Matrix matrix;
  matrix.transposed = !asRows;
  skipCast();
  if (auto transpose = value.getDefiningOp<TransposeOp>()) {
    if (transpose.getPerm() != ArrayRef<int64_t>{1, 0})
      return std::nullopt;
    value = transpose.getData();
    matrix.transposed = asRows;
    skipCast();
  }
  matrix.data = constantOf(value);
  if (!matrix.data || !type.hasStaticShape())
    return std::nullopt;
  matrix.rows = type.getDimSize(asRows ? 0 : 1);
  matrix.columns = type.getDimSize(asRows ? 1 : 0);
  if (matrix.rows == 0 || matrix.columns == 0)
    return std::nullopt;
  return matrix;
}

Value makeWeight(PatternRewriter &rewriter, Location loc,
                 const Matrix &matrix) {
  auto element = floatElement(matrix.data.getElementType());
  auto format = quant::floatFormat(*element);
  auto type = ir::WeightType::get(rewriter.getContext(), matrix.rows,
                                  matrix.columns, format);
  return ir::WeightOp::create(
      rewriter, loc, type, rewriter.getStringAttr(weightName(matrix.data, loc)),
      matrix.data, ElementsAttr(), ElementsAttr(),
      matrix.transposed ? rewriter.getUnitAttr() : UnitAttr(),
      ir::EncodingAttr::get(rewriter.getContext(), ir::Encoding::Canonical),
      ElementsAttr(), ElementsAttr());
}

/// A constant vector [N] (or one that only has further axes of size 1).
Value vectorOperand(PatternRewriter &rewriter, Value value, int64_t size) {
  auto type = typeOf(value);
  ElementsAttr data = constantOf(value);
  if (!data || !type.hasStaticShape() || type.getNumElements() != size ||
      type.getRank() == 0 || type.getShape().back() != size ||
      !isFloat(type.getElementType()))
    return {};
  auto vector = RankedTensorType::get({size}, type.getElementType());
  if (type == vector)
    return value;
  if (auto resource = dyn_cast<DenseResourceElementsAttr>(data))
    data = DenseResourceElementsAttr::get(vector, resource.getRawHandle());
  else
    data = cast<DenseElementsAttr>(data).reshape(vector);
  return ConstantOp::create(rewriter, value.getLoc(), vector, data);
}

struct RaiseMatMul : OpRewritePattern<MatMulOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(MatMulOp op,
                                PatternRewriter &rewriter) const override {
    auto matrix = matrixOf(op.getB(), /*asRows=*/false);
    if (!matrix)
      return rewriter.notifyMatchFailure(op, "the right side is no constant");
    auto x = typeOf(op.getA());
    if (!x || x.getRank() < 2 || x.getShape().back() != matrix->columns)
      return rewriter.notifyMatchFailure(op, "the left side is no batch of "
                                             "rows");
    Value weight = makeWeight(rewriter, op.getLoc(), *matrix);
    rewriter.replaceOpWithNewOp<ir::LinearOp>(
        op, op.getY().getType(), op.getA(), weight, Value(), Value());
    return success();
  }
};

struct RaiseGemm : OpRewritePattern<GemmOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(GemmOp op,
                                PatternRewriter &rewriter) const override {
    auto matrix = matrixOf(op.getB(), op.getTransB());
    if (!matrix || op.getTransA() || !op.getAlpha().isExactlyValue(1.0))
      return rewriter.notifyMatchFailure(op, "not x times a constant matrix");
    Value bias;
    if (!isAbsent(op.getC())) {
      bias = vectorOperand(rewriter, op.getC(), matrix->rows);
      if (!bias || !op.getBeta().isExactlyValue(1.0))
        return rewriter.notifyMatchFailure(op, "C is no constant vector");
    }
    Value weight = makeWeight(rewriter, op.getLoc(), *matrix);
    rewriter.replaceOpWithNewOp<ir::LinearOp>(op, op.getY().getType(),
                                              op.getA(), weight, bias, Value());
    return success();
  }
};

/// linear(x) + constant vector: the bias of the linear.
struct RaiseBias : OpRewritePattern<AddOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(AddOp op,
                                PatternRewriter &rewriter) const override {
    for (auto [x, other] :
         {std::pair(op.getA(), op.getB()), std::pair(op.getB(), op.getA())}) {
      auto linear = x.getDefiningOp<ir::LinearOp>();
      if (!linear || linear.getBias() || linear.getResidual() ||
          !x.hasOneUse() || x.getType() != op.getC().getType())
        continue;
      Value bias = vectorOperand(rewriter, other, typeOf(x).getShape().back());
      if (!bias)
        continue;
      rewriter.replaceOpWithNewOp<ir::LinearOp>(
          op, op.getC().getType(), linear.getX(), linear.getWeight(), bias,
          Value());
      return success();
    }
    return rewriter.notifyMatchFailure(op, "no linear plus constant vector");
  }
};

struct RaiseEmbedding : OpRewritePattern<GatherOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(GatherOp op,
                                PatternRewriter &rewriter) const override {
    auto matrix = matrixOf(op.getData(), /*asRows=*/true);
    if (!matrix || op.getAxis() != 0)
      return rewriter.notifyMatchFailure(op, "no rows of a constant matrix");
    auto ids = typeOf(op.getIndices());
    if (!ids || ids.getRank() == 0)
      return rewriter.notifyMatchFailure(op, "the indices are a scalar");
    Value weight = makeWeight(rewriter, op.getLoc(), *matrix);
    rewriter.replaceOpWithNewOp<ir::EmbeddingOp>(op, op.getResult().getType(),
                                                 op.getIndices(), weight);
    return success();
  }
};

quant::Format blockFormat(quant::ElementType element, int64_t block,
                          quant::ZeroType zero, quant::ScaleType scale) {
  auto format = quant::groupFormat(element, block, zero);
  format.scale = scale;
  return format;
}

/// The weight that B, scales and zero points of com.microsoft::MatMulNBits are.
Value blockWeight(PatternRewriter &rewriter, Location loc, int64_t rows,
                  int64_t columns, int64_t bits, int64_t block, Value codes,
                  Value scales, Value zeros) {
  ElementsAttr data = constantOf(codes), scaleData = constantOf(scales);
  ElementsAttr zeroData = isAbsent(zeros) ? ElementsAttr() : constantOf(zeros);
  if (!data || !scaleData || (!isAbsent(zeros) && !zeroData))
    return {};
  auto scale = scaleTypeOf(scaleData.getElementType());
  auto element = integerElement(bits);
  if (!scale || !isFloat(scaleData.getElementType()) || !element || rows < 1 ||
      columns < 1)
    return {};
  // Zero points are packed codes, or fractions in the scales' type.
  bool fractions =
      zeroData && zeroData.getElementType() == scaleData.getElementType();
  if (zeroData && !fractions && !zeroData.getElementType().isInteger(8))
    return {};
  quant::Format format = blockFormat(*element, block,
                                     fractions  ? quant::ZeroType::Float
                                     : zeroData ? quant::ZeroType::U8
                                                : quant::ZeroType::None,
                                     *scale);
  auto blob = RankedTensorType::get(
      {rows, (columns + block - 1) / block, block * bits / 8},
      data.getElementType());
  auto resource = dyn_cast<DenseResourceElementsAttr>(data);
  if (data.getNumElements() != blob.getNumElements())
    return {};
  // A table may be stored flat, [rows, columns / 2]; the bytes are the same.
  if (data.getShapedType() != blob)
    data = resource ? ElementsAttr(DenseResourceElementsAttr::get(
                          blob, resource.getRawHandle()))
                    : ElementsAttr(cast<DenseElementsAttr>(data).reshape(blob));
  return ir::WeightOp::create(
      rewriter, loc,
      ir::WeightType::get(rewriter.getContext(), rows, columns, format),
      rewriter.getStringAttr(weightName(data, loc)), data, scaleData, zeroData,
      UnitAttr(),
      ir::EncodingAttr::get(rewriter.getContext(), ir::Encoding::MatMulNBits),
      ElementsAttr(), ElementsAttr());
}

struct RaiseMatMulNBits : OpRewritePattern<MSMatMulNBitsOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(MSMatMulNBitsOp op,
                                PatternRewriter &rewriter) const override {
    if (!isAbsent(op.getGIdx()))
      return rewriter.notifyMatchFailure(op, "permuted groups");
    Value bias;
    if (!isAbsent(op.getBias()))
      bias = vectorOperand(rewriter, op.getBias(), op.getN());
    if (!isAbsent(op.getBias()) && !bias)
      return rewriter.notifyMatchFailure(op, "the bias is no constant");
    Value weight = blockWeight(rewriter, op.getLoc(), op.getN(), op.getK(),
                               op.getBits(), op.getBlockSize(), op.getB(),
                               op.getScales(), op.getZeroPoints());
    if (!weight)
      return rewriter.notifyMatchFailure(op, "codes, scales or zero points are "
                                             "not of a known form");
    rewriter.replaceOpWithNewOp<ir::LinearOp>(op, op.getY().getType(),
                                              op.getA(), weight, bias, Value());
    return success();
  }
};

/// Rows of bytes with packed codes; of other elements ExpandMicrosoft makes
/// DequantizeLinear and Gather.
struct RaiseGatherBlockQuantized : OpRewritePattern<MSGatherBlockQuantizedOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(MSGatherBlockQuantizedOp op,
                                PatternRewriter &rewriter) const override {
    auto result = typeOf(op.getResult());
    Value codes = op.getData();
    auto table = typeOf(codes);
    if (auto reshape = codes.getDefiningOp<ReshapeOp>())
      codes = reshape.getData();
    if (!table || !result || table.getRank() != 2 || op.getGatherAxis() != 0 ||
        (op.getQuantizeAxis() != 1 && op.getQuantizeAxis() != -1) ||
        !table.getElementType().isInteger(8))
      return rewriter.notifyMatchFailure(op, "no table with blocks in rows");
    Value weight =
        blockWeight(rewriter, op.getLoc(), table.getDimSize(0),
                    result.getShape().back(), op.getBits(), op.getBlockSize(),
                    codes, op.getScales(), op.getZeroPoints());
    if (!weight)
      return rewriter.notifyMatchFailure(op, "codes, scales or zero points are "
                                             "not of a known form");
    rewriter.replaceOpWithNewOp<ir::EmbeddingOp>(op, result, op.getIndices(),
                                                 weight);
    return success();
  }
};

/// The format that DequantizeLinear reads [K, N] in, or [N, K] where it is not
/// `transposed`: blocks along K, or floating point codes with one scale for
/// each of N or for all.
std::optional<quant::Format> formatOf(DequantizeLinearOp op,
                                      ElementsAttr scales, bool transposed) {
  Type type = typeOf(op.getX()).getElementType();
  auto element = codeElement(type);
  auto scale = scaleTypeOf(scales.getElementType());
  if (!element || !scale)
    return std::nullopt;
  bool asymmetric = !isAbsent(op.getZeroPoint());
  // ONNX's unsigned types without a zero point have it at 0, which no symmetric
  // format here means; floating point numbers have none.
  if (type.isUnsignedInteger() != asymmetric)
    return std::nullopt;
  int64_t axis = op.getAxis() < 0 ? op.getAxis() + 2 : op.getAxis();
  int64_t columnAxis = transposed ? 0 : 1;
  quant::Format format = blockFormat(
      *element, op.getBlockSize(),
      asymmetric ? quant::ZeroType::U8 : quant::ZeroType::None, *scale);
  if (op.getBlockSize() == 0) {
    bool isTensor = scales.getShapedType().getRank() == 0;
    if (!isa<FloatType>(type) || (!isTensor && axis == columnAxis))
      return std::nullopt;
    format.granularity =
        isTensor ? quant::Granularity::Tensor : quant::Granularity::Channel;
  } else if (axis != columnAxis) {
    return std::nullopt;
  }
  if (!quant::formatFault(format).empty())
    return std::nullopt;
  return format;
}

/// Scales of e4m3 that DequantizeLinear multiplies by one f32 (NVFP4).
struct FloatScales {
  ElementsAttr codes, unit;
};

std::optional<FloatScales> floatScalesOf(Value scale) {
  auto op = scale.getDefiningOp<DequantizeLinearOp>();
  if (!op || !isAbsent(op.getZeroPoint()))
    return std::nullopt;
  ElementsAttr codes = constantOf(op.getX()), unit = constantOf(op.getScale());
  if (!codes || !unit || !isa<Float8E4M3FNType>(codes.getElementType()) ||
      codes.getShapedType().getRank() != 2 || !unit.getElementType().isF32() ||
      unit.getNumElements() != 1)
    return std::nullopt;
  return FloatScales{codes, unit};
}

/// Those of rows in canonical storage: the f32, then the row's codes.
ElementsAttr canonicalScales(const FloatScales &scales, bool transposed,
                             StringRef name) {
  ArrayRef<int64_t> shape = scales.codes.getShapedType().getShape();
  int64_t rows = shape[transposed ? 1 : 0], groups = shape[transposed ? 0 : 1],
          rowBytes = int64_t(sizeof(float)) + groups;
  MLIRContext *context = scales.codes.getContext();
  auto type =
      RankedTensorType::get({rows, rowBytes}, IntegerType::get(context, 8));
  if (ir::areAbsent(scales.codes))
    return ir::absentElements(type, (name + " scales").str());
  auto codes = ir::StoredElements::of(scales.codes),
       unit = ir::StoredElements::of(scales.unit);
  if (!codes || !unit)
    return {};
  std::vector<char> bytes;
  for (int64_t row = 0; row < rows; ++row) {
    llvm::append_range(bytes, unit->bytes());
    for (int64_t g = 0; g < groups; ++g)
      bytes.push_back(codes->bytes()[size_t(transposed ? g * rows + row
                                                       : row * groups + g)]);
  }
  return DenseResourceElementsAttr::get(
      type, (name + " scales").str(),
      HeapAsmResourceBlob::allocateAndCopyWithAlign(bytes, /*align=*/64));
}

/// The weight whose codes a DequantizeLinear reads as [N, K], or as [K, N]
/// where it is `transposed`. Null: it is none, `why` says what hinders.
Value dequantizedWeight(PatternRewriter &rewriter, Location loc,
                        DequantizeLinearOp op, bool transposed,
                        const char *&why) {
  ElementsAttr codes = constantOf(op.getX());
  ElementsAttr scales = constantOf(op.getScale());
  auto floatScales = floatScalesOf(op.getScale());
  bool asymmetric = !isAbsent(op.getZeroPoint());
  ElementsAttr zeros =
      asymmetric ? constantOf(op.getZeroPoint()) : ElementsAttr();
  auto type = typeOf(op.getX());
  why = "codes are no constant matrix";
  if (!codes || (!scales && !floatScales) || (asymmetric && !zeros) ||
      type.getRank() != 2 || type.getNumElements() == 0)
    return {};
  why = "not a format of weights";
  auto format = formatOf(op, scales ? scales : floatScales->codes, transposed);
  if (!format)
    return {};
  why = "the IR lacks scales";
  std::string name = weightName(codes, loc);
  if (!scales)
    scales = canonicalScales(*floatScales, transposed, name);
  if (!scales)
    return {};
  return ir::WeightOp::create(
      rewriter, loc,
      ir::WeightType::get(rewriter.getContext(),
                          type.getDimSize(transposed ? 1 : 0),
                          type.getDimSize(transposed ? 0 : 1), *format),
      rewriter.getStringAttr(name), codes, scales, zeros,
      transposed ? rewriter.getUnitAttr() : UnitAttr(),
      ir::EncodingAttr::get(rewriter.getContext(),
                            ir::Encoding::DequantizeLinear),
      ElementsAttr(), ElementsAttr());
}

/// x times DequantizeLinear of a constant [K, N], or of the transpose of one.
struct RaiseDequantizedMatMul : OpRewritePattern<MatMulOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(MatMulOp op,
                                PatternRewriter &rewriter) const override {
    Value b = op.getB();
    auto transpose = b.getDefiningOp<TransposeOp>();
    if (transpose && transpose.getPerm() == ArrayRef<int64_t>{1, 0})
      b = transpose.getData();
    auto dequantize = b.getDefiningOp<DequantizeLinearOp>();
    if (!dequantize)
      return rewriter.notifyMatchFailure(op, "no dequantized right side");
    const char *why = nullptr;
    Value weight = dequantizedWeight(rewriter, op.getLoc(), dequantize,
                                     /*transposed=*/b == op.getB(), why);
    if (!weight)
      return rewriter.notifyMatchFailure(op, why);
    rewriter.replaceOpWithNewOp<ir::LinearOp>(
        op, op.getY().getType(), op.getA(), weight, Value(), Value());
    return success();
  }
};

/// Rows of DequantizeLinear of a constant [N, K].
struct RaiseDequantizedEmbedding : OpRewritePattern<GatherOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(GatherOp op,
                                PatternRewriter &rewriter) const override {
    auto dequantize = op.getData().getDefiningOp<DequantizeLinearOp>();
    auto ids = typeOf(op.getIndices());
    if (!dequantize || op.getAxis() != 0 || !ids || ids.getRank() == 0)
      return rewriter.notifyMatchFailure(op, "no rows of a dequantized table");
    const char *why = nullptr;
    Value weight = dequantizedWeight(rewriter, op.getLoc(), dequantize,
                                     /*transposed=*/false, why);
    if (!weight)
      return rewriter.notifyMatchFailure(op, why);
    rewriter.replaceOpWithNewOp<ir::EmbeddingOp>(op, op.getResult().getType(),
                                                 op.getIndices(), weight);
    return success();
  }
};

struct RaiseWeights : qopt::passes::impl::RaiseWeightsPassBase<RaiseWeights> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<RaiseMatMul, RaiseGemm, RaiseBias, RaiseEmbedding,
                 RaiseMatMulNBits, RaiseGatherBlockQuantized,
                 RaiseDequantizedMatMul, RaiseDequantizedEmbedding>(
        &getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace
