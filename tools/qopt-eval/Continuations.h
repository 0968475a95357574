// How probable a model finds given tokens behind others.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TOOLS_QOPTEVAL_CONTINUATIONS_H
#define QOPT_TOOLS_QOPTEVAL_CONTINUATIONS_H

#include "qopt/Engine.h"

#include <vector>

namespace qopt::eval {

/// Tokens of which those from `first` on, 1 or above, are scored.
struct Continuation {
  std::vector<int32_t> tokens;
  int64_t first = 1;
};

struct TokenScore {
  double nll = 0;   ///< -log p, in nats
  int64_t rank = 1; ///< 1: the first choice
};

/// Of each scored token, in steps of `chunk` as for Engine::evaluate.
/// BadArtifact where logits are no numbers.
StatusOr<std::vector<TokenScore>>
scoreTokens(Engine &engine, const Continuation &text, int64_t chunk);

} // namespace qopt::eval

#endif // QOPT_TOOLS_QOPTEVAL_CONTINUATIONS_H
