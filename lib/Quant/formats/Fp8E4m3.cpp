// fp8 e4m3, the OCP format without infinities (float8_e4m3fn elsewhere): one
// code a byte, a floating point number that a scale is multiplied with.
// Symmetric only. Round to nearest makes the largest magnitude ±448, the
// largest code, and never the NaN.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Quant/Element.h"
#include "lib/Quant/FloatConversion.h"

namespace qopt::quant {

static void encode(const float *values, int64_t count, uint8_t *bytes) {
  for (int64_t i = 0; i < count; ++i)
    bytes[i] = floatToE4m3(values[i]);
}
static void decode(const uint8_t *bytes, int64_t count, float *values) {
  for (int64_t i = 0; i < count; ++i)
    values[i] = e4m3ToFloat(bytes[i]);
}

constinit const Element fp8E4m3Element = {.type = ElementType::Fp8E4m3,
                                          .name = "fp8_e4m3",
                                          .bits = 8,
                                          .isFloat = false,
                                          .minCode = -448,
                                          .maxCode = 448,
                                          .unsignedMax = 0,
                                          .encode = encode,
                                          .decode = decode,
                                          .pack = nullptr,
                                          .unpackUnsigned = nullptr};

} // namespace qopt::quant
