// What passes ask of many operations.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_INTERFACES_TD
#define QOPT_INTERFACES_TD

include "mlir/IR/OpBase.td"

def QOpt_TokenWiseOpInterface : OpInterface<"TokenWiseOpInterface"> {
  let cppNamespace = "::qopt::ir";
  let description = [{
    An operation that treats each token alone: an operand or result whose shape is [tokens…, features…] keeps that
    meaning when the leading dimensions are replaced by others with the same product. So [batch, sequence, K] may become
    [T, K], and one kernel serves both.
  }];
  let methods = [
    InterfaceMethod<"Number of trailing dimensions of this operand that describe one token, or nothing where the operand "
                    "is the same for all tokens.",
                    "std::optional<int64_t>", "getFeatureRank", (ins "::mlir::OpOperand &":$operand)>,
    InterfaceMethod<"Number of trailing dimensions of each result that describe one token.", "int64_t",
                    "getResultFeatureRank", (ins)>,
  ];
}

def QOpt_WeightUserOpInterface : OpInterface<"WeightUserOpInterface"> {
  let cppNamespace = "::qopt::ir";
  let description = [{
    An operation that computes with a weight: what decides in which format and layout the weight is best stored.
  }];
  let methods = [
    InterfaceMethod<"The operand of type !qopt.weight.", "::mlir::OpOperand &", "getWeightOperand", (ins), [{
      return $_op.getWeightMutable();
    }]>,
    InterfaceMethod<"True when the operation reads single rows of the weight (a look-up); false when it multiplies by all "
                    "of it.",
                    "bool", "looksUpRows", (ins), "", "return false;">,
  ];
}

def QOpt_QuantizingOpInterface : OpInterface<"QuantizingOpInterface"> {
  let cppNamespace = "::qopt::ir";
  let description = [{
    An operation that can write its result as a tensor or, in the same kernel, as a `!qopt.quantized` of the same shape.
    The result is what `qopt.quantize` makes of the tensor.
  }];
  let methods = [
    InterfaceMethod<"The result that may be either.", "::mlir::OpResult", "getQuantizableResult", (ins), [{
      return $_op->getOpResult(0);
    }]>,
  ];
}

#endif // QOPT_INTERFACES_TD
