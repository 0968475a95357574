// The state of a decoder and the ragged batch. The cache is a value that is passed on: an append takes one and returns
// the next. A buffer planner makes that the same memory, because no one may use a cache after it was appended to.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_CACHEOPS_TD
#define QOPT_CACHEOPS_TD

include "dialects/QOpt/QOptTypes.td"
include "dialects/QOpt/QOptInterfaces.td"

def QOpt_KVAppendOp : QOpt_Op<"kv_append", [Pure, AllTypesMatch<["cache", "result"]>]> {
  let summary = "cache with the keys and values of this step";
  let description = [{
    ```
    result = cache, where for each token t: keys[layer][sequence(t)][position(t)] = k[t], values[…] = v[t]
    ```

    Raising makes it of the concatenation with the past. Rows are converted to the formats of the cache. Keys are stored
    as they are attended to, after rotary embedding. In the function that encodes sources the batch is one source, whose
    positions the rows are, from 0 on.

    `cache` is the state; `k` and `v` are [T, KV, D]; `batch` says where each token belongs; `layer` counts from 0.

    Constraints:

    - (C1) `layer` is one of the cache's layers.
    - (C2) k and v are [T, KV, D] with the cache's numbers of heads and channels.

    Example:

    ```mlir
    %next = qopt.kv_append %cache, %k, %v, %batch layer 0 : !qopt.kv_cache<layers = 2, kv_heads = 4, head_size = 64, key = f16, value = f16, page = 16>, tensor<?x4x64xf32>
    ```
  }];
  let arguments = (ins QOpt_KVCacheType:$cache, QOpt_Tensor:$k, QOpt_Tensor:$v, QOpt_BatchType:$batch,
                       I64Attr:$layer);
  let results = (outs QOpt_KVCacheType:$result);
  let assemblyFormat = [{
    $cache `,` $k `,` $v `,` $batch `layer` $layer attr-dict `:` qualified(type($cache)) `,` custom<SameTypes>(type($k), type($v))
  }];
  let hasVerifier = 1;
}

def QOpt_CachedAttentionOp : QOpt_Op<"cached_attention", [Pure, QOpt_Reify, AllTypesMatch<["q", "result"]>]> {
  let summary = "attention of a ragged batch to its cache";
  let description = [{
    ```
    with p = position(t), K and V the keys and values of sequence(t) in this layer, j ≤ p, and j > p − window where given:
    s[j] = scale · q[t,h,:] · K[j,g,:],  g = ⌊h · KV / H⌋;    s ← softcap · tanh(s / softcap);    s[j] ← s[j] + slope[h] · (j − p)
    s[j] ← s[j] + biases[h, min(p − j, N − 1)];    result[t,h,:] = Σ_j softmax(s)[j] · V[j,g,:]
    ```

    The causal form over `!qopt.kv_cache`; the same operation serves prefill and decode. What one would get wrong: the
    step's own keys are read from the cache too, so its append comes first.

    With `source` it is attention across sequences: K and V are those of what the encoder made of sequence(t)'s source, in
    pages of their own, and j runs over all of its positions. Nothing is appended to such a layer in a step.

    `q` is [T, H, D]; `cache` is the state after this layer's append; `batch` gives sequences and positions. The result is
    [T, H, D]. `layer` counts from 0; `scale` is usually 1/√D; `window` counts tokens; `softcap` bounds the scores;
    `alibi_slopes` has one number for each head; `distance_biases` is [H, N], of distances from 0 on, the last for all
    beyond.

    Constraints:

    - (C1) `layer` is one of the cache's layers.
    - (C2) q is [T, H, D] with the cache's D and an H that its KV divides.
    - (C3) `window` and `softcap` are positive.
    - (C4) There are H slopes.
    - (C5) The number of biases is a positive multiple of H.
    - (C6) With `source` there are no window, slopes or biases, which count from a position of the same sequence.

    Example:

    ```mlir
    %y = qopt.cached_attention %q, %cache, %batch layer 0 scale 0.125 window 64 : tensor<?x8x64xf32>, !qopt.kv_cache<layers = 2, kv_heads = 4, head_size = 64, key = f16, value = f16, page = 16>
    ```
  }];
  let arguments = (ins QOpt_Tensor:$q, QOpt_KVCacheType:$cache, QOpt_BatchType:$batch, I64Attr:$layer, F32Attr:$scale,
                       OptionalAttr<I64Attr>:$window, OptionalAttr<F32Attr>:$softcap,
                       OptionalAttr<DenseF32ArrayAttr>:$alibi_slopes,
                       OptionalAttr<DenseF32ArrayAttr>:$distance_biases, UnitAttr:$source);
  let results = (outs QOpt_Tensor:$result);
  let assemblyFormat = [{
    $q `,` $cache `,` $batch `layer` $layer (`source` $source^)? `scale` custom<Real>($scale) (`window` $window^)?
    (`softcap` custom<Real>($softcap)^)? (`alibi` $alibi_slopes^)? (`biases` $distance_biases^)? attr-dict
    `:` type($q) `,` qualified(type($cache))
  }];
  let hasVerifier = 1;
}

def QOpt_BatchDimOp : QOpt_Op<"batch_dim", [Pure]> {
  let summary = "a size of a ragged batch";
  let description = [{
    ```
    result = T (tokens) or the number of rows whose logits were asked for (selected)
    ```

    Made where the shape of a tensor that comes out of a batch must be known.

    `batch` is the descriptor; `which` names the size.

    Example:

    ```mlir
    %n = qopt.batch_dim %batch tokens
    ```
  }];
  let arguments = (ins QOpt_BatchType:$batch, QOpt_BatchDimAttr:$which);
  let results = (outs Index:$result);
  let assemblyFormat = "$batch `` $which attr-dict";
}

def QOpt_PositionsOp : QOpt_Op<"positions", [Pure, QOpt_Reify]> {
  let summary = "position of each token in its sequence";
  let description = [{
    ```
    result[t] = position(t), counted from 0
    ```

    Raising makes it of the position ids of a decoder.

    `batch` is the descriptor.

    Example:

    ```mlir
    %p = qopt.positions %batch : tensor<?xi32>
    ```
  }];
  let arguments = (ins QOpt_BatchType:$batch);
  let results = (outs 1DTensorOf<[I32]>:$result);
  let assemblyFormat = "$batch attr-dict `:` qualified(type($result))";
}

def QOpt_SelectRowsOp : QOpt_Op<"select_rows", [Pure, QOpt_Reify]> {
  let summary = "rows whose logits were asked for";
  let description = [{
    ```
    result[i, :] = x[selected(i), :]
    ```

    Usually the last token of each sequence, so that the vocabulary projection is computed for those alone.

    `x` is [T, K]; `batch` lists the rows.

    Constraints:

    - (C1) x and the result have two dimensions, the same K and element type.

    Example:

    ```mlir
    %y = qopt.select_rows %x, %batch : tensor<?x64xf32> -> tensor<?x64xf32>
    ```
  }];
  let arguments = (ins QOpt_Tensor:$x, QOpt_BatchType:$batch);
  let results = (outs QOpt_Tensor:$result);
  let assemblyFormat = "$x `,` $batch attr-dict `:` qualified(type($x)) `->` qualified(type($result))";
  let hasVerifier = 1;
}

#endif // QOPT_CACHEOPS_TD
