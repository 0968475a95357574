// fp8: e4m3, the OCP format without infinities (float8_e4m3fn elsewhere), and
// e5m2: one code a byte, a floating point number that a scale is multiplied
// with. Symmetric only. Round to nearest makes the largest magnitude ±448 or
// ±57344, the largest code, and never an infinity or NaN.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Quant/Element.h"
#include "lib/Quant/FloatConversion.h"

namespace qopt::quant {

template <uint8_t (*convert)(float)>
static void encode(const float *values, int64_t count, uint8_t *bytes) {
  for (int64_t i = 0; i < count; ++i)
    bytes[i] = convert(values[i]);
}
template <float (*convert)(uint8_t)>
static void decode(const uint8_t *bytes, int64_t count, float *values) {
  for (int64_t i = 0; i < count; ++i)
    values[i] = convert(bytes[i]);
}

constinit const Element fp8E4m3Element = {.type = ElementType::Fp8E4m3,
                                          .name = "fp8_e4m3",
                                          .bits = 8,
                                          .isFloat = false,
                                          .minCode = -448,
                                          .maxCode = 448,
                                          .unsignedMax = 0,
                                          .encode = encode<floatToE4m3>,
                                          .decode = decode<e4m3ToFloat>,
                                          .pack = nullptr,
                                          .unpackUnsigned = nullptr};
constinit const Element fp8E5m2Element = {.type = ElementType::Fp8E5m2,
                                          .name = "fp8_e5m2",
                                          .bits = 8,
                                          .isFloat = false,
                                          .minCode = -57344,
                                          .maxCode = 57344,
                                          .unsignedMax = 0,
                                          .encode = encode<floatToE5m2>,
                                          .decode = decode<e5m2ToFloat>,
                                          .pack = nullptr,
                                          .unpackUnsigned = nullptr};

} // namespace qopt::quant
