// fp4_e2m1 and nf4: codes of four bits that are floating point numbers, which a
// scale is multiplied with. They lie in bytes as those of int4 do, without
// sign. Symmetric only.
//
// e2m1 is the element of OCP's and NVIDIA's four-bit formats: a sign, two bits
// of exponent, one of fraction. The numbers of nf4 are quantiles of a normal
// distribution with zero among them (Dettmers et al., QLoRA, 2023, appendix E);
// of two that are equally near the lower is taken.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Quant/BitFields.h"
#include "lib/Quant/Element.h"
#include "lib/Quant/FloatConversion.h"

namespace qopt::quant {

static constexpr float e2m1Numbers[] = {
    0, 0.5f, 1, 1.5f, 2, 3, 4, 6, -0.0f, -0.5f, -1, -1.5f, -2, -3, -4, -6};
static constexpr float nf4Numbers[] = {-1.0f,
                                       -0.6961928009986877f,
                                       -0.5250730514526367f,
                                       -0.39491748809814453f,
                                       -0.28444138169288635f,
                                       -0.18477343022823334f,
                                       -0.09105003625154495f,
                                       0.0f,
                                       0.07958029955625534f,
                                       0.16093020141124725f,
                                       0.24611230194568634f,
                                       0.33791524171829224f,
                                       0.44070982933044434f,
                                       0.5626170039176941f,
                                       0.7229568362236023f,
                                       1.0f};

static uint8_t floatToNf4(float value) {
  uint8_t code = 0;
  for (int i = 1; i < 16; ++i)
    code = uint8_t(code + (value > (nf4Numbers[i - 1] + nf4Numbers[i]) / 2));
  return code;
}

template <uint8_t (*convert)(float)>
static void encode(const float *values, int64_t count, uint8_t *bytes) {
  for (int64_t i = 0; i + 1 < count; i += 2)
    bytes[i / 2] = uint8_t(convert(values[i]) | convert(values[i + 1]) << 4);
  if (count % 2)
    bytes[count / 2] = convert(values[count - 1]);
}
template <const float *numbers>
static void decode(const uint8_t *bytes, int64_t count, float *values) {
  for (int64_t i = 0; i < count; ++i)
    values[i] = numbers[bytes[i / 2] >> i % 2 * 4 & 15];
}

constinit const Element fp4E2m1Element = {.type = ElementType::Fp4E2m1,
                                          .name = "fp4_e2m1",
                                          .bits = 4,
                                          .isFloat = false,
                                          .minCode = -6,
                                          .maxCode = 6,
                                          .unsignedMax = 0,
                                          .numbers = e2m1Numbers,
                                          .encode = encode<floatToE2m1>,
                                          .decode = decode<e2m1Numbers>,
                                          .pack = packFields<4>,
                                          .unpackUnsigned = unpackFields<4>};
constinit const Element nf4Element = {.type = ElementType::Nf4,
                                      .name = "nf4",
                                      .bits = 4,
                                      .isFloat = false,
                                      .minCode = -1,
                                      .maxCode = 1,
                                      .unsignedMax = 0,
                                      .numbers = nf4Numbers,
                                      .encode = encode<floatToNf4>,
                                      .decode = decode<nf4Numbers>,
                                      .pack = packFields<4>,
                                      .unpackUnsigned = unpackFields<4>};

} // namespace qopt::quant
