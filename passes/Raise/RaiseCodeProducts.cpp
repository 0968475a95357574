// Quantized files multiply codes: MatMulInteger with its scales in nodes of
// their own, two DequantizeLinear ahead of a product, or QLinearMatMul. Where
// the matrix is constant all of them are one linear, whose weight keeps the
// file's codes and whose sums are of integers.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Onnx/Evaluate/Evaluator.h"
#include "dialects/Onnx/OnnxOps.h"
#include "dialects/Onnx/RaisingLimits.h"
#include "dialects/QOpt/QOptDialect.h"
#include "dialects/QOpt/QOptOps.h"
#include "dialects/QOpt/StoredElements.h"
#include "mlir/IR/Remarks.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "passes/Raise/OnnxBuilder.h"
#include "passes/Raise/OnnxValues.h"
#include "passes/Raise/Passes.h"
#include "passes/Raise/WeightName.h"

#define DEBUG_TYPE "qopt-raise-code-products"

namespace qopt::passes {
#define GEN_PASS_DEF_RAISECODEPRODUCTSPASS
#include "passes/Raise/Passes.h.inc"
} // namespace qopt::passes

using namespace mlir;
using namespace qopt;
using namespace qopt::onnx;

namespace {

ElementsAttr constantOf(Value value) {
  auto constant = value.getDefiningOp<ConstantOp>();
  return constant ? cast<ElementsAttr>(constant.getValue()) : ElementsAttr();
}

/// Columns whose sum of products of two bytes, less zero points, fits 32 bits.
constexpr int64_t longestByteSum = INT32_MAX / (255 * 255);

bool isByte(Type element) { return element.isInteger(8); }

bool hasOneElement(Value value) {
  auto type = typeOf(value);
  return type && type.hasStaticShape() && type.getNumElements() == 1;
}

/// The matrix ahead of one Transpose, for which `asRows` is turned round.
Value throughTranspose(Value value, bool &asRows) {
  auto transpose = value.getDefiningOp<TransposeOp>();
  if (!transpose || transpose.getPerm() != ArrayRef<int64_t>{1, 0})
    return value;
  asRows = !asRows;
  return transpose.getData();
}

/// A constant matrix of codes as a file has it, N × K or transposed.
struct CodeMatrix {
  ElementsAttr data;
  bool transposed = false;
  int64_t rows = 0, columns = 0; ///< N, K

