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
    break;
  }
  return 0;
}

int64_t KvPageLayout::codeBytes(const quant::Format &format,
                                int64_t size) const {
  return page * size * elementBits(format.element) / 8;
}

Status KvPageLayout::check() const {
  auto unsupported = [](const std::string &what) {
    return Status(StatusCode::Unsupported, what);
  };
  for (const quant::Format &format : {key, value}) {
    bool scaled = format.granularity == quant::Granularity::Channel &&
                  format.isSymmetric();
    if (elementBits(format.element) == 0 || (!format.isFloat() && !scaled))
      return unsupported("a GPU keeps its cache in f16, bf16, int8, int4 or "
                         "fp8_e4m3, got " +
                         quant::spell(format));
  }
  for (int64_t size : {keySize, valueSize})
    if (size <= 0 || size > 256 || size % 8 != 0)
      return unsupported("heads of " + std::to_string(size) +
                         " channels; a GPU's cache takes multiples of 8 up to "
                         "256");
  if (page <= 0 || page % 16 != 0 || keyHeads <= 0)
    return unsupported("cache pages of " + std::to_string(page) +
                       " positions; expected a multiple of 16");
  return {};
}

} // namespace qopt::cuda
