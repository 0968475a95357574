// Unsigned integers of up to eight bits, one after the other in bytes, the
// lowest bits first: integer i of b bits has the bits b·i … b·i + b − 1 of the
// array as one long number. An array ends with the byte that has its last bit.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_QUANT_BITFIELDS_H
#define QOPT_LIB_QUANT_BITFIELDS_H

#include <algorithm>
#include <cstdint>

namespace qopt::quant {

/// Bytes of `count` fields.
constexpr int64_t fieldBytes(int64_t count, int bits) {
  return (count * bits + 7) / 8;
}

/// The field with this index; reads no byte that has none of its bits.
inline int loadField(const uint8_t *bytes, int64_t index, int bits) {
  int64_t bit = index * bits;
  int word = bytes[bit / 8];
  if (bit % 8 + bits > 8) // it goes on in the next byte
    word |= bytes[bit / 8 + 1] << 8;
  return word >> bit % 8 & ((1 << bits) - 1);
}

/// Writes the low bits of `value` where zeros are.
inline void storeField(uint8_t *bytes, int64_t index, int bits, int value) {
  int64_t bit = index * bits;
  int placed = (value & ((1 << bits) - 1)) << bit % 8;
  bytes[bit / 8] |= uint8_t(placed);
  if (placed > 255)
    bytes[bit / 8 + 1] |= uint8_t(placed >> 8);
}

/// The low `bits` bits of `count` codes into an array, and back without sign
/// (Element.h's pack and unpackUnsigned).
template <int bits>
void packFields(const int16_t *codes, int64_t count, uint8_t *bytes) {
  std::fill_n(bytes, fieldBytes(count, bits), 0);
  for (int64_t i = 0; i < count; ++i)
    storeField(bytes, i, bits, codes[i]);
}
template <int bits>
void unpackFields(const uint8_t *bytes, int64_t count, int16_t *codes) {
  for (int64_t i = 0; i < count; ++i)
    codes[i] = int16_t(loadField(bytes, i, bits));
}

} // namespace qopt::quant

#endif // QOPT_LIB_QUANT_BITFIELDS_H
