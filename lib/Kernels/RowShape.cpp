// The table of row shapes, and what makes one impossible.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/RowShape.h"

#include <algorithm>
#include <string>

using namespace qopt;
using namespace qopt::kernels;

int kernels::widthOf(int64_t columns) {
  for (int width : {8, 4, 2})
    if (columns % width == 0)
      return width;
  return 1;
}

// One token has one block, so its threads are what hides the latency: as many
// as have something to load. Short rows share a block, a warp each.
RowShape kernels::chooseRowShape(int64_t columns) {
  RowShape shape;
  shape.width = widthOf(columns);
  int64_t accesses = (columns + shape.width - 1) / shape.width;
  if (accesses <= 64) {
    shape.rowsPerBlock = 4;
    return shape;
  }
  shape.threads = int(std::min<int64_t>((accesses + 31) / 32 * 32, 1024));
  return shape;
}

Status kernels::isValid(const RowShape &shape, int64_t columns,
                        const target::Target &target) {
  auto infeasible = [](std::string message) {
    return Status(StatusCode::Infeasible, std::move(message));
  };
  if (shape.threads < 32 || shape.threads % 32 || shape.rowsPerBlock < 1 ||
      (shape.rowsPerBlock > 1 && shape.threads > 32))
    return infeasible("a row is shared by a warp or by all warps of a block; "
                      "got " +
                      std::to_string(shape.threads) + " threads and " +
                      std::to_string(shape.rowsPerBlock) + " rows");
  QOPT_RETURN_IF_ERROR(isValidBlock(shape.blockThreads(), target));
  bool widthFits = false;
  for (int width : {1, 2, 4, 8})
    widthFits |= shape.width == width && columns % width == 0;
  if (!widthFits)
    return infeasible("rows of " + std::to_string(columns) +
                      " elements are not read " + std::to_string(shape.width) +
                      " at a time");
  if (shape.steps(columns) * shape.width > mostValuesPerThread)
    return infeasible("rows of " + std::to_string(columns) +
                      " elements do not fit the registers of " +
                      std::to_string(shape.threads) + " threads");
  return Status();
}
