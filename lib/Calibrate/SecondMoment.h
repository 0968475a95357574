// The second moment of vectors: M = Σₜ wₜ · xₜ xₜᵀ, summed over the tokens t of
// a calibration, in f32. Of what a linear reads it is the metric of errors in
// the linear's weight (lib/Quant/algorithms/Metric.h); with weights wₜ from the
// gradient behind the linear it is a factor of the curvature.
//
// A sum is built of the products of one sequence after the other, each in the
// order of its tokens. Neither depends on the number of threads.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_CALIBRATE_SECONDMOMENT_H
#define QOPT_LIB_CALIBRATE_SECONDMOMENT_H

#include <cstdint>
#include <vector>

namespace qopt::calibrate {

class SecondMoment {
public:
  SecondMoment() = default;
  /// Of vectors with `size` elements: half of size² · 4 bytes.
  explicit SecondMoment(int64_t size);

  /// Adds `tokens` vectors, x [tokens, size], row after row. `weights`, where
  /// not null, has one factor for each token.
  void add(const float *x, int64_t tokens, const float *weights,
           unsigned threads);

  /// Adds another sum of vectors of the same size.
  void add(const SecondMoment &other);

  int64_t size() const { return length; }
  /// Vectors that were added.
  int64_t tokens() const { return count; }
  /// The sums, [size, size], both halves.
  std::vector<float> matrix() const;

private:
  int64_t length = 0, count = 0;
  /// Tiles [64, 64] on and above the diagonal, row of tiles after row.
  std::vector<float> tiles;
};

} // namespace qopt::calibrate

#endif // QOPT_LIB_CALIBRATE_SECONDMOMENT_H
