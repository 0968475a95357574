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

def QOpt_DifferentiableOpInterface : OpInterface<"DifferentiableOpInterface"> {
  let cppNamespace = "::qopt::ir";
  let description = [{
    An operation that can say how a small change of its operands changes what is computed of its results. With y = f(x) and
    a number L that depends on y, the gradient of y is ∂L/∂y, a tensor of y's shape, and the operation builds
    ∂L/∂x = (∂y/∂x)ᵀ · ∂L/∂y. Activations that are quantized count as the real values that they stand for.
  }];
  let methods = [
    InterfaceMethod<"Whether the results' dependence on this operand is followed. It is not where the operand is no real "
                    "number, and where it is what a model computes of positions alone: a mask, a table of angles.",
                    "bool", "isDifferentiable", (ins "::mlir::OpOperand &":$operand), "", "return true;">,
    InterfaceMethod<"Builds the gradients of the operands that `wanted` marks from those of the results, which are null "
                    "where nothing depends on a result. One value an operand; null where it is not wanted or no gradient "
                    "arrives. A failure is an error at the operation.",
                    "::mlir::FailureOr<::llvm::SmallVector<::mlir::Value>>", "buildGradients",
                    (ins "::mlir::OpBuilder &":$builder, "::llvm::ArrayRef<::mlir::Value>":$gradients,
                         "const ::llvm::BitVector &":$wanted)>,
  ];
}

#endif // QOPT_INTERFACES_TD
