// The floating point element types f32, f16 and bf16: little endian, no scales.
// Bytes may lie at any address.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Quant/Element.h"
#include "lib/Quant/FloatConversion.h"
#include <cstring>

namespace qopt::quant {

static void copyToBytes(const float *values, int64_t count, uint8_t *bytes) {
  std::memcpy(bytes, values, size_t(count) * sizeof(float));
}
static void copyFromBytes(const uint8_t *bytes, int64_t count, float *values) {
  std::memcpy(values, bytes, size_t(count) * sizeof(float));
}

template <uint16_t (*convert)(float)>
static void narrow(const float *values, int64_t count, uint8_t *bytes) {
  for (int64_t i = 0; i < count; ++i) {
    uint16_t bits = convert(values[i]);
    std::memcpy(bytes + 2 * i, &bits, 2);
  }
}
template <float (*convert)(uint16_t)>
static void widen(const uint8_t *bytes, int64_t count, float *values) {
  for (int64_t i = 0; i < count; ++i) {
    uint16_t bits;
    std::memcpy(&bits, bytes + 2 * i, 2);
    values[i] = convert(bits);
  }
}

static constexpr Element floatElement(ElementType type, std::string_view name,
                                      unsigned bits) noexcept {
  return Element{.type = type,
                 .name = name,
                 .bits = bits,
                 .isFloat = true,
                 .minCode = 0,
                 .maxCode = 0,
                 .unsignedMax = 0,
                 .encode = copyToBytes,
                 .decode = copyFromBytes,
                 .pack = nullptr,
                 .unpackUnsigned = nullptr};
}

static constexpr Element
sixteenBits(ElementType type, std::string_view name,
            decltype(Element::encode) encode,
            decltype(Element::decode) decode) noexcept {
  Element element = floatElement(type, name, 16);
  element.encode = encode;
  element.decode = decode;
  return element;
}

constinit const Element f32Element = floatElement(ElementType::F32, "f32", 32);
constinit const Element f16Element = sixteenBits(
    ElementType::F16, "f16", narrow<floatToHalf>, widen<halfToFloat>);
constinit const Element bf16Element = sixteenBits(
    ElementType::BF16, "bf16", narrow<floatToBfloat16>, widen<bfloat16ToFloat>);

} // namespace qopt::quant
