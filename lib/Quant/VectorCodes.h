// Values that share one f16 scale: what an entry of a KV cache is, a head of
// one position or a channel of some positions. All devices make the same codes:
//
//   scale = f16(max|x| / maxCode); at most 65504
//   code  = x · (1 / scale) to the nearest, ties to even, within ±maxCode; 0
//           where the scale is 0
//
// with that very f16 scale. With zero points that are fractions all 2^bits
// codes are used, from the smallest to the largest x:
//
//   scale  = f16((max x − min x) / (2^bits − 1)); at most 65504
//   offset = f16(min x + 2^(bits−1) · scale)
//   code   = (x − offset) · (1 / scale), within −2^(bits−1) … 2^(bits−1) − 1
//   x becomes scale · code + offset
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_QUANT_VECTORCODES_H
#define QOPT_LIB_QUANT_VECTORCODES_H

#include "lib/Quant/Format.h"

namespace qopt::quant {

/// f16; the offset is that of Format::zero == ZeroType::Float, else 0.
struct VectorScale {
  uint16_t scale = 0, offset = 0;
};

/// `count` values as codes of the format's element, packed as in canonical
/// storage. What is no number counts for no scale; it becomes 0 as an integer,
/// NaN as fp8.
VectorScale encodeVector(const Format &format, const float *values,
                         int64_t count, uint8_t *codes);

/// The values that they stand for.
void decodeVector(const Format &format, VectorScale scale, const uint8_t *codes,
                  int64_t count, float *values);

/// Whether entries of a cache may be stored so: without scales, or as int8,
/// int4 or fp8_e4m3 with one scale for each position and head, spelt as for a
/// channel.
bool isVectorFormat(const Format &format);

/// Whether it is one of integers with a scale (and offset) for each group: of
/// positions in a channel of keys, of channels in a position of values.
bool isVectorGroupFormat(const Format &format);

} // namespace qopt::quant

#endif // QOPT_LIB_QUANT_VECTORCODES_H
