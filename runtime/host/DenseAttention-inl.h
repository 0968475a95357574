// What dense attention and its gradients share: keys in transposed groups, and
// what a query sees.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/host/AttentionTile-inl.h"

#if defined(QOPT_RUNTIME_HOST_DENSEATTENTION_INL_H) ==                         \
    defined(HWY_TARGET_TOGGLE)
#ifdef QOPT_RUNTIME_HOST_DENSEATTENTION_INL_H
#undef QOPT_RUNTIME_HOST_DENSEATTENTION_INL_H
#else
#define QOPT_RUNTIME_HOST_DENSEATTENTION_INL_H
#endif

HWY_BEFORE_NAMESPACE();
namespace qopt::host::HWY_NAMESPACE {

/// Key rows [T][D] into groups [T/16][D][16]; what a short group lacks is 0.
HWY_INLINE void transposeKeys(const float *keys, int64_t count,
                              int64_t headSize, float *groups) {
  for (int64_t t = 0; t < count; t += groupKeys) {
    float *group = groups + t * headSize;
    const int64_t n = HWY_MIN(groupKeys, count - t);
    if (n < groupKeys)
      std::memset(group, 0, groupKeys * headSize * sizeof(float));
    for (int64_t i = 0; i < headSize; ++i)
      for (int64_t j = 0; j < n; ++j)
        group[i * groupKeys + j] = keys[(t + j) * headSize + i];
  }
}

/// What query `query` of head `head` sees.
HWY_INLINE QueryRow denseRow(const AttentionArguments &a, int64_t batch,
                             int64_t head, int64_t query) {
  QueryRow row;
  const int64_t position = query + a.keys - a.queries;
  row.last = a.options.causal ? HWY_MAX(position + 1, 0) : a.keys;
  row.first = a.options.window ? position + 1 - a.options.window : 0;
  row.first = HWY_MAX(row.first, 0);
  const AttentionMask &mask = a.mask;
  const int64_t at = batch * mask.batchStride + head * mask.headStride +
                     query * mask.queryStride;
  row.added = mask.added ? mask.added + at : nullptr;
  row.attend = mask.attend ? mask.attend + at : nullptr;
  row.maskStride = mask.keyStride;
  return row;
}

} // namespace qopt::host::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif // per-target guard
