// Operators of the domain com.microsoft, as onnxruntime's tools and model builders write them.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_DIALECTS_ONNX_MICROSOFTOPS_TD
#define QOPT_DIALECTS_ONNX_MICROSOFTOPS_TD

include "dialects/Onnx/OnnxBase.td"

class Onnx_MSOp<string name, string text> : Onnx_Op<"ms." # name, text>;

def Onnx_MSMatMulNBitsOp : Onnx_MSOp<"MatMulNBits", "a times a transposed matrix of packed codes"> {
  let description = [{
    b is ui8 [N, ceil(K / block_size), block_size * bits / 8], first code in the lowest bits; scales hold one value per
    block. Zero points are packed ui8 [N, ceil(blocks * bits / 8)] or one float per block; absent, 2^(bits - 1).
  }];
  let arguments = (ins AnyTensor:$a, AnyTensor:$b, AnyTensor:$scales, Onnx_Optional:$zero_points,
                       Onnx_Optional:$g_idx, Onnx_Optional:$bias, Onnx_I64:$K, Onnx_I64:$N, Onnx_Int<"4">:$bits,
                       Onnx_I64:$block_size, Onnx_Int<"0">:$accuracy_level);
  let results = (outs AnyTensor:$y);
}

def Onnx_MSGatherBlockQuantizedOp : Onnx_MSOp<"GatherBlockQuantized", "dequantized slices of a quantized table"> {
  let description = [{
    Data is i4 or ui4, floats of 8 or 4 bits, or ui8 with packed codes of `bits` along the last axis. Scales hold one
    value per `block_size` elements of `quantize_axis`, or for all of them where that is 0; those of floats may have
    size 1 along other axes. Without zero points: 0 for i4 and ui4, 2^(bits - 1) for packed ui8.
  }];
  let arguments = (ins AnyTensor:$data, AnyTensor:$indices, AnyTensor:$scales, Onnx_Optional:$zero_points,
                       Onnx_Int<"4">:$bits, Onnx_Int<"128">:$block_size, Onnx_Int<"0">:$gather_axis,
                       Onnx_Int<"1">:$quantize_axis);
  let results = (outs AnyTensor:$result);
}

def Onnx_MSGroupQueryAttentionOp : Onnx_MSOp<"GroupQueryAttention", "causal attention with K/V cache and rotary"> {
  let description = [{
    The query is [B, S, heads * D] (with key and value absent: q, k, v packed). Caches are [B, kv_heads, T, D].
    `seqlens_k` is the length of each sequence including the new tokens, **less one**. With `do_rotary`, positions count
    from past length unless `position_ids` is given. A window of -1 does not limit, one of w attends the last w keys; a
    scale of 0 means 1 / sqrt(D). The returned cache has as many tokens as `total_sequence_length` says, or as the past
    where that is more; a total that is computed from data, not sizes, must be past and new tokens together.
  }];
  let arguments = (ins AnyTensor:$query, Onnx_Optional:$key, Onnx_Optional:$value, Onnx_Optional:$past_key,
                       Onnx_Optional:$past_value, AnyTensor:$seqlens_k, AnyTensor:$total_sequence_length,
                       Onnx_Optional:$cos_cache, Onnx_Optional:$sin_cache, Onnx_Optional:$position_ids,
                       Onnx_Optional:$attention_bias, Onnx_Optional:$head_sink, Onnx_Optional:$k_scale,
                       Onnx_Optional:$v_scale, Onnx_Optional:$q_norm_weight, Onnx_Optional:$k_norm_weight,
                       Onnx_I64:$num_heads, Onnx_I64:$kv_num_heads, Onnx_Flag<"false">:$do_rotary,
                       Onnx_Flag<"false">:$rotary_interleaved, Onnx_Flag<"true">:$causal,
                       Onnx_Int<"-1">:$local_window_size, Onnx_Float<"0.0f">:$scale, Onnx_Float<"0.0f">:$softcap,
                       Onnx_Int<"-1">:$smooth_softmax, Onnx_Int<"0">:$qk_output,
                       Onnx_Float<"1e-6f">:$qk_norm_epsilon, Onnx_OptionalInt:$kv_cache_bit_width,
                       Onnx_Word<["NONE", "PER_TENSOR", "PER_CHANNEL"], "NONE">:$k_quant_type,
                       Onnx_Word<["NONE", "PER_TENSOR", "PER_CHANNEL"], "NONE">:$v_quant_type);
  let results = (outs AnyTensor:$output, Onnx_Optional:$present_key, Onnx_Optional:$present_value,
                      Onnx_Optional:$output_qk);
}

