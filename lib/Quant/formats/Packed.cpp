// int6, int5, int3: codes one after the other as bit fields (BitFields.h), so
// that some of them lie in two bytes. A row ends with the byte that has its
// last bit; the bits behind that are zero. Three bits:
//
//   byte         0             1             2
//   bits   76 543 210    7 654 321 0    765 432 10
//   code   q2  q1  q0   q5  q4  q3 q2    q7  q6 q5
//
// Nothing is lost to padding for a multiple of eight columns, and any number of
// codes can be read from a whole number of bytes. Kernels have layouts of their
// own, where no code lies in two bytes.
//
// Symmetric formats use the full range −2^(b−1) … 2^(b−1) − 1, as int4 does.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Quant/BitFields.h"
#include "lib/Quant/Element.h"

namespace qopt::quant {

template <int bits>
static constexpr Element packed(std::string_view name, ElementType type) {
  return {.type = type,
          .name = name,
          .bits = bits,
          .isFloat = false,
          .minCode = -(1 << (bits - 1)),
          .maxCode = (1 << (bits - 1)) - 1,
          .unsignedMax = (1 << bits) - 1,
          .encode = nullptr,
          .decode = nullptr,
          .pack = packFields<bits>,
          .unpackUnsigned = unpackFields<bits>};
}

constinit const Element int6Element = packed<6>("int6", ElementType::Int6);
constinit const Element int5Element = packed<5>("int5", ElementType::Int5);
constinit const Element int3Element = packed<3>("int3", ElementType::Int3);

} // namespace qopt::quant
