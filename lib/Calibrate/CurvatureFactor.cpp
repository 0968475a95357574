// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Calibrate/CurvatureFactor.h"
#include "lib/Calibrate/QuadraticForm.h"
#include <cmath>
#include <utility>

namespace qopt::calibrate {

CurvatureFactor::CurvatureFactor(int64_t size, bool isDiagonal,
                                 std::vector<float> last)
    : length(size), diagonal(isDiagonal), last(std::move(last)) {
  if (diagonal)
    squares.resize(size_t(length));
  else
    moment = SecondMoment(length);
}

std::vector<float> CurvatureFactor::forms(const float *x, int64_t tokens,
                                          unsigned threads) const {
  if (!diagonal || last.empty())
    return quadraticForms(x, tokens, length, last, threads);
  std::vector<float> forms(static_cast<size_t>(tokens));
  for (int64_t t = 0; t < tokens; ++t) {
    double sum = 0;
    for (int64_t i = 0; i < length; ++i)
      sum += double(last[size_t(i)]) * x[t * length + i] * x[t * length + i];
    forms[size_t(t)] = float(sum);
  }
  return forms;
}

void CurvatureFactor::add(const float *x, int64_t tokens,
                          const std::vector<float> &weights, unsigned threads) {
  count += tokens;
  if (!diagonal)
    return moment.add(x, tokens, weights.data(), threads);
  for (int64_t t = 0; t < tokens; ++t)
    for (int64_t i = 0; i < length; ++i)
      squares[size_t(i)] +=
          double(weights[size_t(t)]) * x[t * length + i] * x[t * length + i];
}

std::vector<float> CurvatureFactor::sums() const {
  return diagonal ? std::vector<float>(squares.begin(), squares.end())
                  : moment.matrix();
}

std::vector<float> CurvatureFactor::normalized() const {
  std::vector<float> values = sums();
  double total = 0;
  for (float value : values)
    total += double(value) * value;
  auto factor = float(total > 0 ? 1 / std::sqrt(total) : 0);
  for (float &value : values)
    value *= factor;
  return values;
}

std::vector<float> CurvatureFactor::mean() const {
  std::vector<float> values = sums();
  float factor = count ? 1 / float(count) : 0;
  for (float &value : values)
    value *= factor;
  return values;
}

} // namespace qopt::calibrate