  Type element() const { return data.getElementType(); }
};

/// What `value`, [K, N] or [N, K] where `asRows`, is made of; looks through one
/// Transpose.
std::optional<CodeMatrix> matrixOf(Value value, bool asRows) {
  value = throughTranspose(value, asRows);
  CodeMatrix matrix;
  matrix.transposed = !asRows;
  auto type = typeOf(value);
  matrix.data = constantOf(value);
  if (!matrix.data || !type || type.getRank() != 2 ||
      !isByte(type.getElementType()) || type.getNumElements() == 0)
    return std::nullopt;
  matrix.rows = type.getDimSize(matrix.transposed ? 1 : 0);
  matrix.columns = type.getDimSize(matrix.transposed ? 0 : 1);
  return matrix;
}

/// The constant behind a scale or zero point, one for all rows of a matrix or
/// one for each; null for others.
ElementsAttr parameterOf(Value value, int64_t rows) {
  ElementsAttr data = constantOf(value);
  int64_t count = data ? data.getNumElements() : 0;
  return count == 1 || count == rows ? data : ElementsAttr();
}

/// Numbers of a constant, one a row; nothing where the IR lacks them.
std::optional<std::vector<double>> rowsOf(ElementsAttr data, int64_t rows) {
  auto tensor = HostTensor::ofAttr(data);
  if (!tensor)
    return std::nullopt;
  std::vector<double> numbers = tensor->floats();
  if (numbers.size() == 1)
    numbers.resize(size_t(rows), numbers.front());
  return numbers;
}

/// The zero points of rows; null where all of them are 0 in signed codes.
struct RowZeros {
  ElementsAttr data;
  bool known = true; ///< false: the IR lacks them, or they are no constants
};

RowZeros zerosOf(const CodeMatrix &matrix, Value value, StringRef name) {
  auto type = RankedTensorType::get({matrix.rows}, matrix.element());
  bool isSigned = !matrix.element().isUnsignedInteger();
  if (isAbsent(value)) {
    if (isSigned)
      return {};
    return {DenseElementsAttr::get(type, APInt(8, 0))};
  }
  ElementsAttr data = parameterOf(value, matrix.rows);
  if (!data || data.getElementType() != matrix.element())
    return {{}, false};
  if (ir::areAbsent(data))
    return {ir::absentElements(type, (name + " zero points").str())};
  auto numbers = rowsOf(data, matrix.rows);
  if (!numbers)
    return {{}, false};
  if (isSigned && llvm::all_of(*numbers, [](double z) { return z == 0; }))
    return {};
  SmallVector<APInt> zeros;
  for (double zero : *numbers)
    zeros.push_back(APInt(8, uint64_t(int64_t(zero)), /*isSigned=*/isSigned));
  return {DenseElementsAttr::get(type, zeros)};
}

/// Scales of rows, f32: the product of `factors`, over `divisor` where there is
/// one, rounded as that is computed. Null where they are no f32.
ElementsAttr scalesOf(const CodeMatrix &matrix, StringRef name,
                      ArrayRef<ElementsAttr> factors,
                      ElementsAttr divisor = {}) {
  auto type = RankedTensorType::get({matrix.rows},
                                    Float32Type::get(matrix.data.getContext()));
  SmallVector<ElementsAttr> all(factors);
  if (divisor)
    all.push_back(divisor);
  if (llvm::any_of(all, [](ElementsAttr each) {
        return !each.getElementType().isF32();
      }))
    return {};
  if (llvm::any_of(all, ir::areAbsent))
    return ir::absentElements(type, (name + " scales").str());
  std::vector<float> scales(size_t(matrix.rows), 1.0f);
  for (ElementsAttr factor : factors) {
    auto numbers = rowsOf(factor, matrix.rows);
    if (!numbers)
      return {};
    for (auto [scale, number] : llvm::zip_equal(scales, *numbers))
      scale *= float(number);
  }
  auto divisors = divisor ? rowsOf(divisor, matrix.rows) : std::nullopt;
  if (divisor && !divisors)
    return {};
  for (size_t row = 0; divisors && row < scales.size(); ++row)
    scales[row] /= float((*divisors)[row]);
  return DenseElementsAttr::get(type, ArrayRef(scales));
}

/// The weight with one scale and perhaps zero point a row.
Value makeWeight(PatternRewriter &rewriter, Location loc,
                 const CodeMatrix &matrix, ElementsAttr scales,
                 ElementsAttr zeros) {
  quant::Format format{.element = quant::ElementType::Int8,
                       .granularity = quant::Granularity::Channel,
                       .zero =
                           zeros ? quant::ZeroType::U8 : quant::ZeroType::None};
  MLIRContext *context = rewriter.getContext();
  return ir::WeightOp::create(
      rewriter, loc,
      ir::WeightType::get(context, matrix.rows, matrix.columns, format),
      rewriter.getStringAttr(weightName(matrix.data, loc)), matrix.data, scales,
      zeros, matrix.transposed ? rewriter.getUnitAttr() : UnitAttr(),
      ir::EncodingAttr::get(context, ir::Encoding::DequantizeLinear),
      ElementsAttr(), ElementsAttr());
}

/// What kernels of linears of codes can do.
struct Kernels {
  bool symmetric = false; ///< they take no zero points off the weight's codes
};

/// A pattern that asks what kernels can do.
template <typename Op> struct RaisePattern : OpRewritePattern<Op> {
  RaisePattern(MLIRContext *context, Kernels kernels)
      : OpRewritePattern<Op>(context), kernels(kernels) {}
  Kernels kernels;
};

/// Why zero points are not those of a linear's weight, or an empty string.
StringRef reasonAgainst(const RowZeros &zeros, Kernels kernels) {
  if (!zeros.known)
    return "zero points are of another form";
  return kernels.symmetric && zeros.data
             ? "no kernel takes zero points off the weight"
             : "";
}

/// Why codes are not the left side of a linear, or an empty string.
StringRef reasonAgainst(Value codes, Value scale, Value zero,
                        const CodeMatrix &matrix) {
  auto type = typeOf(codes);
  if (!type || !isByte(type.getElementType()) || type.getRank() < 2 ||
      type.getShape().back() != matrix.columns)
    return "its left side is no batch of rows of 8-bit codes";
  if (!isAbsent(zero) &&
      (!hasOneElement(zero) ||
       OnnxBuilder::elementOf(zero) != type.getElementType()))
    return "its left side has several zero points";
  if (!hasOneElement(scale) || !OnnxBuilder::elementOf(scale).isF32())
    return "its left side has no single scale in f32";
  if (matrix.columns > longestByteSum)
    return "its sums need more than 32 bits";
  return "";
}

/// The activations that codes are, with a zero point of 0 where they have none.
Value fromCodes(PatternRewriter &rewriter, Location loc, Value codes,
                Value scale, Value zero) {
  auto type = typeOf(codes);
  if (isAbsent(zero)) {
    auto scalar = RankedTensorType::get({}, type.getElementType());
    zero = ConstantOp::create(rewriter, loc, scalar,
                              DenseElementsAttr::get(scalar, APInt(8, 0)));
  }
  quant::Format format{.element = quant::ElementType::Int8,
                       .granularity = quant::Granularity::Channel,
                       .zero = quant::ZeroType::U8};
  return ir::FromCodesOp::create(
      rewriter, loc,
      ir::QuantizedType::get(rewriter.getContext(), type.getShape(), format),
      codes, scale, zero);
}

/// The operand of a product beside the one that an Op makes, which is `found`.
template <typename Op> Value otherThan(MulOp product, Op &found) {
  for (auto [x, other] : {std::pair(product.getA(), product.getB()),
                          std::pair(product.getB(), product.getA())})
    if ((found = x.template getDefiningOp<Op>()))
      return other;
  return {};
}

LogicalResult refuse(PatternRewriter &rewriter, Operation *op,
                     StringRef reason) {
  return rewriter.notifyMatchFailure(op, reason);
}

/// Cast(MatMulInteger(x, w)) · (scale of x · scales of w); where both are
/// constants they may be one.
struct RaiseMatMulInteger : RaisePattern<MulOp> {
  using RaisePattern::RaisePattern;
  LogicalResult matchAndRewrite(MulOp op,
                                PatternRewriter &rewriter) const override {
    CastOp cast;
    Value factor = otherThan(op, cast);
    auto product =
        cast ? cast.getX().getDefiningOp<MatMulIntegerOp>() : MatMulIntegerOp();
    if (!product || !factor || op.getC().getType() != cast.getY().getType() ||
        !OnnxBuilder::elementOf(op.getC()).isF32())
      return refuse(rewriter, op, "no product of codes times two scales");
    auto matrix = matrixOf(product.getB(), /*asRows=*/false);
    if (!matrix)
      return refuse(rewriter, op, "the right side is no constant");
    std::string name = weightName(matrix->data, product.getLoc());
    RowZeros zeros = zerosOf(*matrix, product.getBZeroPoint(), name);
    for (auto [scale, rows] : scalesIn(rewriter, factor)) {
      ElementsAttr perRow =
          isRowVector(rows) ? parameterOf(rows, matrix->rows) : ElementsAttr();
      if (!perRow || !reasonAgainst(zeros, kernels).empty() ||
          !reasonAgainst(product.getA(), scale, product.getAZeroPoint(),
                         *matrix)
               .empty())
        continue;
      ElementsAttr ofWeight = scalesOf(*matrix, name, perRow);
      if (!ofWeight)
        continue;
      Value weight =
          makeWeight(rewriter, product.getLoc(), *matrix, ofWeight, zeros.data);
      Value x = fromCodes(rewriter, product.getLoc(), product.getA(), scale,
                          product.getAZeroPoint());
      rewriter.replaceOpWithNewOp<ir::LinearOp>(op, op.getC().getType(), x,
                                                weight, Value(), Value());
      return success();
    }
    return refuse(rewriter, op, "scales or zero points are of another form");
  }

