// Dense scaled dot-product attention, the shape of encoders and of graphs with
// past and present tensors.
//
//   s[i,j] = scale · q[i] · k[j]       or, with a softcap c, c · tanh(that / c)
//   s[i,j] += mask[i,j]                with a float mask
//   s[i,j] = −∞     where a boolean mask is false; causal: where j > i + T − S;
//                   with a window w: where j ≤ i + T − S − w
//   y[i] = Σj softmax_j(s[i,:]) · v[j]   but 0 where all of s[i,:] is −∞
//
// Query head h uses key head h / (heads / keyHeads).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_HOST_ATTENTION_H
#define QOPT_RUNTIME_HOST_ATTENTION_H

#include "runtime/host/ThreadPool.h"

namespace qopt::host {

/// What changes the scores, in every form of attention.
struct ScoreOptions {
  float scale = 1;
  bool causal = false; ///< bottom-right aligned: the last query sees all keys
  int64_t window = 0;  ///< keys that a query sees, itself included; 0: all
  float softcap = 0;   ///< 0: none
};

/// A mask [batch, heads, queries, keys]; a stride of 0 broadcasts. Strides
/// count elements. At most one pointer is set.
struct AttentionMask {
  const float *added = nullptr; ///< added to the scores; −∞ excludes
  const bool *attend = nullptr; ///< true: the key takes part
  int64_t batchStride = 0, headStride = 0, queryStride = 0, keyStride = 0;
};

/// q and y [batch, queries S, heads, headSize], k [batch, keyHeads, keys T,
/// headSize], v [batch, keyHeads, T, valueSize]; all contiguous, f32.
struct AttentionArguments {
  int64_t batch = 0;
  int64_t heads = 0;
  int64_t keyHeads = 0; ///< divides heads
  int64_t queries = 0;
  int64_t keys = 0;
  int64_t headSize = 0;
  int64_t valueSize = 0; ///< of y's and v's heads
  const float *query = nullptr;
  const float *key = nullptr;
  const float *value = nullptr;
  float *output = nullptr;
  AttentionMask mask;
  ScoreOptions options;
};

void attention(const AttentionArguments &arguments, ThreadPool &pool);

} // namespace qopt::host

#endif // QOPT_RUNTIME_HOST_ATTENTION_H
