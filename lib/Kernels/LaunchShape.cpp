// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/LaunchShape.h"

#include <algorithm>
#include <string>

using namespace qopt;

Status kernels::isValidBlock(int64_t threads, const target::Target &target) {
  if (threads >= 32 && threads % 32 == 0 &&
      threads <= target.limits.threadsPerBlock)
    return Status();
  return Status(StatusCode::Infeasible,
                std::to_string(threads) + " threads; " +
                    std::string(target.name) +
                    " has blocks of whole warps, of at most " +
                    std::to_string(target.limits.threadsPerBlock));
}

int64_t kernels::residentBlocks(int64_t blocks, int blocksPerSm,
                                const target::Target &target) {
  int64_t fullest =
      (blocks + target.multiprocessors - 1) / target.multiprocessors;
  return std::min<int64_t>(fullest, blocksPerSm);
}
