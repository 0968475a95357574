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

def Onnx_LoopOp : Op<Onnx_Dialect, "Loop", [RecursiveMemoryEffects, SingleBlock]> {
  let summary = "a body repeated a number of times or until its condition fails";
  let description = [{
    The body takes the iteration (i64 scalar), the condition and the carried values, and yields the condition, the
    carried values and one slice of each scan output.
  }];
  let arguments = (ins Onnx_Optional:$trip_count, Onnx_Optional:$condition, Variadic<AnyTensor>:$initial);
  let results = (outs Variadic<AnyTensor>:$outputs);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "operands attr-dict `:` functional-type(operands, results) $body";
}

def Onnx_YieldOp : Op<Onnx_Dialect, "Yield", [Pure, ReturnLike, Terminator, ParentOneOf<["IfOp", "LoopOp"]>]> {
  let summary = "ends a region with its values";
  let arguments = (ins Variadic<AnyTensor>:$values);
  let assemblyFormat = "($values^ `:` type($values))? attr-dict";
}

#endif // QOPT_DIALECTS_ONNX_CONTROLOPS_TD