  /// The scale of x and those of w that a factor may be made of.
  static SmallVector<std::pair<Value, Value>>
  scalesIn(PatternRewriter &rewriter, Value factor) {
    if (auto scales = factor.getDefiningOp<MulOp>())
      return {{scales.getA(), scales.getB()}, {scales.getB(), scales.getA()}};
    if (!constantOf(factor))
      return {};
    OnnxBuilder b(rewriter, factor.getLoc());
    return {{b.number(1, rewriter.getF32Type()), factor}};
  }

  /// Whether a tensor has its elements along the last axis alone.
  static bool isRowVector(Value value) {
    auto type = typeOf(value);
    return type && type.hasStaticShape() &&
           (type.getRank() == 0 ||
            type.getNumElements() == type.getShape().back());
  }
};

/// What DequantizeLinear reads, per tensor.
struct Dequantized {
  Value codes, scale, zero;
};

std::optional<Dequantized> dequantizedOf(Value value) {
  auto op = value.getDefiningOp<DequantizeLinearOp>();
  if (!op || op.getBlockSize() != 0 || !OnnxBuilder::elementOf(value).isF32())
    return std::nullopt;
  return Dequantized{op.getX(), op.getScale(), op.getZeroPoint()};
}

/// The weight that DequantizeLinear makes for the right side of a product, [K,
/// N] or [N, K] where `asRows`; null where it is no constant of 8-bit codes.
struct DequantizedMatrix {
  CodeMatrix codes;
  ElementsAttr scales, zeros;
};

std::optional<DequantizedMatrix> dequantizedMatrix(Value value, bool asRows,
                                                   Location loc) {
  value = throughTranspose(value, asRows);
  auto op = value.getDefiningOp<DequantizeLinearOp>();
  auto source = dequantizedOf(value);
  auto matrix = source ? matrixOf(source->codes, asRows) : std::nullopt;
  if (!matrix)
    return std::nullopt;
  // A scale for each of K does not factor out of a sum.
  int64_t axis = op.getAxis() < 0 ? op.getAxis() + 2 : op.getAxis();
  bool isAlongRows = axis == (asRows ? 0 : 1);
  if (!isAlongRows && !hasOneElement(source->scale))
    return std::nullopt;
  std::string name = weightName(matrix->data, loc);
  ElementsAttr scales = parameterOf(source->scale, matrix->rows);
  RowZeros zeros = zerosOf(*matrix, source->zero, name);
  if (!scales || !zeros.known || !(scales = scalesOf(*matrix, name, scales)))
    return std::nullopt;
  return DequantizedMatrix{*matrix, scales, zeros.data};
}

/// x times a matrix, both dequantized.
struct DequantizedProduct {
  Value left, right;
  bool asRows; ///< the right side is [N, K]
  Value bias;  ///< constant, or null
};

/// The linear in the place of `op`; fails with a reason.
LogicalResult raiseDequantized(PatternRewriter &rewriter, Operation *op,
                               const DequantizedProduct &product,
                               Kernels kernels) {
  auto x = dequantizedOf(product.left);
  if (!x)
    return refuse(rewriter, op, "the left side is no DequantizeLinear");
  auto matrix = dequantizedMatrix(product.right, product.asRows, op->getLoc());
  if (!matrix)
    return refuse(rewriter, op,
                  "the right side is no DequantizeLinear of a "
                  "constant with a scale a row");
  if (StringRef reason = reasonAgainst({matrix->zeros}, kernels);
      !reason.empty())
    return refuse(rewriter, op, reason);
  if (StringRef reason =
          reasonAgainst(x->codes, x->scale, x->zero, matrix->codes);
      !reason.empty())
    return refuse(rewriter, op, reason);
  Value weight = makeWeight(rewriter, op->getLoc(), matrix->codes,
                            matrix->scales, matrix->zeros);
  Value codes = fromCodes(rewriter, op->getLoc(), x->codes, x->scale, x->zero);
  rewriter.replaceOpWithNewOp<ir::LinearOp>(
      op, op->getResult(0).getType(), codes, weight, product.bias, Value());
  return success();
}

struct RaiseMatMul : RaisePattern<MatMulOp> {
  using RaisePattern::RaisePattern;
  LogicalResult matchAndRewrite(MatMulOp op,
                                PatternRewriter &rewriter) const override {
    return raiseDequantized(rewriter, op,
                            {op.getA(), op.getB(), /*asRows=*/false, Value()},
                            kernels);
  }
};

/// Where C is a vector whose rows are those of the weight.
struct RaiseGemm : RaisePattern<GemmOp> {
  using RaisePattern::RaisePattern;
  LogicalResult matchAndRewrite(GemmOp op,
                                PatternRewriter &rewriter) const override {
    if (op.getTransA() || !op.getAlpha().isExactlyValue(1.0))
      return refuse(rewriter, op, "not x times a matrix");
    Value bias;
    if (!isAbsent(op.getC())) {
      auto type = typeOf(op.getC());
      int64_t rows = typeOf(op.getY()).getShape().back();
      if (!constantOf(op.getC()) || !op.getBeta().isExactlyValue(1.0) ||
          !type || type.getRank() != 1 || !type.getElementType().isF32() ||
          type.getDimSize(0) != rows)
        return refuse(rewriter, op, "C is no constant vector");
      bias = op.getC();
    }
    return raiseDequantized(
        rewriter, op,
        {op.getA(), op.getB(), static_cast<bool>(op.getTransB()), bias},
        kernels);
  }
};

/// With the factor a_scale · b_scale / y_scale as the weight's scales, codes of
/// scale 1 on both sides.
struct RaiseQLinearMatMul : RaisePattern<QLinearMatMulOp> {
  using RaisePattern::RaisePattern;
  LogicalResult matchAndRewrite(QLinearMatMulOp op,
                                PatternRewriter &rewriter) const override {
    if (StringRef limit = limitOf(op); !limit.empty())
      return refuse(rewriter, op, limit);
    auto matrix = matrixOf(op.getB(), /*asRows=*/false);
    if (!matrix)
      return refuse(rewriter, op, "the right side is no constant");
    ElementsAttr a = parameterOf(op.getAScale(), 1),
                 b = parameterOf(op.getBScale(), matrix->rows),
                 y = parameterOf(op.getYScale(), 1);
    if (!a || !b || !y)
      return refuse(rewriter, op, "its scales are no constants of a row");
    if (StringRef reason = reasonAgainst(op.getA(), op.getAScale(),
                                         op.getAZeroPoint(), *matrix);
        !reason.empty())
      return refuse(rewriter, op, reason);
    std::string name = weightName(matrix->data, op.getLoc());
    RowZeros zeros = zerosOf(*matrix, op.getBZeroPoint(), name);
    ElementsAttr factors = scalesOf(*matrix, name, {a, b}, y);
    if (StringRef reason = reasonAgainst(zeros, kernels); !reason.empty())
      return refuse(rewriter, op, reason);
    if (!factors)
      return refuse(rewriter, op, "scales are of another form");
    OnnxBuilder builder(rewriter, op.getLoc());
    Type f32 = rewriter.getF32Type();
    Value one = builder.number(1, f32);
    Value weight =
        makeWeight(rewriter, op.getLoc(), *matrix, factors, zeros.data);
    Value x =
        fromCodes(rewriter, op.getLoc(), op.getA(), one, op.getAZeroPoint());
    Value product = ir::LinearOp::create(rewriter, op.getLoc(),
                                         typeOf(op.getY()).clone(f32), x,
                                         weight, Value(), Value());
    rewriter.replaceOpWithNewOp<QuantizeLinearOp>(
        op, op.getY().getType(),
        ValueRange{product, one, builder.scalar(op.getYZeroPoint())});
    return success();
  }
};

/// A bias of 32-bit codes that are constants, as f32: it is read once a row.
struct FoldBias : OpRewritePattern<DequantizeLinearOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(DequantizeLinearOp op,
                                PatternRewriter &rewriter) const override {
    auto type = typeOf(op.getY());
    ElementsAttr codes = constantOf(op.getX());
    SmallVector<ElementsAttr> factors;
    if (!codes || !areFactors(op.getScale(), factors) ||
        !codes.getElementType().isInteger(32) || !type || type.getRank() != 1 ||
        !type.hasStaticShape())
      return refuse(rewriter, op, "no constant vector of 32-bit codes");
    if (ir::areAbsent(codes) || llvm::any_of(factors, ir::areAbsent)) {
      rewriter.replaceOpWithNewOp<ConstantOp>(
          op, type, ir::absentElements(type, weightName(codes, op.getLoc())));
      return success();
    }
    Evaluator evaluator({INT64_MAX, INT64_MAX});
    StatusOr<HostTensor> bias = evaluator.evaluate(op.getY());
    if (!bias)
      return refuse(rewriter, op, bias.status().message());
    rewriter.replaceOpWithNewOp<ConstantOp>(op, type, bias->toAttr(type));
    return success();
  }

