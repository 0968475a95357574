// The rows of Element.h's table, in the order of the enum.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Quant/Element.h"

namespace qopt::quant {

static const Element *const elements[] = {
    &f32Element,     &f16Element,     &bf16Element, &int8Element,
    &int4Element,    &fp8E4m3Element, &int3Element, &int2Element,
    &lut4Element,    &lut3Element,    &int6Element, &int5Element,
    &fp8E5m2Element, &fp4E2m1Element, &nf4Element};

void Element::unpackSigned(const uint8_t *bytes, int64_t count,
                           int16_t *codes) const {
  unpackUnsigned(bytes, count, codes);
  const int sign = 1 << (bits - 1);
  for (int64_t i = 0; i < count; ++i)
    codes[i] = int16_t((codes[i] ^ sign) - sign);
}

CodeBounds symmetricCodes(const Format &format) {
  const Element &element = elementOf(format.element);
  if (format.range == CodeRange::Usual || !element.isInteger())
    return {element.minCode, element.maxCode};
  int half = 1 << (element.bits - 1);
  return {format.range == CodeRange::Full ? -half : 1 - half, half - 1};
}

const Element &elementOf(ElementType type) {
  return *elements[static_cast<int>(type)];
}

const Element *findElement(std::string_view name) {
  for (const Element *element : elements)
    if (element->name == name)
      return element;
  return nullptr;
}

std::string elementNames() {
  std::string names;
  for (const Element *element : elements)
    names.append(names.empty() ? "" : ", ").append(element->name);
  return names;
}

} // namespace qopt::quant
