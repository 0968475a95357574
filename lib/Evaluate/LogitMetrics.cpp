// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Evaluate/LogitMetrics.h"

#include <algorithm>
#include <cmath>

namespace qopt::eval {

RowSummary summarize(std::span<const float> logits) {
  RowSummary row;
  float largest = -INFINITY;
  for (size_t i = 0; i < logits.size(); ++i) {
    if (std::isnan(logits[i]))
      row.finite = false;
    if (logits[i] > largest) {
      largest = logits[i];
      row.best = int64_t(i);
    }
  }
  row.finite = row.finite && std::isfinite(largest);
  double total = 0;
  for (float logit : logits)
    total += std::exp(double(logit) - double(largest));
  row.largest = double(largest);
  row.logTotal = double(largest) + std::log(total);
  return row;
}

int64_t rank(std::span<const float> logits, int32_t token) {
  auto at = size_t(token);
  int64_t before = 0;
  for (size_t i = 0; i < logits.size(); ++i)
    if (logits[i] > logits[at] || (logits[i] == logits[at] && i < at))
      ++before;
  return before + 1;
}

double divergence(std::span<const float> reference,
                  const RowSummary &referenceRow, std::span<const float> model,
                  const RowSummary &modelRow) {
  double sum = 0;
  for (size_t i = 0; i < reference.size(); ++i) {
    double log = double(reference[i]) - referenceRow.logTotal;
    double probability = std::exp(log);
    if (probability > 0)
      sum += probability * (log - (double(model[i]) - modelRow.logTotal));
  }
  return std::max(sum, 0.0);
}

} // namespace qopt::eval