  /// Whether a scale is a constant or a product of some, as that of a bias
  /// often is: they are appended to `factors`.
  static bool areFactors(Value scale, SmallVectorImpl<ElementsAttr> &factors) {
    if (auto product = scale.getDefiningOp<MulOp>())
      return areFactors(product.getA(), factors) &&
             areFactors(product.getB(), factors);
    factors.push_back(constantOf(scale));
    return bool(factors.back());
  }
};

struct RaiseCodeProducts
    : qopt::passes::impl::RaiseCodeProductsPassBase<RaiseCodeProducts> {
  using RaiseCodeProductsPassBase::RaiseCodeProductsPassBase;

  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns
        .add<RaiseMatMulInteger, RaiseMatMul, RaiseGemm, RaiseQLinearMatMul>(
            &getContext(), Kernels{symmetric});
    patterns.add<FoldBias>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      return signalPassFailure();
    StringRef among =
        symmetric ? ", or no GPU kernel takes its zero points off" : "";
    getOperation().walk([&](Operation *op) {
      if (isa<MatMulIntegerOp, QLinearMatMulOp>(op))
        remark::missed(
            op->getLoc(),
            remark::RemarkOpts::name("NoLinear").category(DEBUG_TYPE))
            << remark::reason("its matrix of codes, scales or zero points are "
                              "no constants with one a row{0}",
                              among);
      else if (auto linear = dyn_cast<ir::LinearOp>(op))
        remark::passed(
            op->getLoc(),
            remark::RemarkOpts::name("LinearOfCodes").category(DEBUG_TYPE))
            << remark::reason("{0} of the file's own codes", spell(linear));
    });
  }

  static std::string spell(ir::LinearOp linear) {
    return "weight " + linear.getWeight().getType().spellFormats();
  }
};

} // namespace
