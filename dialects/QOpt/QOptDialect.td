// The qopt dialect itself, and the base classes of its records.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_DIALECT_TD
#define QOPT_DIALECT_TD

include "mlir/IR/OpBase.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def QOpt_Dialect : Dialect {
  let name = "qopt";
  let summary = "what a quantized transformer means";
  let description = [{
    Quantized-transformer operations on tensors: linear maps over weights that carry their scales with them, norms,
    rotary embedding, attention, and the state of a decoder. An exported graph is raised into this dialect; every later
    stage reads and rewrites it; kernels are chosen per operation. Why it is as it is: README.md beside this file.
  }];
  let cppNamespace = "::qopt::ir";
  let useDefaultTypePrinterParser = 1;
  let useDefaultAttributePrinterParser = 1;
  let hasOperationAttrVerify = 1;
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::tensor::TensorDialect"];
  let extraClassDeclaration = [{
    void registerAttributes();
    void registerTypes();
  }];
}

class QOpt_Op<string mnemonic, list<Trait> traits = []> : Op<QOpt_Dialect, mnemonic, traits>;

class QOpt_Type<string name, string typeMnemonic, list<Trait> traits = []> : TypeDef<QOpt_Dialect, name, traits> {
  let mnemonic = typeMnemonic;
}

class QOpt_Attr<string name, string attrMnemonic, list<Trait> traits = []> : AttrDef<QOpt_Dialect, name, traits> {
  let mnemonic = attrMnemonic;
}

def QOpt_Reify : DeclareOpInterfaceMethods<ReifyRankedShapedTypeOpInterface, ["reifyResultShapes"]>;

#endif // QOPT_DIALECT_TD
