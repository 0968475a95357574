// How a row is shared by the threads that hold all of it in registers, as
// norms and quantization need, which use a row twice.
//
//   element of thread t, step s, place i:   (s · threads + t) · width + i
//
//   row: | t0 w…w | t1 w…w | … | tn w…w | t0 w…w | …       width elements each
//        '- step 0 -----------------------'- step 1 …
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_KERNELS_ROWSHAPE_H
#define QOPT_LIB_KERNELS_ROWSHAPE_H

#include "lib/Kernels/LaunchShape.h"
#include "lib/Target/Target.h"
#include "qopt/Status.h"

#include <string_view>

namespace qopt::kernels {

/// Values that a thread may hold; with operands of the same shape they fit the
/// 64 registers of a thread in a block of 1024.
constexpr int64_t mostValuesPerThread = 32;

struct RowShape {
  int threads = 32;     ///< that share a row: one warp, or a whole block
  int width = 1;        ///< elements of one access: 1, 2, 4 or 8
  int rowsPerBlock = 1; ///< more than one only where a warp has a row
  bool operator==(const RowShape &) const = default;

  int64_t steps(int64_t columns) const {
    int64_t step = int64_t(threads) * width;
    return (columns + step - 1) / step;
  }
  int blockThreads() const { return threads * rowsPerBlock; }

  /// Names every number, for the IR and for reports: visit(name, member).
  template <typename Self, typename Visit>
  static void visitFields(Self &self, Visit visit) {
    visit("threads", self.threads);
    visit("width", self.width);
    visit("rows_per_block", self.rowsPerBlock);
  }
};

/// What families choose of which a team has a row.
struct RowSchedule {
  RowShape row;
  std::string_view why; ///< a sentence for the report

  /// As RowShape::visitFields.
  template <typename Self, typename Visit>
  static void visitFields(Self &self, Visit visit) {
    RowShape::visitFields(self.row, visit);
  }
};

/// The widest access to rows of `columns` elements.
int widthOf(int64_t columns);

/// The shape that the table has for rows of `columns` elements.
RowShape chooseRowShape(int64_t columns);

/// Ok, or why `shape` cannot hold rows of `columns` elements.
Status isValid(const RowShape &shape, int64_t columns,
               const target::Target &target);

} // namespace qopt::kernels

#endif // QOPT_LIB_KERNELS_ROWSHAPE_H
