// lut4 and lut3: codes of 4 and 3 bits that are indices of a code book, 16 or 8
// integers of 8 bits that a matrix has for all its weights (Storage.h). Codes
// lie in bytes as those of int4 and int3 do, without sign. Weights are close to
// normal numbers: levels that are denser around zero, where most of them are,
// have less error than the same number in equal steps.
//
// The usual books are Lloyd's quantizers of normal numbers in groups of 128, in
// units of −1/127 of the largest magnitude: the scale takes the sign, so that
// the lowest number is reached in every group and the highest is not.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Quant/BitFields.h"
#include "lib/Quant/Element.h"

namespace qopt::quant {

static constexpr int8_t sixteen[] = {-127, -96, -75, -59, -45, -33, -21, -10,
                                     0,    11,  22,  34,  46,  60,  78,  102};
static constexpr int8_t eight[] = {-127, -80, -48, -22, 2, 26, 54, 92};

template <int bits>
static constexpr Element lut(std::string_view name, ElementType type,
                             const int8_t *book) {
  return {.type = type,
          .name = name,
          .bits = bits,
          .isFloat = false,
          .minCode = -127,
          .maxCode = 126,
          .unsignedMax = 0,
          .bookSize = 1 << bits,
          .usualBook = book,
          .encode = nullptr,
          .decode = nullptr,
          .pack = packFields<bits>,
          .unpackUnsigned = unpackFields<bits>};
}

constinit const Element lut4Element =
    lut<4>("lut4", ElementType::Lut4, sixteen);
constinit const Element lut3Element = lut<3>("lut3", ElementType::Lut3, eight);

} // namespace qopt::quant
