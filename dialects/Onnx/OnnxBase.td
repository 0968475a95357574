// What the families of onnx ops share: the dialect, operand and attribute kinds, the op base class.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_DIALECTS_ONNX_ONNXBASE_TD
#define QOPT_DIALECTS_ONNX_ONNXBASE_TD

include "mlir/IR/OpBase.td"
include "mlir/IR/BuiltinAttributeInterfaces.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Onnx_Dialect : Dialect {
  let name = "onnx";
  let summary = "the operators of an ONNX file, newest-opset form";
  let description = [{
    One op per ONNX operator; operators of the domain com.microsoft are spelt onnx.ms.Name. The importer brings every
    node to the newest opset's form: axes, shapes and the like are operands, not attributes. An operand or a result that
    the file leaves out has type none. A function argument carries onnx.dims, an array with the name or the size of each
    dimension. Ops of this dialect are raised to qopt or lowered to linalg, never optimised as such.
  }];
  let cppNamespace = "::qopt::onnx";
  let hasConstantMaterializer = 1;
}

/// An operand that the file may leave out, or a result that nobody asked for.
def Onnx_Optional : AnyTypeOf<[AnyTensor, NoneType], "tensor or none">;
/// Axes, sizes, places: what ONNX calls tensor(int64), in some inputs tensor(int32).
def Onnx_IndexTensor : TensorOf<[I32, I64, SI32, SI64]>;
def Onnx_OptionalIndexTensor : AnyTypeOf<[Onnx_IndexTensor, NoneType], "i32 or i64 tensor or none">;

/// ONNX's integers are signed; upstream's I64Attr would hand out unsigned ones.
def Onnx_I64 : TypedSignlessIntegerAttrBase<I64, "int64_t", "64-bit integer attribute">;
/// A flag: ONNX stores 0 or 1.
class Onnx_Flag<string default> : DefaultValuedAttr<BoolAttr, default>;
class Onnx_Int<string default> : DefaultValuedAttr<Onnx_I64, default>;
class Onnx_Float<string default> : DefaultValuedAttr<F32Attr, default>;
def Onnx_OptionalInt : OptionalAttr<Onnx_I64>;
def Onnx_OptionalFloat : OptionalAttr<F32Attr>;
def Onnx_OptionalInts : OptionalAttr<DenseI64ArrayAttr>;

/// One of the words that the ONNX specification lists for an attribute, such as "none" or "tanh".
class Onnx_Word<list<string> words, string default>
    : DefaultValuedAttr<ConfinedAttr<StrAttr, [AttrConstraint<
          CPred<"::llvm::is_contained({" #
                !interleave(!foreach(word, words, "\"" # word # "\""), ", ") #
                "}, ::llvm::cast<::mlir::StringAttr>($_self).getValue())">,
          "one of " # !interleave(words, ", ")>]>, "\"" # default # "\"">;

/// Operands broadcast against each other by NumPy's rules; every element of the result depends on one of each operand.
def Onnx_Broadcasts : NativeOpTrait<"Broadcasts"> { let cppNamespace = "::qopt::onnx"; }
/// The result's element type is i1 whatever the operands' is.
def Onnx_YieldsBool : NativeOpTrait<"YieldsBool"> { let cppNamespace = "::qopt::onnx"; }

/// An ONNX operator without regions. Printed as name, operands, attributes, functional type.
class Onnx_Op<string mnemonic, string text, list<Trait> traits = []>
    : Op<Onnx_Dialect, mnemonic, !listconcat([Pure], traits)> {
  let summary = text;
  let assemblyFormat = "operands attr-dict `:` functional-type(operands, results)";
}

#endif // QOPT_DIALECTS_ONNX_ONNXBASE_TD
