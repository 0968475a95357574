// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Evaluate/Statistics.h"

#include <algorithm>
#include <cmath>
#include <random>

namespace qopt::eval {

static void add(std::vector<double> &totals, std::span<const double> unit) {
  for (size_t i = 0; i < totals.size(); ++i)
    totals[i] += unit[i];
}

std::vector<Estimate> bootstrap(const UnitSums &sums,
                                std::span<const Statistic> statistics,
                                uint64_t seed) {
  constexpr int draws = 2000;
  std::vector<Estimate> estimates(statistics.size());
  size_t count = sums.units();
  if (!count)
    return estimates;
  std::vector<double> totals(sums[0].size());
  for (size_t unit = 0; unit < count; ++unit)
    add(totals, sums[unit]);
  for (size_t i = 0; i < statistics.size(); ++i)
    estimates[i].value = statistics[i](totals);
  if (count < 2)
    return estimates;
  // The standard says what mt19937_64 gives, but not what a distribution makes
  // of it; the high half of a product is a fair enough index.
  std::mt19937_64 random(seed);
  std::vector<std::vector<double>> drawn(statistics.size());
  for (int draw = 0; draw < draws; ++draw) {
    std::fill(totals.begin(), totals.end(), 0.0);
    for (size_t i = 0; i < count; ++i)
      add(totals, sums[size_t((random() >> 32) * count >> 32)]);
    for (size_t i = 0; i < statistics.size(); ++i)
      drawn[i].push_back(statistics[i](totals));
  }
  for (size_t i = 0; i < statistics.size(); ++i) {
    std::sort(drawn[i].begin(), drawn[i].end());
    estimates[i].interval = {drawn[i][size_t(0.025 * draws)],
                             drawn[i][size_t(0.975 * draws)]};
  }
  return estimates;
}

double quantile(std::vector<double> &values, double q) {
  if (values.empty())
    return 0;
  auto index = size_t(std::ceil(q * double(values.size())));
  index = std::clamp<size_t>(index, 1, values.size()) - 1;
  std::nth_element(values.begin(), values.begin() + ptrdiff_t(index),
                   values.end());
  return values[index];
}

} // namespace qopt::eval
