// The threads that share a row by a RowShape: which row, which elements, and
// what they find out together.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_KERNELS_BUILDER_ROWTEAM_H
#define QOPT_LIB_KERNELS_BUILDER_ROWTEAM_H

#include "lib/Kernels/Builder/Elements.h"
#include "lib/Kernels/RowShape.h"

namespace qopt::kernels {

/// What a thread holds of a row: a run for each step.
using RowPart = std::vector<Run>;

class RowTeam {
public:
  RowTeam(Kernel &kernel, RowShape shape, int64_t columns);

  /// The row of this team, which may lie behind the last one.
  Int row() const { return rowIndex; }
  /// Runs `body` where the row is below `rows`. In it all threads of a row
  /// meet, so that they may reduce.
  void inside(Int rows, llvm::function_ref<void()> body);

  /// Elements of the row that begins at `address`; zeros beyond its end.
  RowPart load(Global address, mlir::Type type);
  Run loadStep(Global address, mlir::Type type, int64_t step);
  void store(Global address, const RowPart &part, mlir::Type type);
  /// int8 codes at `codes` with one f32 scale at `scale`:
  /// scale = max|x| / 127, code = x · (1 / scale) to the nearest, ties to even;
  /// not a number where one is not.
  void quantize(Global codes, Global scale, const RowPart &part);

  /// Σ or max of `value` of all threads of the row.
  Real reduce(Real value, Reduction reduction);

  /// The column of this thread's first element in a step, and whether it is in
  /// the row.
  Int column(int64_t step) const;
  Flag holds(int64_t step) const;
  /// Whether all threads are in the row in this step.
  bool isWhole(int64_t step) const;
  /// Runs `body` in the threads that are in the row in this step.
  void where(int64_t step, llvm::function_ref<void()> body);
  int64_t steps() const { return shape.steps(columns); }

private:
  Kernel &k;
  RowShape shape;
  int64_t columns;
  Int threadOfRow, rowIndex;
};

} // namespace qopt::kernels

#endif // QOPT_LIB_KERNELS_BUILDER_ROWTEAM_H
