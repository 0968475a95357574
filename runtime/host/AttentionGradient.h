// The gradients of dense attention (Attention.h). Scores are computed again
// from queries and keys, a block of rows at a time, so that no matrix of
// queries × keys is kept:
//
//   u[i,j]  = q[i] · k[j],   t = tanh(scale · u / c) with a softcap c
//   P[i,j]  = e^(s[i,j] − L[i]),   L[i] = log Σj e^s[i,j]
//   dS[i,j] = P[i,j] · (dy[i] · v[j] − dy[i] · y[i])
//   dU[i,j] = scale · dS[i,j],  times 1 − t² with a softcap
//   dq[i] = Σj dU[i,j] · k[j]
//   dk[j] = Σi dU[i,j] · q[i],   dv[j] = Σi P[i,j] · dy[i]
//
// where i runs over the queries of all heads that share a key head; of dk and
// dv over those at least `distance` positions behind j alone. All
// gradients of a query that sees no key are 0. A mask has no gradient.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_HOST_ATTENTIONGRADIENT_H
#define QOPT_RUNTIME_HOST_ATTENTIONGRADIENT_H

#include "runtime/host/Attention.h"

namespace qopt::host {

struct AttentionGradientArguments {
  /// What attention was called with; its output is read, not written.
  AttentionArguments forward;
  int64_t distance = 0;                  ///< with causal attention
  const float *outputGradient = nullptr; ///< dy, of the output's shape
  float *queryGradient = nullptr;        ///< of the query's shape
  float *keyGradient = nullptr;          ///< of the key's shape
  float *valueGradient = nullptr;        ///< of the value's shape
};

/// Takes twice the memory of queries, keys, values and dy for the time of the
/// call, and for each thread 32 scores for every key.
void attentionGradient(const AttentionGradientArguments &arguments,
                       ThreadPool &pool);

} // namespace qopt::host

#endif // QOPT_RUNTIME_HOST_ATTENTIONGRADIENT_H
