// int3: eight codes in three bytes, which are one number of 24 bits, the lowest
// byte first: code i has its bits 3i … 3i+2. A row ends with the byte that has
// its last bit; the bits behind that are zero.
//
//   byte         0             1             2
//   bits   76 543 210    7 654 321 0    765 432 10
//   code   q2  q1  q0   q5  q4  q3 q2    q7  q6 q5
//
// Nothing is lost to padding for a multiple of eight columns, and any number of
// codes can be read from a whole number of bytes. Kernels have layouts of their
// own, where no code lies in two bytes.
//
// Symmetric formats use the full range −4…3, as int4 does.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Quant/BitFields.h"
#include "lib/Quant/Element.h"
#include <algorithm>

namespace qopt::quant {

static void pack(const int16_t *codes, int64_t count, uint8_t *bytes) {
  std::fill_n(bytes, fieldBytes(count, 3), 0);
  for (int64_t i = 0; i < count; ++i)
    storeField(bytes, i, 3, codes[i]);
}

static void unpackUnsigned(const uint8_t *bytes, int64_t count,
                           int16_t *codes) {
  for (int64_t i = 0; i < count; ++i)
    codes[i] = int16_t(loadField(bytes, i, 3));
}

constinit const Element int3Element = {.type = ElementType::Int3,
                                       .name = "int3",
                                       .bits = 3,
                                       .isFloat = false,
                                       .minCode = -4,
                                       .maxCode = 3,
                                       .unsignedMax = 7,
                                       .encode = nullptr,
                                       .decode = nullptr,
                                       .pack = pack,
                                       .unpackUnsigned = unpackUnsigned};

} // namespace qopt::quant
