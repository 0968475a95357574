// Regions that become one launch.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_FUSEDOPS_TD
#define QOPT_FUSEDOPS_TD

include "dialects/QOpt/QOptTypes.td"
include "dialects/QOpt/QOptInterfaces.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"

def QOpt_FusedOp : QOpt_Op<"fused", [IsolatedFromAbove, SingleBlock, RecursiveMemoryEffects]> {
  let summary = "operations that may run as one kernel";
  let description = [{
    ```
    results = body(inputs)
    ```

    The meaning is that of the operations inside; the region only says that they are one launch. The stage "fuse" makes it;
    lowering asks `kernel` for a kernel of that contract or, without one, runs the operations one by one. It is isolated
    from above, so two regions can be compared, costed and outlined by themselves.

    `inputs` are what the body reads, in the order of its arguments. `kernel` is the kernel that was chosen. With kernel
    `linear`, `prologue_tokens` and `epilogue_tokens` say for how many tokens of a step what is ahead of the linear, and
    what is behind it, is part of its launch: in steps of up to the first number it is, then up to the second it is not, and
    so on in turn; in longer steps, or without the attribute, it is a launch of its own. `sum_tokens` says the same of a sum
    ahead of the prologue, which is part of the launch only where the prologue is.

    Constraints:

    - (C1) The body's arguments have the types of the inputs.
    - (C2) The body yields the types of the results.
    - (C3) The body has operations of the qopt, tensor and arith dialects only, and no region of its own.
    - (C4) With `kernel`, the body is what that kernel does. `rotary_append`: rms_norm (or layer_norm without bias) of the heads of queries and of keys,
      which may be absent, with one epsilon; rotary of the queries, which may be absent,
      rotary of the keys with the same table and pairing, kv_append of the rotated keys. `linear`: rms_norm or layer_norm and the
      sum of its result and an input, which may be absent and else is the last result; rms_norm, layer_norm or
      quantize of it, which may be absent; linear of its result, which nothing else reads; then nothing, or gated_activation of both
      halves of a linear without bias and residual, or the operations of rotary_append with queries, or kv_append alone beside
      the queries as they are, on slices of the columns of a linear without residual (which is never the sum); or a chain of activations, sums with an
      input and products with a number, each of the one before. Sizes may be computed between.
    - (C5) Numbers of tokens stand beside kernel `linear`, rise and are not negative.

    Example:

    ```mlir
    %r = qopt.fused (%a = %x, %c = %cos, %s = %sin) : (tensor<?x8x64xf32>, tensor<?x32xf32>, tensor<?x32xf32>) -> tensor<?x8x64xf32> {
      %y = qopt.rotary %a, %c, %s : tensor<?x8x64xf32>, tensor<?x32xf32>
      qopt.yield %y : tensor<?x8x64xf32>
    }
    ```
  }];
  let arguments = (ins Variadic<AnyType>:$inputs, OptionalAttr<QOpt_FusedKernelAttr>:$kernel,
                       OptionalAttr<DenseI64ArrayAttr>:$prologue_tokens,
                       OptionalAttr<DenseI64ArrayAttr>:$sum_tokens,
                       OptionalAttr<DenseI64ArrayAttr>:$epilogue_tokens);
  let results = (outs Variadic<AnyType>:$outputs);
  let regions = (region SizedRegion<1>:$body);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
  let hasRegionVerifier = 1;
}

def QOpt_YieldOp : QOpt_Op<"yield", [Pure, Terminator, ReturnLike, HasParent<"FusedOp">]> {
  let summary = "results of a fused region";
  let description = [{
    Ends the body of `qopt.fused`. `values` are the results of the region, in order.

    Example: see `qopt.fused`.
  }];
  let arguments = (ins Variadic<AnyType>:$values);
  let assemblyFormat = "attr-dict ($values^ `:` type($values))?";
}

#endif // QOPT_FUSEDOPS_TD
