// The extents of the matrices that an instruction of tensor cores multiplies.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_EMULATOR_MATRIXSHAPE_H
#define QOPT_RUNTIME_EMULATOR_MATRIXSHAPE_H

#include "runtime/emulator/ptx/Module.h"

#include <cstdio>

namespace qopt::emulator {

/// D = A · B + C, A m × k, B k × n.
struct MatrixShape {
  unsigned m = 0, n = 0, k = 0;
  bool operator==(const MatrixShape &) const = default;
};

/// Of the modifier "m16n8k32"; zeros where there is none.
inline MatrixShape matrixShapeOf(const ptx::Instruction &instruction) {
  MatrixShape shape;
  for (const std::string &modifier : instruction.modifiers)
    if (std::sscanf(modifier.c_str(), "m%un%uk%u", &shape.m, &shape.n,
                    &shape.k) == 3)
      return shape;
  return {};
}

} // namespace qopt::emulator

#endif // QOPT_RUNTIME_EMULATOR_MATRIXSHAPE_H
