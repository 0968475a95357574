// The onnx dialect: what an ONNX file says, one op per operator in the form of the newest opset. This file holds the
// dialect itself and what the families share; it is the one file that TableGen is run on.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_DIALECTS_ONNX_ONNX_TD
#define QOPT_DIALECTS_ONNX_ONNX_TD

include "dialects/Onnx/OnnxBase.td"
include "dialects/Onnx/ElementwiseOps.td"
include "dialects/Onnx/ShapeOps.td"
include "dialects/Onnx/GatherOps.td"
include "dialects/Onnx/ReduceOps.td"
include "dialects/Onnx/NormOps.td"
include "dialects/Onnx/MatMulOps.td"
include "dialects/Onnx/AttentionOps.td"
include "dialects/Onnx/QuantOps.td"
include "dialects/Onnx/ControlOps.td"
include "dialects/Onnx/MicrosoftOps.td"

#endif // QOPT_DIALECTS_ONNX_ONNX_TD
