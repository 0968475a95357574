// The ptx dialect itself, the registers its operations take, and the base classes of its records.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_DIALECT_TD
#define PTX_DIALECT_TD

include "dialects/Ptx/PtxInterfaces.td"
include "mlir/Dialect/LLVMIR/LLVMOpBase.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/OpBase.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Ptx_Dialect : Dialect {
  let name = "ptx";
  let summary = "PTX instructions that NVVM lacks or gets wrong";
  let description = [{
    One operation, one instruction, on values that lie in one register each. A generator uses NVVM where NVVM has the
    instruction and writes it as the hardware means it, and this dialect elsewhere; README.md beside this file says
    which is which. LowerPtx turns the operations into inline assembly.
  }];
  let cppNamespace = "::qopt::ptx";
  let dependentDialects = ["::mlir::LLVM::LLVMDialect"];
  let useDefaultAttributePrinterParser = 1;
  let extraClassDeclaration = [{
    void registerAttributes();
  }];
}

/// An instruction that every architecture with `capability` or more has, from PTX `version` on.
class Ptx_Op<string mnemonic, int capability, int version, list<Trait> traits = []>
    : Op<Ptx_Dialect, mnemonic,
         traits # [DeclareOpInterfaceMethods<Ptx_InstructionOpInterface, ["getInstruction"]>]> {
  code requirements = "int getRequiredCapability() { return " # capability # "; }\n" #
                      "int getRequiredPtxVersion() { return " # version # "; }\n";
  let extraClassDeclaration = requirements;
}

class Ptx_Enum<string name, string description, list<I32EnumAttrCase> cases> : I32EnumAttr<name, description, cases> {
  let cppNamespace = "::qopt::ptx";
  let genSpecializedAttr = 0;
}

class Ptx_EnumAttr<EnumInfo info, string mnemonic> : EnumAttr<Ptx_Dialect, info, mnemonic> {
  let assemblyFormat = "$value";
}

def Ptx_Global : LLVM_PointerInAddressSpace<1>;
def Ptx_Shared : LLVM_PointerInAddressSpace<3>;
def Ptx_Half2 : VectorOfLengthAndType<[2], [F16]>;
def Ptx_BFloat2 : VectorOfLengthAndType<[2], [BF16]>;
def Ptx_Pack : AnyTypeOf<[Ptx_Half2, Ptx_BFloat2, VectorOfLengthAndType<[2], [I16]>, VectorOfLengthAndType<[4], [I8]>],
                         "four bytes as a vector">;
/// What one 16-, 32- or 64-bit register holds.
def Ptx_Register : AnyTypeOf<[I16, I32, I64, F16, BF16, F32, F64, Ptx_Pack], "a value of one register">;

#endif // PTX_DIALECT_TD
