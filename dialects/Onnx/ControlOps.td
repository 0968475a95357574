// Operators with regions. A region may use values of the graph around it.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_DIALECTS_ONNX_CONTROLOPS_TD
#define QOPT_DIALECTS_ONNX_CONTROLOPS_TD

include "dialects/Onnx/OnnxBase.td"

def Onnx_IfOp : Op<Onnx_Dialect, "If", [RecursiveMemoryEffects, RecursivelySpeculatable, SingleBlock, NoRegionArguments]> {
  let summary = "the values of one of two branches";
  let description = "The condition is a boolean of one element. Both branches end in onnx.Yield.";
  let arguments = (ins AnyTensor:$condition);
  let results = (outs Variadic<AnyTensor>:$outputs);
  let regions = (region SizedRegion<1>:$then_branch, SizedRegion<1>:$else_branch);
  let assemblyFormat = [{
    $condition attr-dict `:` functional-type(operands, results) $then_branch `else` $else_branch
  }];
}

def Onnx_YieldOp : Op<Onnx_Dialect, "Yield", [Pure, ReturnLike, Terminator, HasParent<"IfOp">]> {
  let summary = "ends a region with its values";
  let arguments = (ins Variadic<AnyTensor>:$values);
  let assemblyFormat = "($values^ `:` type($values))? attr-dict";
}

#endif // QOPT_DIALECTS_ONNX_CONTROLOPS_TD
