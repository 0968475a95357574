// Rotary position embedding. The first R channels of each head are rotated in
// pairs, the others copied:
//
//   half-split    pair i = (x[i], x[R/2 + i])               i = 0 … R/2−1
//   interleaved   pair i = (x[2i], x[2i+1])
//
//   (a, b) → (a·cos[i] − b·sin[i],  a·sin[i] + b·cos[i])
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_HOST_ROTARY_H
#define QOPT_RUNTIME_HOST_ROTARY_H

#include "runtime/host/ThreadPool.h"

namespace qopt::host {

/// x and y [tokens, heads, headSize]: heads are contiguous, tokens `…Stride`
/// elements apart, so that x may be a part of a merged QKV row. y may be x.
struct RotaryArguments {
  int64_t tokens = 0;
  int64_t heads = 0;
  int64_t headSize = 0;
  int64_t rotated = 0; ///< R, even, at most headSize
  bool interleaved = false;
  const float *input = nullptr;
  int64_t inputStride = 0;
  float *output = nullptr;
  int64_t outputStride = 0;
  const float *cos = nullptr; ///< [tableRows, R/2], contiguous
  const float *sin = nullptr;
  int64_t tableRows = 0; ///< token t uses row t % tableRows
};

void rotary(const RotaryArguments &arguments, ThreadPool &pool);

/// The tokens [begin, end) of it, on the calling thread.
void rotateTokens(const RotaryArguments &arguments, int64_t begin, int64_t end);

/// cos and sin [tokens, count] of position · inverseFrequency, times `scale`.
/// The product and its reduction to one period are done in f64, so that the
/// error stays below 1e-6 for positions up to a million.
struct RotaryTableArguments {
  int64_t tokens = 0;
  int64_t count = 0;                         ///< R/2
  const int32_t *positions = nullptr;        ///< [tokens]
  const float *inverseFrequencies = nullptr; ///< [count]
  float scale = 1;
  float *cos = nullptr;
  float *sin = nullptr;
};

void rotaryTable(const RotaryTableArguments &arguments, ThreadPool &pool);

} // namespace qopt::host

#endif // QOPT_RUNTIME_HOST_ROTARY_H
