// Whether a model finds in its cache what it read long before. A needle is
// eight tokens of the middle of another window; a prompt is a window with the
// needle at some depth and the needle's first four tokens, the key, at its end;
// what is scored are the other four, the value, behind the key:
//
//   |<---- haystack ---->|key value|<-- haystack -->|key|value
//   0                  depth                           ^ predicted from here
//
// The control has the haystack in place of the needle: what the model guesses
// from the key alone.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TOOLS_QOPTEVAL_RETRIEVAL_H
#define QOPT_TOOLS_QOPTEVAL_RETRIEVAL_H

#include "lib/Evaluate/Statistics.h"
#include "lib/Tokens/TokenWindows.h"
#include "tools/qopt-eval/Continuations.h"

namespace qopt::eval {

/// One side's figures of the tokens of values.
struct RetrievalSide {
  Estimate probability; ///< mean of p
  Estimate rank;        ///< mean; 1: always the first choice
  Estimate found;       ///< share that is the first choice, 0 to 1
};

/// The reference, or the model in a second run.
struct RetrievalAgreement {
  RetrievalSide side;
  Estimate change; ///< mean of p_model - p_side
};

struct RetrievalDepth {
  std::optional<int> percent; ///< of the haystack before the needle; none: the
                              ///< control
  RetrievalSide model;
  std::optional<RetrievalAgreement> reference, floor;
};

struct RetrievalInputs {
  const TokenWindows &windows;
  Engine *reference = nullptr;       ///< optional
  int64_t chunk = 0, floorChunk = 0; ///< of the model's steps
  uint64_t seed = 0;
};

/// A prompt from every window, whose needle is the next window's (the first's
/// for the last), at 10, 30, 50, 70 and 90 %, and the control. Infeasible where
/// there is one window, or they are shorter than 32 tokens.
StatusOr<std::vector<RetrievalDepth>> retrieve(Engine &engine,
                                               const RetrievalInputs &inputs);

} // namespace qopt::eval

#endif // QOPT_TOOLS_QOPTEVAL_RETRIEVAL_H
