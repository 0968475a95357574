// How large the channels of keys or values are, head by head, while sequences
// stream past. What matters to a cache is how unequal they are: where the
// channels of a position share a scale, one that is many times as large as the
// others leaves these few codes.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_CALIBRATE_VECTORSTATISTICS_H
#define QOPT_LIB_CALIBRATE_VECTORSTATISTICS_H

#include <cstddef>
#include <cstdint>
#include <vector>

namespace qopt::calibrate {

/// Where the heads of a sequence lie.
enum class HeadOrder {
  HeadsFirst, ///< [heads, tokens, channels]
  TokensFirst ///< [tokens, heads, channels]
};

/// A channel that is larger than the others of its head.
struct OutlierChannel {
  int64_t head, channel;
  double times; ///< its largest value beside the median of the head's channels
};

class VectorStatistics {
public:
  VectorStatistics() = default;
  VectorStatistics(int64_t heads, int64_t channels)
      : heads(heads), channels(channels), most(size_t(heads * channels)),
        squares(size_t(heads * channels)) {}
  /// What `values` had; three numbers more than two for each channel.
  static VectorStatistics fromValues(const std::vector<float> &values);
  std::vector<float> toValues() const;

  void add(const float *x, int64_t tokens, HeadOrder order);

  bool isEmpty() const { return count == 0; }
  /// max |x| of all.
  float largest() const;
  /// The root of the mean square of all.
  double effective() const;
  /// Channels above `threshold` times the median of their head, by how much
  /// they are, then by place.
  std::vector<OutlierChannel> outliers(double threshold) const;

private:
  int64_t heads = 0, channels = 0, count = 0; ///< positions
  std::vector<float> most;                    ///< max |x| of each channel
  std::vector<double> squares;
};

} // namespace qopt::calibrate

#endif // QOPT_LIB_CALIBRATE_VECTORSTATISTICS_H
