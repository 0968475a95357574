// Elementwise operators, all with NumPy broadcasting. Where only the formula differs they share a class.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_DIALECTS_ONNX_ELEMENTWISEOPS_TD
#define QOPT_DIALECTS_ONNX_ELEMENTWISEOPS_TD

include "dialects/Onnx/OnnxBase.td"

class Onnx_UnaryOp<string mnemonic, string text, list<Trait> traits = []>
    : Onnx_Op<mnemonic, text, !listconcat([Onnx_Broadcasts], traits)> {
  let arguments = (ins AnyTensor:$x);
  let results = (outs AnyTensor:$y);
}

class Onnx_BinaryOp<string mnemonic, string text, list<Trait> traits = []>
    : Onnx_Op<mnemonic, text, !listconcat([Onnx_Broadcasts], traits)> {
  let arguments = (ins AnyTensor:$a, AnyTensor:$b);
  let results = (outs AnyTensor:$c);
}

class Onnx_CompareOp<string mnemonic, string text> : Onnx_BinaryOp<mnemonic, text, [Onnx_YieldsBool]>;

class Onnx_VariadicOp<string mnemonic, string text> : Onnx_Op<mnemonic, text, [Onnx_Broadcasts]> {
  let arguments = (ins Variadic<AnyTensor>:$inputs);
  let results = (outs AnyTensor:$result);
}

def Onnx_AbsOp : Onnx_UnaryOp<"Abs", "|x|">;
def Onnx_BitwiseNotOp : Onnx_UnaryOp<"BitwiseNot", "~x on integers">;
def Onnx_CeilOp : Onnx_UnaryOp<"Ceil", "smallest integer not below x">;
def Onnx_CosOp : Onnx_UnaryOp<"Cos", "cos(x)">;
def Onnx_ErfOp : Onnx_UnaryOp<"Erf", "error function of x">;
def Onnx_ExpOp : Onnx_UnaryOp<"Exp", "e to the power x">;
def Onnx_FloorOp : Onnx_UnaryOp<"Floor", "largest integer not above x">;
def Onnx_IsNaNOp : Onnx_UnaryOp<"IsNaN", "whether x is not a number", [Onnx_YieldsBool]>;
def Onnx_LogOp : Onnx_UnaryOp<"Log", "natural logarithm of x">;
def Onnx_NegOp : Onnx_UnaryOp<"Neg", "-x">;
def Onnx_NotOp : Onnx_UnaryOp<"Not", "logical not of a boolean", [Onnx_YieldsBool]>;
def Onnx_ReciprocalOp : Onnx_UnaryOp<"Reciprocal", "1 / x">;
def Onnx_ReluOp : Onnx_UnaryOp<"Relu", "max(x, 0)">;
def Onnx_RoundOp : Onnx_UnaryOp<"Round", "nearest integer, halves to even">;
def Onnx_SigmoidOp : Onnx_UnaryOp<"Sigmoid", "1 / (1 + exp(-x))">;
def Onnx_SignOp : Onnx_UnaryOp<"Sign", "-1, 0 or 1">;
def Onnx_SinOp : Onnx_UnaryOp<"Sin", "sin(x)">;
def Onnx_SoftplusOp : Onnx_UnaryOp<"Softplus", "log(exp(x) + 1)">;
def Onnx_SqrtOp : Onnx_UnaryOp<"Sqrt", "square root of x">;
def Onnx_TanhOp : Onnx_UnaryOp<"Tanh", "hyperbolic tangent of x">;

def Onnx_AddOp : Onnx_BinaryOp<"Add", "a + b">;
def Onnx_AndOp : Onnx_CompareOp<"And", "logical and of booleans">;
def Onnx_BitwiseAndOp : Onnx_BinaryOp<"BitwiseAnd", "a & b on integers">;
def Onnx_BitwiseOrOp : Onnx_BinaryOp<"BitwiseOr", "a | b on integers">;
def Onnx_BitwiseXorOp : Onnx_BinaryOp<"BitwiseXor", "a ^ b on integers">;
def Onnx_DivOp : Onnx_BinaryOp<"Div", "a / b, integers towards zero">;
def Onnx_EqualOp : Onnx_CompareOp<"Equal", "a == b">;
def Onnx_GreaterOp : Onnx_CompareOp<"Greater", "a > b">;
def Onnx_GreaterOrEqualOp : Onnx_CompareOp<"GreaterOrEqual", "a >= b">;
def Onnx_LessOp : Onnx_CompareOp<"Less", "a < b">;
def Onnx_LessOrEqualOp : Onnx_CompareOp<"LessOrEqual", "a <= b">;
def Onnx_MulOp : Onnx_BinaryOp<"Mul", "a * b">;
def Onnx_OrOp : Onnx_CompareOp<"Or", "logical or of booleans">;
def Onnx_SubOp : Onnx_BinaryOp<"Sub", "a - b">;
def Onnx_XorOp : Onnx_CompareOp<"Xor", "logical exclusive or of booleans">;

