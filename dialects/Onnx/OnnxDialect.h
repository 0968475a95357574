// The onnx dialect's class. Most users want OnnxOps.h.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_DIALECTS_ONNX_ONNXDIALECT_H
#define QOPT_DIALECTS_ONNX_ONNXDIALECT_H

#include "mlir/IR/Dialect.h"

#include "dialects/Onnx/OnnxDialect.h.inc"

#endif // QOPT_DIALECTS_ONNX_ONNXDIALECT_H
