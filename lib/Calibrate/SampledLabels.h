// Labels that the model itself would write: with them the second moment of the
// gradients is the Fisher information, the curvature of the KL divergence from
// the model's own predictions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_CALIBRATE_SAMPLEDLABELS_H
#define QOPT_LIB_CALIBRATE_SAMPLEDLABELS_H

#include <cstdint>

namespace qopt::calibrate {

/// A place in the stream of random numbers of a seed, one number for a token.
struct LabelStream {
  uint64_t seed, first;
};

/// Draws a label of each row of logits [tokens, vocabulary] and replaces the
/// row by the gradient of the label's negative log likelihood: the softmax of
/// the row, minus one at the label.
void likelihoodGradients(float *logits, int64_t tokens, int64_t vocabulary,
                         LabelStream stream, unsigned threads);

} // namespace qopt::calibrate

#endif // QOPT_LIB_CALIBRATE_SAMPLEDLABELS_H
