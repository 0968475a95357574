// What a batch may change of a cache's pool: the codes and scales of its own
// positions, and nothing beside them.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TEST_LIB_KERNELS_CACHEPOOL_H
#define QOPT_TEST_LIB_KERNELS_CACHEPOOL_H

#include "lib/Kernels/RotaryAppend/RotaryAppend.h"

#include <cstdint>
#include <span>
#include <string>

namespace qopt::kernels::test {

/// The arrays of an append's batch: [sequences + 1], [sequences], [sequences,
/// pageTableStride].
struct PoolBatch {
  std::span<const int32_t> tokenStarts, contextStarts, pageTable;
};

/// The first byte of the pool that differs before and after the append, though
/// no token of the batch has its place there, as text; "" where there is none.
std::string strayWrite(const rotary_append::Problem &append,
                       const PoolBatch &batch, std::span<const uint8_t> before,
                       std::span<const uint8_t> after);

} // namespace qopt::kernels::test

#endif // QOPT_TEST_LIB_KERNELS_CACHEPOOL_H
