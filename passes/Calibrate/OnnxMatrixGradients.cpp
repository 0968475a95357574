// Onnx operators over rows and matrices, as they are left of attention that was
// not raised.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Onnx/OnnxOps.h"
#include "passes/Calibrate/Gradients.h"
#include "passes/Raise/OnnxBuilder.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::onnx;

namespace {

/// y = softmax(x) along the last axis: dx = y · (dy − Σ dy · y).
struct SoftmaxGradient : UnaryGradientModel<SoftmaxGradient, SoftmaxOp> {
  Value gradientOf(SoftmaxOp op, Value gradient, GradientBuilder &build) const {
    Value x = op.getX(), y = op.getY();
    int64_t rank = cast<RankedTensorType>(x.getType()).getRank();
    if (op.getAxis() != -1 && op.getAxis() != rank - 1) {
      op.emitOpError("is along another axis than the last, which is not "
                     "differentiated");
      return {};
    }
    Value products = build.rowSums(
        x, {y, gradient}, [](ArrayRef<Real> e) { return e[0] * e[1]; });
    return build.elementwise(x, {y, gradient, products}, [](ArrayRef<Real> e) {
      return e[0] * (e[1] - e[2]);
    });
  }
};

/// y = a · b: da = dy · bᵀ and db = aᵀ · dy, summed over the leading axes along
/// which one of them was repeated.
struct MatMulGradients : GradientModel<MatMulGradients, MatMulOp> {
  Gradients gradientsOf(MatMulOp op, Value gradient,
                        const llvm::BitVector &wanted,
                        GradientBuilder &build) const {
    Value a = op.getA(), b = op.getB();
    if (rankOf(a) < 2 || rankOf(b) < 2)
      return op.emitOpError("is a product with a vector, which is not "
                            "differentiated");
    SmallVector<Value> gradients(2);
    if (wanted[0])
      gradients[0] =
          build.sumTo(a, product(gradient, transposed(b, build), sizeOf(a, -2),
                                 sizeOf(a, -1), gradient, build));
    if (wanted[1])
      gradients[1] =
          build.sumTo(b, product(transposed(a, build), gradient, sizeOf(b, -2),
                                 sizeOf(b, -1), gradient, build));
    return gradients;
  }

private:
  static int64_t rankOf(Value x) {
    return cast<RankedTensorType>(x.getType()).getRank();
  }
  /// A static or unknown size, from the end.
  static int64_t sizeOf(Value x, int64_t fromEnd) {
    return cast<RankedTensorType>(x.getType()).getDimSize(rankOf(x) + fromEnd);
  }
  static Value transposed(Value x, GradientBuilder &build) {
    auto perm = llvm::to_vector(llvm::seq<int64_t>(0, rankOf(x)));
    std::swap(perm[perm.size() - 1], perm[perm.size() - 2]);
    return OnnxBuilder(build.b, build.loc).transpose(x, perm);
  }
  /// [rows, columns] with the leading axes of `full`.
  static Value product(Value a, Value b, int64_t rows, int64_t columns,
                       Value full, GradientBuilder &build) {
    auto type = cast<RankedTensorType>(full.getType());
    SmallVector<int64_t> shape(type.getShape().drop_back(2));
    shape.append({rows, columns});
    return MatMulOp::create(build.b, build.loc, type.clone(shape), a, b);
  }
};

} // namespace

void qopt::attachOnnxMatrixGradients(MLIRContext &context) {
  SoftmaxOp::attachInterface<SoftmaxGradient>(context);
  MatMulOp::attachInterface<MatMulGradients>(context);
}
