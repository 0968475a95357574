// What lowering and code generation ask of every operation of the dialect.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_INTERFACES_TD
#define PTX_INTERFACES_TD

include "mlir/IR/OpBase.td"

def Ptx_InstructionOpInterface : OpInterface<"InstructionOpInterface"> {
  let cppNamespace = "::qopt::ptx";
  let description = [{
    An operation that is one PTX instruction. Its results are the instruction's destinations, its operands the sources,
    each in one register. An operation without memory effects becomes assembly that may be moved, merged and dropped;
    every other stays in its place.
  }];
  let methods = [
    InterfaceMethod<"The instruction with `$0`, `$1`, … for the results and then the operands, ending in a semicolon.",
                    "::std::string", "getInstruction", (ins)>,
    InterfaceMethod<"Compute capability that has the instruction, major · 10 + minor.", "int", "getRequiredCapability",
                    (ins), "", "return 80;">,
    InterfaceMethod<"PTX version that has the instruction, major · 10 + minor.", "int", "getRequiredPtxVersion", (ins), "",
                    "return 78;">,
  ];
}

#endif // PTX_INTERFACES_TD
