// What storing the keys or values of a layer in some formats does to the
// model's predictions. The errors Δ of the entries of a cache are known; to
// second order the divergence of a sequence is
//
//   KL ≈ ½ E (Σₜ ⟨Δₜ, ∂L/∂kₜ⟩)²  ≈  ½ E Σₜ ⟨Δₜ, ∂L/∂kₜ⟩²
//
// with L the log likelihood of labels that are drawn from the model. Positions
// are rounded by themselves, so their errors are independent but for what
// vectors of one position share; leaving the products of two positions out
// takes the noise of a few sequences from the estimate, whose relative
// deviation is else √(2 / sequences) (ErrorProbe.h).
//
// Where the latest positions of a query are read in f16 as well, Δₜ is wrong
// for queries alone that are so many positions behind t: the gradient is what
// these give of it. The others, and all at the first positions, read f16.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_CALIBRATE_CACHEPROBE_H
#define QOPT_LIB_CALIBRATE_CACHEPROBE_H

#include "lib/Quant/CacheFormat.h"
#include <cstdint>
#include <functional>
#include <vector>

namespace qopt::calibrate {

/// Which vectors share a scale: of keys, in formats with groups, a channel of
/// some positions; of values channels of one position.
enum class CachePart { Keys, Values };

/// Keys or values of a sequence.
struct CacheEntries {
  const float *values; ///< [heads, tokens, size]
  int64_t heads, tokens, size;
};

/// What `entries` are read as, [heads, tokens, size], behind all tokens: the
/// positions of an open group of keys are f16 (runtime/host/KvCacheLayout.h).
std::vector<float> readBack(CachePart part, const quant::Format &format,
                            const CacheEntries &entries);

class CacheProbe {
public:
  CacheProbe(CachePart part, std::vector<quant::CacheFormat> formats)
      : part(part), formats(std::move(formats)), sums(this->formats.size()) {}

  /// Adds a sequence; `gradientOf` gives what queries at least so many
  /// positions behind give of the gradient, in the shape of the entries: 0,
  /// all.
  void add(const CacheEntries &entries,
           const std::function<const float *(int64_t recent)> &gradientOf,
           unsigned threads);

  /// KL per token of each format; zeros where no sequence was added.
  std::vector<double> divergences() const;

private:
  CachePart part;
  std::vector<quant::CacheFormat> formats;
  std::vector<double> sums; ///< of squares, by format
  int64_t tokens = 0;
};

} // namespace qopt::calibrate

#endif // QOPT_LIB_CALIBRATE_CACHEPROBE_H
