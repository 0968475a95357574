// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Calibrate/SampledLabels.h"
#include "lib/Quant/algorithms/Tasks.h"
#include "runtime/Philox.h"
#include <algorithm>
#include <cmath>

namespace qopt::calibrate {

/// The first label whose cumulated probability is above `part` of the whole.
static int64_t draw(const float *probabilities, int64_t vocabulary,
                    double part) {
  double sum = 0;
  int64_t last = 0; // of rounding: the sum may end just below one
  for (int64_t i = 0; i < vocabulary; ++i) {
    sum += probabilities[i];
    if (probabilities[i] > 0)
      last = i;
    if (sum > part)
      return i;
  }
  return last;
}

void likelihoodGradients(float *logits, int64_t tokens, int64_t vocabulary,
                         LabelStream stream, unsigned threads) {
  quant::forTasks(threads, tokens, [&](int64_t token) {
    float *row = logits + token * vocabulary;
    float largest = *std::max_element(row, row + vocabulary);
    double sum = 0;
    for (int64_t i = 0; i < vocabulary; ++i) {
      row[i] = std::exp(row[i] - largest);
      sum += row[i];
    }
    auto factor = float(1 / sum);
    for (int64_t i = 0; i < vocabulary; ++i)
      row[i] *= factor;
    double part = runtime::uniform(stream.seed, stream.first + uint64_t(token));
    row[draw(row, vocabulary, part)] -= 1;
  });
}

void errorGradients(float *results, int64_t rows, int64_t columns,
                    LabelStream stream, unsigned threads) {
  int64_t count = rows * columns;
  double squares = 0;
  for (int64_t i = 0; i < count; ++i)
    squares += double(results[i]) * results[i];
  double root = std::sqrt(squares / double(std::max<int64_t>(1, rows)));
  auto size = float(root > 0 ? 1 / root : 1);
  quant::forTasks(threads, rows, [&](int64_t row) {
    for (int64_t i = row * columns; i < (row + 1) * columns; ++i)
      results[i] =
          runtime::uniform(stream.seed, stream.first + uint64_t(i)) < 0.5
              ? -size
              : size;
  });
}

} // namespace qopt::calibrate
