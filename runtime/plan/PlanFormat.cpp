// Converts formats; the enums list the same names in the same order, which is
// asserted here.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/plan/PlanFormat.h"

#include "lib/Quant/Storage.h"
#include "runtime/ElementTypes.h"

namespace qopt::runtime {

template <typename Plan, typename Quant>
static constexpr bool same(Plan plan, Quant quant) {
  return uint8_t(plan) == uint8_t(quant);
}
static_assert(same(plan::Element::BF16, quant::ElementType::BF16) &&
              same(plan::Element::Fp8E4m3, quant::ElementType::Fp8E4m3) &&
              same(plan::Element::MAX, quant::ElementType::Nf4));
static_assert(same(plan::Granularity::Tensor, quant::Granularity::Tensor) &&
              same(plan::Granularity::MAX, quant::Granularity::Block));
static_assert(same(plan::ZeroPoint::U8, quant::ZeroType::U8) &&
              same(plan::ZeroPoint::MAX, quant::ZeroType::Float));
static_assert(same(plan::ScaleType::F16, quant::ScaleType::F16) &&
              same(plan::ScaleType::F32, quant::ScaleType::F32) &&
              same(plan::ScaleType::MAX, quant::ScaleType::E4m3));
static_assert(same(plan::CodeRange::Full, quant::CodeRange::Full) &&
              same(plan::CodeRange::MAX, quant::CodeRange::Restricted));

quant::Format toFormat(const plan::Format &format) {
  return {quant::ElementType(format.element()),
          quant::Granularity(format.granularity()),
          format.group(),
          quant::ZeroType(format.zero()),
          quant::ScaleType(format.scale()),
          quant::CodeRange(format.range())};
}

std::unique_ptr<plan::FormatT> fromFormat(const quant::Format &format) {
  auto result = std::make_unique<plan::FormatT>();
  result->element = plan::Element(format.element);
  result->granularity = plan::Granularity(format.granularity);
  result->group = uint32_t(format.groupSize);
  result->zero = plan::ZeroPoint(format.zero);
  result->scale = plan::ScaleType(format.scale);
  result->range = plan::CodeRange(format.range);
  return result;
}

CanonicalLayout canonicalLayout(const quant::Format &format, int64_t rows,
                                int64_t columns) {
  auto align = [](int64_t bytes) { return (bytes + 63) / 64 * 64; };
  int64_t codes = quant::codeBytes(format, rows, columns);
  int64_t scales = quant::scaleBytes(format, rows, columns);
  int64_t zeros = quant::zeroBytes(format, rows, columns);
  CanonicalLayout layout;
  layout.scales = align(codes);
  layout.zeros = align(layout.scales + scales);
  // Nothing is padded behind the last array.
  layout.bytes = zeros    ? layout.zeros + zeros
                 : scales ? layout.scales + scales
                          : codes;
  return layout;
}

int64_t bytesOf(plan::DType type) {
  const ElementTypeInfo *info = findElementType(DType(type));
  return info ? info->bytes : 0;
}

} // namespace qopt::runtime