def Onnx_PowOp : Onnx_BinaryOp<"Pow", "a to the power b; element type of a">;

def Onnx_MaxOp : Onnx_VariadicOp<"Max", "elementwise maximum of the operands">;
def Onnx_MinOp : Onnx_VariadicOp<"Min", "elementwise minimum of the operands">;
def Onnx_SumOp : Onnx_VariadicOp<"Sum", "elementwise sum of the operands">;

def Onnx_BitShiftOp : Onnx_BinaryOp<"BitShift", "a shifted by b bits"> {
  let arguments = (ins AnyTensor:$a, AnyTensor:$b, Onnx_Word<["LEFT", "RIGHT"], "LEFT">:$direction);
}

def Onnx_ModOp : Onnx_BinaryOp<"Mod", "remainder of a / b"> {
  let description = "With `fmod` the sign is that of a (C), without it that of b (Python); floats need `fmod`.";
  let arguments = (ins AnyTensor:$a, AnyTensor:$b, Onnx_Flag<"false">:$fmod);
}

def Onnx_IsInfOp : Onnx_UnaryOp<"IsInf", "whether x is infinite", [Onnx_YieldsBool]> {
  let arguments = (ins AnyTensor:$x, Onnx_Flag<"true">:$detect_negative, Onnx_Flag<"true">:$detect_positive);
}

def Onnx_GeluOp : Onnx_UnaryOp<"Gelu", "x times the normal distribution function of x"> {
  let description = [{
    `none`: 0.5 x (1 + erf(x / sqrt 2)); `tanh`: 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))).
  }];
  let arguments = (ins AnyTensor:$x, Onnx_Word<["none", "tanh"], "none">:$approximate);
}

def Onnx_SwishOp : Onnx_UnaryOp<"Swish", "x * sigmoid(alpha * x)"> {
  let arguments = (ins AnyTensor:$x, Onnx_Float<"1.0f">:$alpha);
}

def Onnx_SwiGLUOp : Onnx_BinaryOp<"SwiGLU", "a * sigmoid(alpha * a) * b"> {
  let arguments = (ins AnyTensor:$a, AnyTensor:$b, Onnx_Float<"1.0f">:$alpha);
}

def Onnx_ClipOp : Onnx_Op<"Clip", "x limited to [min, max]", [Onnx_Broadcasts]> {
  let description = "An absent bound does not limit. The bounds are scalars.";
  let arguments = (ins AnyTensor:$x, Onnx_Optional:$min, Onnx_Optional:$max);
  let results = (outs AnyTensor:$y);
}

def Onnx_WhereOp : Onnx_Op<"Where", "x where the condition holds, else y", [Onnx_Broadcasts]> {
  let arguments = (ins AnyTensor:$condition, AnyTensor:$x, AnyTensor:$y);
  let results = (outs AnyTensor:$result);
}

def Onnx_CastOp : Onnx_Op<"Cast", "x converted to the result's element type", [Onnx_Broadcasts]> {
  let description = [{
    Floats to integers truncate; to a narrower float it rounds to nearest even; to boolean it asks x != 0. CastLike is
    imported as this op. `saturate` concerns 8-bit floats only: whether what is too large becomes the largest number.
    `round_mode` concerns f8E8M0FNU only: away from zero, towards it, or to the nearest, ties up.
  }];
  let arguments = (ins AnyTensor:$x, Onnx_Flag<"true">:$saturate,
                       Onnx_Word<["up", "down", "nearest"], "up">:$round_mode);
  let results = (outs AnyTensor:$y);
}

#endif // QOPT_DIALECTS_ONNX_ELEMENTWISEOPS_TD