def Onnx_MSMultiHeadAttentionOp : Onnx_MSOp<"MultiHeadAttention", "attention on separate or packed q, k, v"> {
  let description = [{
    Query [B, S, heads * D], or packed [B, S, heads, 3, D]; key and value [B, T, heads * D], or cached
    [B, heads, T, D]. The bias is that of the three projections. A padding mask is [B], [3B + 2] or [B, T].
  }];
  let arguments = (ins AnyTensor:$query, Onnx_Optional:$key, Onnx_Optional:$value, Onnx_Optional:$bias,
                       Onnx_Optional:$key_padding_mask, Onnx_Optional:$attention_bias, Onnx_Optional:$past_key,
                       Onnx_Optional:$past_value, Onnx_Optional:$past_sequence_length,
                       Onnx_Optional:$cache_indirection, Onnx_I64:$num_heads,
                       Onnx_Float<"-10000.0f">:$mask_filter_value, Onnx_OptionalFloat:$scale,
                       Onnx_Flag<"false">:$unidirectional);
  let results = (outs AnyTensor:$output, Onnx_Optional:$present_key, Onnx_Optional:$present_value,
                      Onnx_Optional:$qk);
}

def Onnx_MSAttentionOp : Onnx_MSOp<"Attention", "q, k, v projections with one weight, then attention"> {
  let description = [{
    Input [B, S, in], weights [in, q + k + v], bias of that size. The mask index is [B] lengths, [2B] ends and starts,
    [B, T], [B, S, T] or [B, 1, max, max]. Past and present are [2, B, heads, T, D].
  }];
  let arguments = (ins AnyTensor:$input, AnyTensor:$weights, Onnx_Optional:$bias, Onnx_Optional:$mask_index,
                       Onnx_Optional:$past, Onnx_Optional:$attention_bias, Onnx_Optional:$past_sequence_length,
                       Onnx_I64:$num_heads, Onnx_Flag<"false">:$unidirectional, Onnx_Flag<"false">:$do_rotary,
                       Onnx_Int<"0">:$rotary_embedding_dim, Onnx_Flag<"false">:$past_present_share_buffer,
                       Onnx_Float<"-10000.0f">:$mask_filter_value, Onnx_OptionalFloat:$scale,
                       Onnx_OptionalInts:$qkv_hidden_sizes);
  let results = (outs AnyTensor:$output, Onnx_Optional:$present);
}

def Onnx_MSRotaryEmbeddingOp : Onnx_MSOp<"RotaryEmbedding", "x with pairs of channels rotated by its position"> {
  let description = [{
    As RotaryEmbedding, but the operand order differs, 3-D input without `num_heads` takes the head size from the cache,
    and `position_ids` of shape [1] is the position of the first token.
  }];
  let arguments = (ins AnyTensor:$x, AnyTensor:$position_ids, AnyTensor:$cos_cache, AnyTensor:$sin_cache,
                       Onnx_Flag<"false">:$interleaved, Onnx_Flag<"false">:$is_packed_batching,
                       Onnx_Int<"0">:$num_heads, Onnx_Int<"0">:$rotary_embedding_dim, Onnx_Float<"1.0f">:$scale);
  let results = (outs AnyTensor:$y);
}

