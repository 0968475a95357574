// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Calibrate/VectorStatistics.h"
#include <algorithm>
#include <cmath>
#include <tuple>

namespace qopt::calibrate {

std::vector<float> VectorStatistics::toValues() const {
  std::vector<float> values{float(heads), float(channels), float(count)};
  values.insert(values.end(), most.begin(), most.end());
  for (double square : squares)
    values.push_back(float(square / double(std::max<int64_t>(1, count))));
  return values;
}

VectorStatistics
VectorStatistics::fromValues(const std::vector<float> &values) {
  if (values.size() < 3)
    return {};
  auto heads = int64_t(values[0]), channels = int64_t(values[1]);
  VectorStatistics result(heads, channels);
  result.count = int64_t(values[2]);
  size_t size = result.most.size();
  if (values.size() != 3 + 2 * size)
    return {};
  for (size_t i = 0; i < size; ++i) {
    result.most[i] = values[3 + i];
    result.squares[i] = double(values[3 + size + i]) * double(result.count);
  }
  return result;
}

void VectorStatistics::add(const float *x, int64_t tokens, HeadOrder order) {
  bool tokensFirst = order == HeadOrder::TokensFirst;
  count += tokens;
  for (int64_t head = 0; head < heads; ++head)
    for (int64_t token = 0; token < tokens; ++token) {
      int64_t row = tokensFirst ? token * heads + head : head * tokens + token;
      for (int64_t c = 0; c < channels; ++c) {
        float value = x[row * channels + c];
        size_t place = size_t(head * channels + c);
        most[place] = std::max(most[place], std::fabs(value));
        squares[place] += double(value) * value;
      }
    }
}

float VectorStatistics::largest() const {
  return most.empty() ? 0 : *std::max_element(most.begin(), most.end());
}

double VectorStatistics::effective() const {
  double sum = 0;
  for (double square : squares)
    sum += square;
  return isEmpty() ? 0
                   : std::sqrt(sum / double(count) / double(squares.size()));
}

std::vector<OutlierChannel> VectorStatistics::outliers(double threshold) const {
  std::vector<OutlierChannel> found;
  for (int64_t head = 0; head < heads; ++head) {
    auto first = most.begin() + head * channels;
    std::vector<float> sorted(first, first + channels);
    auto middle = sorted.begin() + channels / 2;
    std::nth_element(sorted.begin(), middle, sorted.end());
    for (int64_t c = 0; c < channels && *middle > 0; ++c)
      if (double times = double(first[c]) / *middle; times > threshold)
        found.push_back({head, c, times});
  }
  std::sort(found.begin(), found.end(),
            [](const OutlierChannel &a, const OutlierChannel &b) {
              return std::tuple(-a.times, a.head, a.channel) <
                     std::tuple(-b.times, b.head, b.channel);
            });
  return found;
}

} // namespace qopt::calibrate
