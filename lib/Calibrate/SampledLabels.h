// Labels that the model itself would write: with them the second moment of the
// gradients is the Fisher information, the curvature of the KL divergence from
// the model's own predictions. Of results that predict nothing the same with
// labels that are the result and noise is the curvature of their plain error.
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

/// For results that are no logits, rows of `columns` elements: draws a sign for
/// each element and replaces it by that, over the root of the mean square of
/// all and of `columns`. Second moments of gradients are then the curvature of
/// the squared error beside the results' own mean square, for each row.
void errorGradients(float *results, int64_t rows, int64_t columns,
                    LabelStream stream, unsigned threads);

} // namespace qopt::calibrate

#endif // QOPT_LIB_CALIBRATE_SAMPLEDLABELS_H
