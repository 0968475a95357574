// Kernels that no one wrote by hand.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_GENERATEDOPS_TD
#define QOPT_GENERATEDOPS_TD

include "dialects/QOpt/QOptDialect.td"
include "mlir/IR/SymbolInterfaces.td"

def QOpt_GeneratedOp : QOpt_Op<"generated", [
    AttrSizedOperandSegments, Pure, QOpt_Reify, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "results of a generated kernel";
  let description = [{
    ```
    results = kernel(inputs, sizes)
    ```

    Whatever no qopt op stands for. OutlineKernels makes it from a structured op and puts the kernel, a function on
    memrefs, into the module `kernels`; the plan turns it into one call of machine code. The kernel writes every element
    of its results and reads none of them.

    `kernel` names the function. `inputs` are the tensors it reads, `sizes` the dimensions it needs. `result_sizes`
    says where the dynamic dimensions of the results, first result first, are found among `sizes`.

    Constraints:

    - (C1) `result_sizes` has one entry for each dynamic dimension of the results.
    - (C2) Every entry is a place in `sizes`.
    - (C3) `kernel` is a function with one memref argument for each input and result, one index for each size, and the
      two indices of a range.

    Example:

    ```mlir
    %y = qopt.generated @kernels::@kernel_0(%x) sizes(%n) result_sizes [0] : (tensor<?x4xf32>) -> tensor<?x4xf32>
    ```
  }];
  let arguments = (ins SymbolRefAttr:$kernel, Variadic<AnyRankedTensor>:$inputs, Variadic<Index>:$sizes,
                       DenseI64ArrayAttr:$result_sizes);
  let results = (outs Variadic<AnyRankedTensor>:$outputs);
  let assemblyFormat = [{
    $kernel `(` $inputs `)` `sizes` `(` $sizes `)` `result_sizes` $result_sizes attr-dict `:`
    functional-type($inputs, results)
  }];
  let hasVerifier = 1;
}

#endif // QOPT_GENERATEDOPS_TD
