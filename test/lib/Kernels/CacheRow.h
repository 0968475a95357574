// Codes of a row of a GPU's cache as runtime/cuda/KvPageLayout.h has them.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TEST_LIB_KERNELS_CACHEROW_H
#define QOPT_TEST_LIB_KERNELS_CACHEROW_H

#include "lib/Quant/Element.h"

#include <vector>

namespace qopt::kernels::test {

/// A row of integers: of three bits the lower two, and the third ones behind
/// them.
inline void packRow(const quant::Element &element,
                    const std::vector<int16_t> &codes, uint8_t *row) {
  auto count = int64_t(codes.size());
  if (element.type != quant::ElementType::Int3)
    return element.pack(codes.data(), count, row);
  quant::int2Element.pack(codes.data(), count, row);
  for (int64_t i = 0; i < count; i += 8) {
    uint8_t &thirds = row[count / 4 + i / 8] = 0;
    for (int64_t j = 0; j < 8; ++j)
      thirds |= uint8_t((codes[size_t(i + j)] >> 2 & 1) << j);
  }
}

} // namespace qopt::kernels::test

#endif // QOPT_TEST_LIB_KERNELS_CACHEROW_H
