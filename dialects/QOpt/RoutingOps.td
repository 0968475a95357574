// How tokens choose among experts.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_ROUTINGOPS_TD
#define QOPT_ROUTINGOPS_TD

include "dialects/QOpt/QOptTypes.td"
include "dialects/QOpt/QOptInterfaces.td"

def QOpt_RouteOp : QOpt_Op<"route", [Pure, QOpt_Reify, AllTypesMatch<["scores", "result"]>,
    DeclareOpInterfaceMethods<QOpt_TokenWiseOpInterface>]> {
  let summary = "weights of the experts that a token takes";
  let description = [{
    ```
    p[t…, e] = exp(scores[t…, e]) / Σ over i of exp(scores[t…, i])
    taken[t…, e] = fewer than `count` others have a larger score, or an equal one and a smaller e
    result[t…, e] = p[t…, e] where taken, else 0;  normalized: divided by the row's sum
    ```

    Raising makes it of Softmax, TopK and ScatterElements; lowering writes it with linalg. What one would get wrong: without
    `normalized` the weights of a token do not add up to 1. Everything is computed in f32.

    `scores` is [t…, E], a router's results; `count` is how many experts a token takes. The result has the type of the scores.

    Constraints:

    - (C1) E is static, and count is 1 to E.

    Example:

    ```mlir
    %w = qopt.route 2 normalized %scores : tensor<?x8xf32>
    ```
  }];
  let arguments = (ins QOpt_Tensor:$scores, I64Attr:$count, UnitAttr:$normalized);
  let results = (outs QOpt_Tensor:$result);
  let builders = [OpBuilder<(ins "::mlir::Value":$scores, "int64_t":$count, "bool":$normalized)>];
  let assemblyFormat = [{
    $count (`normalized` $normalized^)? $scores attr-dict `:` qualified(type($scores))
  }];
  let hasVerifier = 1;
}

#endif // QOPT_ROUTINGOPS_TD
