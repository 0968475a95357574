// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/cuda/KvPageLayout.h"

#include "lib/Quant/VectorCodes.h"

#include <algorithm>
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
  case quant::ElementType::Int3:
    return 3;
  case quant::ElementType::Int2:
    return 2;
  case quant::ElementType::F32:
  case quant::ElementType::Int6:
  case quant::ElementType::Int5:
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
  for (const quant::Format &format : {key, value})
    if (elementBits(format.element) == 0 ||
        !(quant::isVectorFormat(format) || quant::isVectorGroupFormat(format)))
      return unsupported("a GPU keeps its cache in f16, bf16, int8, int4 or "
                         "fp8_e4m3, or in integers with groups, got " +
                         quant::spell(format));
  if (keyGroup() && (keyGroup() % 32 != 0 || page % keyGroup() != 0))
    return unsupported("keys in groups of " + std::to_string(keyGroup()) +
                       " positions; expected a multiple of 32 that divides "
                       "pages of " +
                       std::to_string(page));
  if (valueGroup() && (valueGroup() % 16 != 0 || valueSize % valueGroup() != 0))
    return unsupported("values in groups of " + std::to_string(valueGroup()) +
                       " channels; expected a multiple of 16 that divides "
                       "heads of " +
                       std::to_string(valueSize));
  constexpr int64_t most = 65536;
  if (recent % 32 != 0 || first % 16 != 0 || recent < 0 || first < 0 ||
      recent > most || first > most ||
      (recent ? recent < keyGroup() : first > 0))
    return unsupported(std::to_string(recent) + " latest and " +
                       std::to_string(first) + " first positions in f16");
  if (int64_t size = std::max(keySize, valueSize);
      recent && size > mostWithLatest)
    return unsupported("heads of " + std::to_string(size) +
                       " channels; a GPU keeps latest positions in f16 of up "
                       "to " +
                       std::to_string(mostWithLatest));
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
