// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Calibrate/Divergence.h"
#include "lib/Quant/algorithms/Tasks.h"
#include <algorithm>
#include <cmath>
#include <vector>

namespace qopt::calibrate {

/// log Σ exp(x), with the largest taken off first.
static double logOfSum(const float *x, int64_t count) {
  float largest = *std::max_element(x, x + count);
  double sum = 0;
  for (int64_t i = 0; i < count; ++i)
    sum += std::exp(x[i] - largest);
  return largest + std::log(sum);
}

double divergenceGradients(const float *reference, float *logits,
                           int64_t tokens, int64_t vocabulary, float factor,
                           unsigned threads) {
  std::vector<double> ofTokens;
  ofTokens.resize(size_t(tokens));
  quant::forTasks(threads, tokens, [&](int64_t token) {
    const float *other = reference + token * vocabulary;
    float *row = logits + token * vocabulary;
    const double ofOther = logOfSum(other, vocabulary),
                 ofRow = logOfSum(row, vocabulary);
    double sum = 0;
    for (int64_t i = 0; i < vocabulary; ++i) {
      auto logP = float(other[i] - ofOther), logQ = float(row[i] - ofRow);
      float p = std::exp(logP);
      sum += double(p) * (double(logP) - logQ);
      row[i] = factor * (std::exp(logQ) - p);
    }
    ofTokens[size_t(token)] = sum;
  });
  double sum = 0; // in the order of tokens, whoever was done first
  for (double one : ofTokens)
    sum += one;
  return sum;
}

} // namespace qopt::calibrate
