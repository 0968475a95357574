// The table of families, by the dialect whose operations they differentiate.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "passes/Calibrate/Gradients.h"

#include "dialects/Onnx/OnnxDialect.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;

void qopt::registerGradients(DialectRegistry &registry) {
  registry.addExtension(+[](MLIRContext *context, ir::QOptDialect *) {
    attachActivationGradients(*context);
    attachRoutingGradients(*context);
    attachAttentionGradients(*context);
    attachLinearGradients(*context);
    attachNormGradients(*context);
  });
  registry.addExtension(+[](MLIRContext *context, onnx::OnnxDialect *) {
    attachOnnxGradients(*context);
    attachOnnxMatrixGradients(*context);
    attachOnnxMoveGradients(*context);
    attachOnnxNormGradients(*context);
  });
  registry.addExtension(
      +[](MLIRContext *context, arith::ArithDialect *, math::MathDialect *) {
        attachArithGradients(*context);
      });
  registry.addExtension(+[](MLIRContext *context, linalg::LinalgDialect *) {
    attachLinalgGradients(*context);
  });
  registry.addExtension(+[](MLIRContext *context, tensor::TensorDialect *) {
    attachShapeGradients(*context);
  });
}
