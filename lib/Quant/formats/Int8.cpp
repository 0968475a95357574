// int8: one code a byte. Symmetric formats use −127…127 only: a product of two
// codes then fits the 16-bit lanes of the dot-product instructions that take
// one unsigned operand (|−128| would not), and ±amax are both exact.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Quant/Element.h"

namespace qopt::quant {

static void pack(const int16_t *codes, int64_t count, uint8_t *bytes) {
  for (int64_t i = 0; i < count; ++i)
    bytes[i] = uint8_t(codes[i]);
}
static void unpackUnsigned(const uint8_t *bytes, int64_t count,
                           int16_t *codes) {
  for (int64_t i = 0; i < count; ++i)
    codes[i] = bytes[i];
}

constinit const Element int8Element = {.type = ElementType::Int8,
                                       .name = "int8",
                                       .bits = 8,
                                       .isFloat = false,
                                       .minCode = -127,
                                       .maxCode = 127,
                                       .unsignedMax = 255,
                                       .encode = nullptr,
                                       .decode = nullptr,
                                       .pack = pack,
                                       .unpackUnsigned = unpackUnsigned};

} // namespace qopt::quant
