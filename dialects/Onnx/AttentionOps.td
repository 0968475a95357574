// Attention and position embeddings of the default domain.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_DIALECTS_ONNX_ATTENTIONOPS_TD
#define QOPT_DIALECTS_ONNX_ATTENTIONOPS_TD

include "dialects/Onnx/OnnxBase.td"

def Onnx_AttentionOp : Onnx_Op<"Attention", "softmax(scale q k^T + mask) v per head"> {
  let description = [{
    q, k, v are [B, heads, S, D], or [B, S, heads * D] with `q_num_heads` and `kv_num_heads`; the query heads share K/V
    heads in groups. The causal mask is aligned with the last query and the last key. A fully masked row gives 0. The mask is
    boolean (true attends) or added; it may be shorter than the keys. Default scale is 1 / sqrt(D). Window sizes of -1
    do not limit.
  }];
  let arguments = (ins AnyTensor:$q, AnyTensor:$k, AnyTensor:$v, Onnx_Optional:$attn_mask, Onnx_Optional:$past_key,
                       Onnx_Optional:$past_value, Onnx_Optional:$nonpad_kv_seqlen, Onnx_Flag<"false">:$is_causal,
                       Onnx_OptionalInt:$q_num_heads, Onnx_OptionalInt:$kv_num_heads, Onnx_OptionalFloat:$scale,
                       Onnx_Float<"0.0f">:$softcap, Onnx_OptionalInt:$softmax_precision,
                       Onnx_Int<"0">:$qk_matmul_output_mode, Onnx_Int<"-1">:$left_window_size,
                       Onnx_Int<"-1">:$right_window_size);
  let results = (outs AnyTensor:$y, Onnx_Optional:$present_key, Onnx_Optional:$present_value,
                      Onnx_Optional:$qk_matmul_output);
}

def Onnx_RotaryEmbeddingOp : Onnx_Op<"RotaryEmbedding", "x with pairs of channels rotated by its position"> {
  let description = [{
    x is [B, heads, S, D], or [B, S, heads * D] with `num_heads`. The caches hold half of the rotated channels: rows by
    position with `position_ids`, else [B, S, half] gathered already. Only the first `rotary_embedding_dim` channels
    turn (0: all). Pairs are (i, i + half), or (2i, 2i + 1) when `interleaved`.
  }];
  let arguments = (ins AnyTensor:$x, AnyTensor:$cos_cache, AnyTensor:$sin_cache, Onnx_Optional:$position_ids,
                       Onnx_Flag<"false">:$interleaved, Onnx_Int<"0">:$rotary_embedding_dim,
                       Onnx_OptionalInt:$num_heads);
  let results = (outs AnyTensor:$y);
}

def Onnx_LinearAttentionOp : Onnx_Op<"LinearAttention", "attention with a recurrent state instead of a cache"> {
  let description = "q, k, v are [B, S, heads * D]; the state is [B, kv_heads, Dk, Dv]. A scale of 0 means 1 / sqrt(Dk).";
  let arguments = (ins AnyTensor:$q, AnyTensor:$k, AnyTensor:$v, Onnx_Optional:$past_state, Onnx_Optional:$decay,
                       Onnx_Optional:$beta, Onnx_I64:$q_num_heads, Onnx_I64:$kv_num_heads, Onnx_Float<"0.0f">:$scale,
                       Onnx_Int<"64">:$chunk_size,
                       Onnx_Word<["linear", "gated", "delta", "gated_delta"], "gated_delta">:$update_rule);
  let results = (outs AnyTensor:$y, AnyTensor:$present_state);
}

#endif // QOPT_DIALECTS_ONNX_ATTENTIONOPS_TD
