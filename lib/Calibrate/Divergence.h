// The KL divergence of a model's predictions from those of another, and what it
// says of the logits.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_CALIBRATE_DIVERGENCE_H
#define QOPT_LIB_CALIBRATE_DIVERGENCE_H

#include <cstdint>

namespace qopt::calibrate {

/// Σ over rows of KL(p ‖ q) in nats, p = softmax(reference), q =
/// softmax(logits), both [tokens, vocabulary]. Replaces the logits by factor ·
/// (q − p), the gradient of factor times that sum.
double divergenceGradients(const float *reference, float *logits,
                           int64_t tokens, int64_t vocabulary, float factor,
                           unsigned threads);

} // namespace qopt::calibrate

#endif // QOPT_LIB_CALIBRATE_DIVERGENCE_H
