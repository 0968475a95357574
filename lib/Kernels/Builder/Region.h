// Operations of the IR inside a kernel: prologues and epilogues are blocks of
// arith and math that a generator inlines where it has their arguments.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_KERNELS_BUILDER_REGION_H
#define QOPT_LIB_KERNELS_BUILDER_REGION_H

#include "lib/Kernels/Builder/Kernel.h"

#include "qopt/Status.h"

namespace qopt::kernels {

/// Ok where `block` has `expected` arguments, or is null and one is expected:
/// then the argument is the result.
Status isValidRegion(mlir::Block *block, size_t expected, size_t operands);

/// The operand of the terminator of `block` for `arguments`; the first of them
/// where `block` is null.
Real inlineRegion(Kernel &kernel, mlir::Block *block,
                  llvm::ArrayRef<Real> arguments);

/// Fills an empty block with the sum of its arguments: the product and as many
/// operands, in f32, added in their order.
void fillSum(mlir::Block &block, size_t operands, mlir::OpBuilder builder,
             mlir::Location loc);

} // namespace qopt::kernels

#endif // QOPT_LIB_KERNELS_BUILDER_REGION_H
