// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tools/qopt-eval/Statistics.h"

#include <algorithm>
#include <cmath>
#include <random>

namespace qopt::eval {

Estimate bootstrap(std::span<const double> windowMeans, uint64_t seed) {
  constexpr int draws = 2000;
  Estimate estimate;
  if (windowMeans.empty())
    return estimate;
  size_t count = windowMeans.size();
  for (double value : windowMeans)
    estimate.mean += value / double(count);
  if (count < 2)
    return estimate;
  // The standard says what mt19937_64 gives, but not what a distribution makes
  // of it; the high half of a product is a fair enough index.
  std::mt19937_64 random(seed);
  std::vector<double> means(draws);
  for (double &mean : means) {
    for (size_t i = 0; i < count; ++i)
      mean += windowMeans[size_t((random() >> 32) * count >> 32)];
    mean /= double(count);
  }
  std::sort(means.begin(), means.end());
  estimate.interval = {means[size_t(0.025 * draws)],
                       means[size_t(0.975 * draws)]};
  return estimate;
}

double quantile(std::vector<float> &values, double q) {
  if (values.empty())
    return 0;
  auto index = size_t(std::ceil(q * double(values.size())));
  index = std::clamp<size_t>(index, 1, values.size()) - 1;
  std::nth_element(values.begin(), values.begin() + ptrdiff_t(index),
                   values.end());
  return double(values[index]);
}

} // namespace qopt::eval
