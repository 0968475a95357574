// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/cuda/KvPageLayout.h"

#include <string>

namespace qopt::cuda {

/// Bits of a stored element; 0 for one that no kernel reads.
static int64_t elementBits(quant::ElementType element) {
  switch (element) {
  case quant::ElementType::F16:
  case quant::ElementType::BF16:
    return 16;
  case quant::ElementType::Int8:
  case quant::ElementType::Fp8E4m3:
    return 8;
  case quant::ElementType::Int4:
    return 4;
  case quant::ElementType::F32:
  case quant::ElementType::Int6:
  case quant::ElementType::Int5:
  case quant::ElementType::Int3:
  case quant::ElementType::Int2:
  case quant::ElementType::Lut4:
  case quant::ElementType::Lut3:
  case quant::ElementType::Fp8E5m2:
  case quant::ElementType::Fp4E2m1:
  case quant::ElementType::Nf4:
    break;
  }
  return 0;
}

int64_t KvPageLayout::codeBytes(const quant::Format &format,
                                int64_t row) const {
  return page * row * elementBits(format.element) / 8;
}

Status KvPageLayout::check() const {
  auto unsupported = [](const std::string &what) {
    return Status(StatusCode::Unsupported, what);
  };
  auto isScaled = [](const quant::Format &format) {
    return format.granularity == quant::Granularity::Channel &&
           format.isSymmetric();
  };
  bool inGroups =
      key == quant::groupFormat(key.element, keyGroup(), key.zero) &&
      key.zero != quant::ZeroType::U8 &&
      (key.element == quant::ElementType::Int8 ||
       key.element == quant::ElementType::Int4);
  for (auto [format, known] :
       {std::pair(key, inGroups || isScaled(key)), {value, isScaled(value)}})
    if (elementBits(format.element) == 0 || (!format.isFloat() && !known))
      return unsupported("a GPU keeps its cache in f16, bf16, int8, int4 or "
                         "fp8_e4m3, and keys in int8 or int4 with groups of "
                         "positions, got " +
                         quant::spell(format));
  if (inGroups &&
      (keyGroup() <= 0 || keyGroup() % 32 != 0 || page % keyGroup() != 0))
    return unsupported("keys in groups of " + std::to_string(keyGroup()) +
                       " positions; expected a multiple of 32 that divides "
                       "pages of " +
                       std::to_string(page));
  if (recent)
    return unsupported("a GPU keeps no latest or first positions in f16");
  for (int64_t size : {keySize, valueSize})
    if (size <= 0 || size > mostChannels)
      return unsupported(
          "heads of " + std::to_string(size) + " channels; a GPU takes up to " +
          std::to_string(mostChannels) + "; compile with --target host");
  if (page <= 0 || page % 16 != 0 || keyHeads <= 0)
    return unsupported("cache pages of " + std::to_string(page) +
                       " positions; expected a multiple of 16");
  return {};
}

} // namespace qopt::cuda
