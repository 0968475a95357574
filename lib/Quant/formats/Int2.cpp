// int2: four codes a byte, the first in the lowest bits; what the last code of
// a row leaves of its byte is zero.
//
//   byte        0              1
//   bits   76 54 32 10    76 54 32 10
//   code   q3 q2 q1 q0     0  0 q5 q4     (six columns)
//
// Symmetric formats use the full range −2…1: the scale takes the sign of the
// largest magnitude, which is −2.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Quant/Element.h"
#include <algorithm>

namespace qopt::quant {

static void pack(const int16_t *codes, int64_t count, uint8_t *bytes) {
  std::fill_n(bytes, (count + 3) / 4, 0);
  for (int64_t i = 0; i < count; ++i)
    bytes[i / 4] |= uint8_t((codes[i] & 3) << i % 4 * 2);
}

static void unpackUnsigned(const uint8_t *bytes, int64_t count,
                           int16_t *codes) {
  for (int64_t i = 0; i < count; ++i)
    codes[i] = bytes[i / 4] >> i % 4 * 2 & 3;
}

constinit const Element int2Element = {.type = ElementType::Int2,
                                       .name = "int2",
                                       .bits = 2,
                                       .isFloat = false,
                                       .minCode = -2,
                                       .maxCode = 1,
                                       .unsignedMax = 3,
                                       .encode = nullptr,
                                       .decode = nullptr,
                                       .pack = pack,
                                       .unpackUnsigned = unpackUnsigned};

} // namespace qopt::quant
