// Reductions and the steps around them for LowerOnnx: sums, maxima and moments
// along axes as intermediate tensors that keep the reduced axes at size 1. Sums
// of narrow floats are f32.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_PASSES_LOWER_REDUCTIONS_H
#define QOPT_PASSES_LOWER_REDUCTIONS_H

#include "passes/Lower/OnnxLowering.h"
#include "passes/Lower/ScalarMath.h"

namespace qopt {

enum class Reduction { Sum, Product, Max, Min };

class Reductions {
public:
  explicit Reductions(LoweringContext &context) : context(context) {}

  /// The reduction of first(element) over the axes of `like` that `reduced`
  /// marks; `value` has the sizes of `like`. Null when sizes depend on data.
  mlir::Value
  along(mlir::Value like, llvm::ArrayRef<bool> reduced, Reduction kind,
        mlir::Value value,
        llvm::function_ref<mlir::Value(ScalarMath &, Scalar)> first);
  /// Σ (x - mean)² for the sums that `along` gave, and Σ exp(x - largest).
  mlir::Value sumOfSquaredDistances(mlir::Value like,
                                    llvm::ArrayRef<bool> reduced,
                                    mlir::Value sums);
  mlir::Value sumOfExponentials(mlir::Value like, llvm::ArrayRef<bool> reduced,
                                mlir::Value largest);

  /// The number of elements that are reduced into one, an index.
  mlir::Value count(mlir::Value like, llvm::ArrayRef<bool> reduced);
  llvm::SmallVector<mlir::OpFoldResult> sizesOf(mlir::Value like,
                                                llvm::ArrayRef<bool> reduced);
  /// From the indices of `like` to those of a reduced tensor.
  mlir::AffineMap reducedMap(llvm::ArrayRef<bool> reduced);

  /// One or two reduced tensors, element by element.
  mlir::Value map(mlir::Value value, llvm::ArrayRef<mlir::OpFoldResult> sizes,
                  mlir::Type type,
                  llvm::function_ref<mlir::Value(Scalar)> body);
  mlir::Value combine(mlir::Value a, mlir::Value b,
                      llvm::ArrayRef<mlir::OpFoldResult> sizes, mlir::Type type,
                      llvm::function_ref<mlir::Value(Scalar, Scalar)> body);

private:
  mlir::Value elementwise(mlir::ValueRange inputs,
                          llvm::ArrayRef<mlir::OpFoldResult> sizes,
                          mlir::Type type, LoweringContext::PointwiseBody body);

  LoweringContext &context;
};

/// The element type that sums and products of `type` are computed in.
mlir::Type accumulatorType(mlir::Type type);

} // namespace qopt

#endif // QOPT_PASSES_LOWER_REDUCTIONS_H
