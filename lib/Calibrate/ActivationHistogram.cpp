// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Calibrate/ActivationHistogram.h"
#include "lib/Quant/algorithms/Tasks.h"
#include <algorithm>
#include <bit>
#include <cmath>

namespace qopt::calibrate {

/// A float's exponent and the upper three bits of its fraction are its bin.
static constexpr int fractionBits = 20, lowestBin = (127 - 16) * 8;

static int binOf(float magnitude) {
  auto bin = int(std::bit_cast<uint32_t>(magnitude) >> fractionBits);
  return std::clamp(bin - lowestBin, 0, ValueDistribution::bins - 1);
}

/// The middle of a bin; the lowest has zero, too, and stands for it.
static float middleOf(int bin) {
  if (bin == 0)
    return 0;
  return std::bit_cast<float>(uint32_t(bin + lowestBin) << fractionBits |
                              1u << (fractionBits - 1));
}

static float upperEndOf(int bin) {
  return std::bit_cast<float>(uint32_t(bin + 1 + lowestBin) << fractionBits);
}

double largestCode(TensorCodes codes) {
  return codes == TensorCodes::Int8 ? 127 : 448;
}

void ValueDistribution::add(float value, uint32_t count, double weight) {
  int bin = binOf(value);
  counts[size_t(bin)] += count;
  weights[size_t(bin)] += weight * count;
  if (count)
    largest = std::max(largest, value);
}

float ValueDistribution::quantile(double part) const {
  uint64_t all = 0, seen = 0;
  for (uint64_t count : counts)
    all += count;
  for (int bin = 0; bin < bins; ++bin) {
    seen += counts[size_t(bin)];
    if (double(seen) >= part * double(all))
      return std::min(upperEndOf(bin), largest);
  }
  return largest;
}

/// The mean square of rounding to steps of this width, of values that lie
/// anywhere; what is less than half a step becomes 0.
static double roundingError(double value, double step) {
  return value < step / 2 ? value * value : step * step / 12;
}

/// Of a value in units of the scale.
static double codeError(TensorCodes codes, double value) {
  double most = largestCode(codes);
  if (value > most)
    return (value - most) * (value - most);
  if (codes == TensorCodes::Int8)
    return roundingError(value, 1);
  // Three bits of fraction; below 2^-6 steps stay those of subnormals.
  int exponent = value > 0 ? std::ilogb(value) : -6;
  return roundingError(value, std::ldexp(1.0, std::max(exponent, -6) - 3));
}

double ValueDistribution::error(TensorCodes codes, float scale) const {
  double sum = 0;
  for (int bin = 0; bin < bins; ++bin)
    if (weights[size_t(bin)] > 0)
      sum += weights[size_t(bin)] * codeError(codes, middleOf(bin) / scale) *
             scale * scale;
  return sum;
}

float ValueDistribution::bestScale(TensorCodes codes) const {
  float best = largest / float(largestCode(codes));
  double least = HUGE_VAL;
  for (int bin = binOf(largest); bin > 0 && largest > 0; --bin) {
    float scale =
        std::min(upperEndOf(bin), largest) / float(largestCode(codes));
    if (double found = error(codes, scale); found < least) {
      least = found;
      best = scale;
    }
  }
  return best;
}

void ActivationHistogram::add(const float *x, int64_t rows, unsigned threads) {
  constexpr int64_t columns = 64; // of a task, which has their bins to itself
  int64_t tasks = (channels + columns - 1) / columns;
  quant::forTasks(threads, tasks, [&](int64_t task) {
    int64_t first = task * columns, end = std::min(first + columns, channels);
    for (int64_t row = 0; row < rows; ++row)
      for (int64_t k = first; k < end; ++k)
        ++counts[size_t(k * ValueDistribution::bins +
                        binOf(std::fabs(x[row * channels + k])))];
  });
}

ValueDistribution
ActivationHistogram::scaled(const std::vector<float> &scales,
                            const std::vector<double> &weights) const {
  ValueDistribution all;
  for (int64_t k = 0; k < channels; ++k)
    for (int bin = 0; bin < ValueDistribution::bins; ++bin)
      if (uint32_t count = counts[size_t(k * ValueDistribution::bins + bin)])
        all.add(middleOf(bin) / scales[size_t(k)], count, weights[size_t(k)]);
  return all;
}

} // namespace qopt::calibrate
