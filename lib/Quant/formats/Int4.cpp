// int4: two codes a byte, the first in the low nibble; a row of odd length ends
// with a zero nibble.
//
//   byte      0         1         2
//   bits   7..4 3..0  7..4 3..0  7..4 3..0
//   code    q1   q0    q3   q2    0    q4        (five columns)
//
// Symmetric formats use the full range −8…7: with so few levels the sixteenth
// is worth an eighth of the step.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Quant/Element.h"

namespace qopt::quant {

static void pack(const int16_t *codes, int64_t count, uint8_t *bytes) {
  for (int64_t i = 0; i + 1 < count; i += 2)
    bytes[i / 2] = uint8_t((codes[i] & 15) | (codes[i + 1] & 15) << 4);
  if (count % 2)
    bytes[count / 2] = uint8_t(codes[count - 1] & 15);
}

static void unpackUnsigned(const uint8_t *bytes, int64_t count,
                           int16_t *codes) {
  for (int64_t i = 0; i < count; ++i)
    codes[i] = i % 2 ? bytes[i / 2] >> 4 : bytes[i / 2] & 15;
}

constinit const Element int4Element = {.type = ElementType::Int4,
                                       .name = "int4",
                                       .bits = 4,
                                       .isFloat = false,
                                       .minCode = -8,
                                       .maxCode = 7,
                                       .unsignedMax = 15,
                                       .encode = nullptr,
                                       .decode = nullptr,
                                       .pack = pack,
                                       .unpackUnsigned = unpackUnsigned};

} // namespace qopt::quant