def Onnx_MSSimplifiedLayerNormalizationOp
    : Onnx_MSOp<"SimplifiedLayerNormalization", "x / sqrt(mean of squares + epsilon) * scale"> {
  let description = "Written in the default domain although ONNX has no such operator.";
  let arguments = (ins AnyTensor:$x, AnyTensor:$scale, Onnx_Int<"-1">:$axis, Onnx_Float<"1e-5f">:$epsilon,
                       Onnx_Int<"1">:$stash_type);
  let results = (outs AnyTensor:$y, Onnx_Optional:$inv_std_var);
}

def Onnx_MSSkipSimplifiedLayerNormalizationOp
    : Onnx_MSOp<"SkipSimplifiedLayerNormalization", "RMS norm of input + skip + bias, and that sum"> {
  let arguments = (ins AnyTensor:$input, AnyTensor:$skip, AnyTensor:$gamma, Onnx_Optional:$bias,
                       Onnx_Float<"1e-12f">:$epsilon);
  let results = (outs AnyTensor:$output, Onnx_Optional:$mean, Onnx_Optional:$inv_std_var, Onnx_Optional:$sum);
}

def Onnx_MSSkipLayerNormalizationOp
    : Onnx_MSOp<"SkipLayerNormalization", "layer norm of input + skip + bias, and that sum"> {
  let arguments = (ins AnyTensor:$input, AnyTensor:$skip, AnyTensor:$gamma, Onnx_Optional:$beta,
                       Onnx_Optional:$bias, Onnx_Float<"1e-12f">:$epsilon);
  let results = (outs AnyTensor:$output, Onnx_Optional:$mean, Onnx_Optional:$inv_std_var, Onnx_Optional:$sum);
}

def Onnx_MSEmbedLayerNormalizationOp
    : Onnx_MSOp<"EmbedLayerNormalization", "layer norm of word + position + segment embeddings"> {
  let description = [{
    `mask_index` is the number of ones of each row of the mask when `mask_index_type` is 0 and a mask is given, else 0s.
    Positions are 0, 1, … without `position_ids`.
  }];
  let arguments = (ins AnyTensor:$input_ids, Onnx_Optional:$segment_ids, AnyTensor:$word_embedding,
                       AnyTensor:$position_embedding, Onnx_Optional:$segment_embedding, AnyTensor:$gamma,
                       AnyTensor:$beta, Onnx_Optional:$mask, Onnx_Optional:$position_ids,
                       Onnx_Float<"1e-12f">:$epsilon, Onnx_Int<"0">:$mask_index_type);
  let results = (outs AnyTensor:$output, Onnx_Optional:$mask_index, Onnx_Optional:$embedding_sum);
}

def Onnx_MSFusedMatMulOp : Onnx_MSOp<"FusedMatMul", "alpha A B, each with its last two axes possibly swapped"> {
  let arguments = (ins AnyTensor:$a, AnyTensor:$b, Onnx_Float<"1.0f">:$alpha, Onnx_Flag<"false">:$transA,
                       Onnx_Flag<"false">:$transB);
  let results = (outs AnyTensor:$y);
}

def Onnx_MSBiasGeluOp : Onnx_MSOp<"BiasGelu", "gelu(x + bias) with erf"> {
  let arguments = (ins AnyTensor:$x, AnyTensor:$bias);
  let results = (outs AnyTensor:$y);
}

def Onnx_MSFastGeluOp : Onnx_MSOp<"FastGelu", "gelu(x + bias) with tanh"> {
  let arguments = (ins AnyTensor:$x, Onnx_Optional:$bias);
  let results = (outs AnyTensor:$y);
}

def Onnx_MSQuickGeluOp : Onnx_MSOp<"QuickGelu", "x * sigmoid(alpha * x)"> {
  let arguments = (ins AnyTensor:$x, Onnx_Float<"1.702f">:$alpha);
  let results = (outs AnyTensor:$y);
}

#endif // QOPT_DIALECTS_ONNX_MICROSOFTOPS_TD
