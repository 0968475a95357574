// What must hold when a model runs and cannot be known before: of the sizes of its inputs, and of indices in its data.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_CHECKOPS_TD
#define QOPT_CHECKOPS_TD

include "dialects/QOpt/QOptAttrs.td"
include "dialects/QOpt/QOptInterfaces.td"

def QOpt_RequireOp : QOpt_Op<"require"> {
  let summary = "what two sizes must fulfil before a graph runs";
  let description = [{
    ```
    relation(lhs, rhs), or the call is refused before any of it runs
    ```

    RaiseRequirements makes it of what an operator asks of its operands' sizes and the dimension names do not prove; it
    goes where folding proves it, and otherwise into the plan. What one would get wrong: it is about sizes alone, which
    are expressions over the function's arguments, so no tensor that is computed lives longer because of it. Its location
    is the operator's, which a refusal names.

    `relation` is equal; broadcast (equal, or one of them 1 and the other not 0); at_most (lhs ≤ rhs); or multiple_of (lhs is
    a multiple of rhs). `lhs` and `rhs` are the sizes.

    Example:

    ```mlir
    qopt.require broadcast %n, %m
    ```
  }];
  let arguments = (ins QOpt_SizeRelationAttr:$relation, Index:$lhs, Index:$rhs);
  let assemblyFormat = "$relation $lhs `,` $rhs attr-dict";
  let hasCanonicalizeMethod = 1;
}

def QOpt_CheckIndicesOp : QOpt_Op<"check_indices", [Pure, QOpt_Reify, AllTypesMatch<["indices", "result"]>]> {
  let summary = "indices, all of them known to be in range";
  let description = [{
    ```
    result = indices, where −limit ≤ i < limit for each element i, or the call ends with an error
    ```

    LowerOnnx makes it of the index operand of gathers and scatters; the plan turns it into one step that reads the
    elements and a second name for their buffer. It is a value and not an effect: what reads elements at these places
    depends on it, and nothing is checked that nothing reads.

    `indices` are integers. `limits` is the size of the axis that they index; or, where the last axis of `indices` holds
    tuples, one size for each of its places. With `from_zero` no index may be negative: 0 ≤ i < limit.

    Constraints:

    - (C1) There is one limit, or as many as the last axis of `indices` has places.

    Example:

    ```mlir
    %i = qopt.check_indices %x limits(%n) : tensor<?x4xi64>
    ```
  }];
  let arguments = (ins RankedTensorOf<[I32, I64]>:$indices, Variadic<Index>:$limits,
                       UnitAttr:$from_zero);
  let results = (outs RankedTensorOf<[I32, I64]>:$result);
  let assemblyFormat = "$indices `limits` `(` $limits `)` (`from_zero` $from_zero^)? attr-dict `:` qualified(type($indices))";
  let hasVerifier = 1;
}

#endif // QOPT_CHECKOPS_TD
