// What the rows of the operator table name: functions that bring a node of any
// opset to the newest form, or build what has no op of its own.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_IMPORT_ONNX_OPS_UPGRADES_H
#define QOPT_LIB_IMPORT_ONNX_OPS_UPGRADES_H

#include "lib/Import/Onnx/NodeContext.h"

namespace qopt::import {

// AxesToInputs.cpp: attributes that became inputs.
Status squeezeAxes(NodeContext &node);  ///< until opset 12: Squeeze and kin
Status reduceAxes(NodeContext &node);   ///< until opset 17: other reductions
Status splitLengths(NodeContext &node); ///< until opset 12; num_outputs from 18
Status softmaxAxis(NodeContext &node);  ///< until opset 12: flattened axes

// Constants.cpp
Status buildConstant(NodeContext &node);
Status buildConstantOfShape(NodeContext &node);

// Conversions.cpp
Status buildCast(NodeContext &node);
Status buildCastLike(NodeContext &node);
Status buildQuantizeLinear(NodeContext &node);
Status buildDequantizeLinear(NodeContext &node);

// QuantizedProducts.cpp
Status buildQGemm(NodeContext &node);
Status buildMatMulIntegerToFloat(NodeContext &node);
Status buildDynamicQuantizeMatMul(NodeContext &node);
Status buildQAttention(NodeContext &node);

// FusedProducts.cpp
Status buildMatMulNBitsMlp(NodeContext &node);
Status buildMatMulNBitsQkv(NodeContext &node);
Status buildMatMulBlockQuantizedFp4Weight(NodeContext &node);
Status buildMatMulBlockQuantizedFp8Weight(NodeContext &node);
Status buildGemmFloat8(NodeContext &node);
Status buildMatMulBnb4(NodeContext &node);

// FusedPositions.cpp
Status buildGemmaRotaryEmbedding(NodeContext &node);
Status buildMRotaryEmbedding(NodeContext &node);
Status buildRelativePositionBias(NodeContext &node);
Status buildGatedRelativePositionBias(NodeContext &node);

// FusedAttention.cpp
Status buildPackedAttention(NodeContext &node);
Status buildPackedMultiHeadAttention(NodeContext &node);
Status buildDecoderMaskedMultiHeadAttention(NodeContext &node);
Status buildDecoderMaskedSelfAttention(NodeContext &node);

// Experts.cpp
Status buildMoE(NodeContext &node);
Status buildQMoE(NodeContext &node);

// QuantizedConvolutions.cpp
Status buildConvInteger(NodeContext &node);
Status buildQLinearConv(NodeContext &node);

// Control.cpp
Status buildIf(NodeContext &node);
Status buildIdentity(NodeContext &node);
Status buildDropout(NodeContext &node);

// Defaults.cpp: defaults written out, values of attributes that are refused.
Status transposePerm(NodeContext &node);
Status convWindow(NodeContext &node);
/// Strides, dilations, pads and the kernel's shape, which is that of `weights`.
StatusOr<mlir::NamedAttrList> convolutionWindow(NodeContext &node,
                                                mlir::Value weights);
Status rangeStash(NodeContext &node);
Status groupNormForm(NodeContext &node);
Status matMulNBitsForm(NodeContext &node);
Status groupQueryForm(NodeContext &node);
Status fusedMatMulForm(NodeContext &node);

} // namespace qopt::import

#endif // QOPT_LIB_IMPORT_ONNX_OPS_UPGRADES_H
