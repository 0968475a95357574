// How large the values of a tensor are, channel by channel, while they stream
// past: counts of |x| in eight bins for each power of two from 2^-16 to 2^16.
// Memory does not depend on how many tokens there are, and since counts are of
// channels, the distribution of x / s is known for any scales s of channels
// that are found later.
//
// One scale for all codes is a compromise: with a large one every value is
// rounded coarsely, with a small one the largest are clipped. What either costs
// is summed over the bins: linears turn an error e of channel k into Σ_n W_nk²
// e² of squared error in what they give.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_CALIBRATE_ACTIVATIONHISTOGRAM_H
#define QOPT_LIB_CALIBRATE_ACTIVATIONHISTOGRAM_H

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace qopt::calibrate {

/// What codes of a tensor can be.
enum class TensorCodes : uint8_t {
  Int8, ///< integers to 127
  Fp8   ///< e4m3, to 448
};

/// The largest value that a code stands for, beside the scale.
double largestCode(TensorCodes codes);

/// |x| of a whole tensor: how many values each bin has, and what they weigh.
class ValueDistribution {
public:
  static constexpr int bins = 256;

  void add(float value, uint32_t count, double weight);

  /// A value that a part of all are not above, to the width of a bin.
  float quantile(double part) const;
  /// Σ weight · error² with one scale.
  double error(TensorCodes codes, float scale) const;
  /// The scale with the least error, of eight for each power of two.
  float bestScale(TensorCodes codes) const;

private:
  std::array<uint64_t, bins> counts{};
  std::array<double, bins> weights{};
  float largest = 0;
};

class ActivationHistogram {
public:
  ActivationHistogram() = default;
  explicit ActivationHistogram(int64_t channels)
      : channels(channels), counts(size_t(channels) * ValueDistribution::bins) {
  }

  /// Adds x [rows, channels].
  void add(const float *x, int64_t rows, unsigned threads);

  /// Of x / s, s [channels], where an error of channel k weighs `weights`[k].
  ValueDistribution scaled(const std::vector<float> &scales,
                           const std::vector<double> &weights) const;

private:
  int64_t channels = 0;
  std::vector<uint32_t> counts; ///< [channels, bins]
};

} // namespace qopt::calibrate

#endif // QOPT_LIB_CALIBRATE_ACTIVATIONHISTOGRAM_H
