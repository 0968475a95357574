// Unsigned integers of up to eight bits, one after the other in bytes, the
// lowest bits first: integer i of b bits has the bits b·i … b·i + b − 1 of the
// array as one long number. An array ends with the byte that has its last bit.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_QUANT_BITFIELDS_H
#define QOPT_LIB_QUANT_BITFIELDS_H

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

} // namespace qopt::quant

#endif // QOPT_LIB_QUANT_BITFIELDS_H
