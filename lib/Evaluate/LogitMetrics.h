// What two rows of logits say about each other and about the token that came.
// All in f64: the distance between two runs of one model is far below what f32
// leaves of a sum of probabilities.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_EVALUATE_LOGITMETRICS_H
#define QOPT_LIB_EVALUATE_LOGITMETRICS_H

#include <cmath>
#include <cstdint>
#include <span>

namespace qopt::eval {

/// One row's normaliser and first choice.
struct RowSummary {
  double logTotal = 0; ///< log of the sum of exp(logit)
  int64_t best = 0;    ///< the lowest index of the largest logit
  double largest = 0;  ///< logit
  bool finite = true;  ///< false: some logit is NaN or +infinity, or none is
                       ///< finite
};
RowSummary summarize(std::span<const float> logits);

/// -log p(token), in nats.
inline double surprise(std::span<const float> logits, const RowSummary &row,
                       int32_t token) {
  return row.logTotal - double(logits[size_t(token)]);
}

/// p of the first choice.
inline double confidence(const RowSummary &row) {
  return std::exp(row.largest - row.logTotal);
}

/// 1 + the number of tokens before it: of larger logits, or of the same one and
/// a lower index.
int64_t rank(std::span<const float> logits, int32_t token);

/// KL(reference || model) = sum of p_reference (log p_reference - log p_model),
/// in nats; never negative.
double divergence(std::span<const float> reference,
                  const RowSummary &referenceRow, std::span<const float> model,
                  const RowSummary &modelRow);

} // namespace qopt::eval

#endif // QOPT_LIB_EVALUATE_LOGITMETRICS_H
