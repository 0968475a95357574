// What the checks know of a block's shared memory: which bytes were written,
// which are the destination of an asynchronous copy that is under way, and who
// last wrote and read each word.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_EMULATOR_CHECKS_SHAREDSHADOW_H
#define QOPT_RUNTIME_EMULATOR_CHECKS_SHAREDSHADOW_H

#include "runtime/emulator/checks/AccessCell.h"
#include "runtime/emulator/checks/RegisterShadow.h"

#include <vector>

namespace qopt::emulator {

struct SharedShadow {
  explicit SharedShadow(size_t bytes)
      : state(bytes), pendingLine(bytes / 4 + 1), cells(bytes / 4 + 1) {}

  void clear() {
    std::fill(state.begin(), state.end(), 0);
    std::fill(cells.begin(), cells.end(), AccessCell());
    origins.clear();
  }

  /// Undefined: what was written is; such a byte is not `Written`.
  enum : uint8_t { Written = 1, Pending = 2, Undefined = 4 };
  std::vector<uint8_t> state;        ///< by byte
  std::vector<uint32_t> pendingLine; ///< by word: PTX line of the copy
  std::vector<AccessCell> cells;     ///< by word
  std::vector<Origin> origins; ///< by byte: of Undefined; empty while none is
};

} // namespace qopt::emulator

#endif // QOPT_RUNTIME_EMULATOR_CHECKS_SHAREDSHADOW_H
