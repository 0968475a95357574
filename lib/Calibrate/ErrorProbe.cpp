// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Calibrate/ErrorProbe.h"
#include "lib/Quant/algorithms/Tasks.h"
#include <algorithm>

namespace qopt::calibrate {

using quant::Panels;
using quant::tileSize;

void ErrorProbe::addError(const float *difference, int64_t rowCount,
                          int64_t columnCount) {
  rows = rowCount;
  columns = columnCount;
  // Strips of whole tiles, as products have them; those behind the last column
  // are zeros.
  Panels panels = quant::rowPanels({difference, rows, columns});
  Panels &error =
      errors.emplace_back(panels.count, quant::tilesOf(columns) * tileSize);
  for (int64_t panel = 0; panel < panels.count; ++panel)
    std::copy(panels.strip(panel, 0),
              panels.strip(panel, 0) + columns * tileSize,
              error.strip(panel, 0));
}

std::vector<double> &ErrorProbe::dotsOf(int64_t sequence) {
  std::vector<double> &values = dots[sequence];
  values.resize(errors.size());
  return values;
}

/// In eight chains, which vectors of any width can have.
static double dot(const std::vector<float> &a, const std::vector<float> &b) {
  double sums[8] = {};
  for (size_t i = 0; i + 8 <= a.size(); i += 8) // panels are multiples of 64
    for (size_t j = 0; j < 8; ++j)
      sums[j] += double(a[i + j]) * b[i + j];
  double sum = 0;
  for (double part : sums)
    sum += part;
  return sum;
}

void ErrorProbe::addProduct(int64_t sequence, const float *x, const float *g,
                            int64_t tokens, unsigned threads) {
  Panels gradient =
      quant::multiply(quant::columnPanels({g, tokens, rows}),
                      quant::columnPanels({x, tokens, columns}), threads);
  std::vector<double> &sums = dotsOf(sequence);
  quant::forTasks(threads, int64_t(errors.size()), [&](int64_t error) {
    sums[size_t(error)] += dot(errors[size_t(error)].values, gradient.values);
  });
}

void ErrorProbe::addLookup(int64_t sequence, const int32_t *ids, const float *g,
                           int64_t tokens) {
  std::vector<double> &sums = dotsOf(sequence);
  for (size_t error = 0; error < errors.size(); ++error)
    for (int64_t t = 0; t < tokens; ++t)
      for (int64_t k = 0; k < columns; ++k)
        sums[error] +=
            double(g[t * columns + k]) *
            errors[error].strip(ids[t] / tileSize, k)[ids[t] % tileSize];
}

std::vector<double> ErrorProbe::divergences(int64_t tokens) const {
  std::vector<double> means(errors.size());
  for (const auto &[sequence, values] : dots)
    for (size_t error = 0; error < values.size(); ++error)
      means[error] += values[error] * values[error] /
                      (2 * double(tokens) * double(dots.size()));
  return means;
}

} // namespace qopt::calibrate
