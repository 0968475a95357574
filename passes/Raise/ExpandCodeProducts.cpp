// Products of codes that no linear computes: of two tensors that a call brings
// or computes, or for a target without such a linear. Written out, they need no
// patterns and no kernels of their own.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Onnx/OnnxDialect.h"
#include "dialects/Onnx/OnnxOps.h"
#include "dialects/Onnx/RaisingLimits.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "passes/Raise/OnnxBuilder.h"
#include "passes/Raise/Passes.h"

namespace qopt::passes {
#define GEN_PASS_DEF_EXPANDCODEPRODUCTSPASS
#include "passes/Raise/Passes.h.inc"
} // namespace qopt::passes

using namespace mlir;
using namespace qopt::onnx;

namespace {

/// One value for each row of a matrix as a column, so that it broadcasts; one
/// for all, or for each row of a batch [.., M, 1], stays as it is.
Value asColumn(OnnxBuilder &b, Value perRow) {
  return OnnxBuilder::typeOf(perRow).getRank() == 1 ? b.unsqueeze(perRow, {1})
                                                    : perRow;
}

/// Codes less their zero point, which is there or not.
Value centred(OnnxBuilder &b, Value codes, Value zero, bool isRows) {
  Type i32 = b.builder.getI32Type();
  Value wide = b.cast(codes, i32);
  if (isAbsent(zero))
    return wide;
  bool isMatrix = OnnxBuilder::typeOf(codes).getRank() > 1;
  Value offset = isRows && isMatrix ? asColumn(b, zero) : zero;
  return b.binary<SubOp>(wide, b.cast(offset, i32));
}

/// The exact product of two matrices of codes, i32.
Value productOfCodes(OnnxBuilder &b, Value x, Value xZero, Value w, Value wZero,
                     Value result) {
  auto type = OnnxBuilder::typeOf(result).clone(b.builder.getI32Type());
  return MatMulOp::create(b.builder, b.loc, type,
                          centred(b, x, xZero, /*isRows=*/true),
                          centred(b, w, wZero, /*isRows=*/false));
}

struct ExpandMatMulInteger : OpRewritePattern<MatMulIntegerOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(MatMulIntegerOp op,
                                PatternRewriter &rewriter) const override {
    OnnxBuilder b(rewriter, op.getLoc());
    rewriter.replaceOp(op, productOfCodes(b, op.getA(), op.getAZeroPoint(),
                                          op.getB(), op.getBZeroPoint(),
                                          op.getY()));
    return success();
  }
};

/// round(product · (a_scale · b_scale / y_scale)) + zero point: the factor is
/// one number, as onnxruntime has it.
struct ExpandQLinearMatMul : OpRewritePattern<QLinearMatMulOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(QLinearMatMulOp op,
                                PatternRewriter &rewriter) const override {
    if (StringRef limit = limitOf(op); !limit.empty())
      return rewriter.notifyMatchFailure(op, limit);
    OnnxBuilder b(rewriter, op.getLoc());
    Type f32 = rewriter.getF32Type();
    Value product = productOfCodes(b, op.getA(), op.getAZeroPoint(), op.getB(),
                                   op.getBZeroPoint(), op.getY());
    bool isMatrix = OnnxBuilder::typeOf(op.getA()).getRank() > 1;
    Value rows = b.cast(op.getAScale(), f32);
    Value factor = b.binary<MulOp>(isMatrix ? asColumn(b, rows) : rows,
                                   b.cast(op.getBScale(), f32));
    factor = b.binary<DivOp>(factor, b.scalar(b.cast(op.getYScale(), f32)));
    Value y = b.binary<MulOp>(b.cast(product, f32), factor);
    rewriter.replaceOpWithNewOp<QuantizeLinearOp>(
        op, op.getY().getType(),
        ValueRange{y, b.number(1, f32), b.scalar(op.getYZeroPoint())});
    return success();
  }
};

struct ExpandCodeProducts
    : qopt::passes::impl::ExpandCodeProductsPassBase<ExpandCodeProducts> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<ExpandMatMulInteger, ExpandQLinearMatMul>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      return signalPassFailure();
    returnWhatIsThere(getOperation());
  }
};

} // namespace
