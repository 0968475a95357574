// How a layer of the KV cache lies in the host's memory. A page holds
// `pageTokens` (a multiple of 16) consecutive tokens of one sequence and one
// layer. Within a page K and V are apart, and heads are apart in each. Keys are
// transposed in groups of 16 tokens, so that the scores of 16 tokens are one
// vector and need no sum across lanes; values are not:
//
//   page:  | K head 0 | K head 1 | … | V head 0 | V head 1 | … |
//
//   K head [pageTokens/16][D][16]           V head [pageTokens][D]
//      d=0  [ t0 t1 … t15 ]                    t0 [ d0 d1 … d(D−1) ]
//      d=1  [ t0 t1 … t15 ]                    t1 [ d0 d1 … d(D−1) ]
//
// Formats with one scale for each position and head (int8, int4, fp8_e4m3) have
// f16 scales [pageTokens] behind the codes. What is transposed of keys in int4
// are bytes, two channels of one token: a token shares no byte with another,
// and of an odd number of channels has the half of a byte for nothing.
//
// Keys with a scale a channel lie otherwise: KeyGroups.h. Values may have
// scales for groups of channels of a position: [pageTokens] times f16 scales
// [D/g] and, with offsets, offsets [D/g], behind the codes.
//
// A layer of the cache is an array of pages; a page table gives for each
// sequence the pages that hold its tokens 0…, in order. All layers use the same
// table.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_HOST_KVCACHELAYOUT_H
#define QOPT_RUNTIME_HOST_KVCACHELAYOUT_H

#include "lib/Quant/Element.h"

namespace qopt::host {

/// Sizes and formats of a layer.
struct KvCacheLayout {
  int64_t keyHeads = 0;
  int64_t headSize = 0;
  int64_t pageTokens = 16;
  quant::Format key = quant::floatFormat(quant::ElementType::F16);
  quant::Format value = quant::floatFormat(quant::ElementType::F16);
  int64_t recent = 0; ///< latest positions in f16, a multiple of 32 and not
                      ///< less than keyGroup; 0: none (LatestPositions.h)
  int64_t first = 0;  ///< first positions in f16, a multiple of 16

  /// Positions whose keys share a scale in each channel: a multiple of 32 that
  /// divides a page; 0: keys have no such scales.
  int64_t keyGroup() const { return key.groupSize; }
  /// Channels of a position's value that share a scale; 0: all, or there is
  /// none.
  int64_t valueGroup() const { return value.groupSize; }
  /// Whether there is one scale for each position and head.
  bool keyScales() const { return !key.isFloat() && !keyGroup(); }
  bool valueScales() const { return !value.isFloat() && !valueGroup(); }

  /// Of a position's keys, where they are not in groups, and values of a head.
  int64_t keyRowBytes() const { return rowBytes(key); }
  int64_t valueRowBytes() const { return rowBytes(value); }

  /// Of a head's keys in a page.
  int64_t keyCodeBytes() const {
    return keyGroup() ? pageTokens * headSize * quant::bitsOf(key.element) / 8
                      : pageTokens * keyRowBytes();
  }
  /// Of the scales and offsets of a group of keys.
  int64_t keyGroupBytes() const { return headSize * scaleBytes(key); }
  int64_t keyHeadBytes() const {
    if (key.isFloat())
      return keyCodeBytes();
    int64_t scales =
        keyGroup() ? pageTokens / keyGroup() * keyGroupBytes() : pageTokens * 2;
    return (keyCodeBytes() + scales + 63) & ~63;
  }
  int64_t valueCodeBytes() const { return pageTokens * valueRowBytes(); }
  /// Of the scales and offsets of a position's value.
  int64_t valueScaleBytes() const {
    if (value.isFloat())
      return 0;
    return valueGroup() ? headSize / valueGroup() * scaleBytes(value) : 2;
  }
  int64_t valueHeadBytes() const {
    return valueCodeBytes() + pageTokens * valueScaleBytes();
  }
  int64_t valueOffset() const { return keyHeads * keyHeadBytes(); }
  /// Bytes of one page of one layer.
  int64_t pageBytes() const {
    return keyHeads * (keyHeadBytes() + valueHeadBytes());
  }
  /// Bytes of what a layer keeps of a sequence beside its pages.
  int64_t slotBytes() const { return (keyHeads * slotHeadBytes() + 63) & ~63; }
  int64_t slotHeadBytes() const {
    if (recent) // keys and values
      return (recent + first) * headSize * 4;
    return keyGroup() * headSize * 2; // KeyGroups.h
  }

private:
  int64_t rowBytes(const quant::Format &format) const {
    return (headSize * quant::bitsOf(format.element) + 7) / 8;
  }
  /// Of a scale and its offset.
  static int64_t scaleBytes(const quant::Format &format) {
    return format.zero == quant::ZeroType::Float ? 4 : 2;
  }
};

} // namespace qopt::host

#endif // QOPT_RUNTIME_HOST_KVCACHELAYOUT_H
