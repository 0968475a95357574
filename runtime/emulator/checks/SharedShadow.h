// What the checks know of a block's shared memory: which bytes were written,
// which are the destination of an asynchronous copy that is under way, and who
// last wrote and read each word.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_EMULATOR_CHECKS_SHAREDSHADOW_H
#define QOPT_RUNTIME_EMULATOR_CHECKS_SHAREDSHADOW_H

#include "runtime/emulator/checks/AccessCell.h"
#include "runtime/emulator/checks/RegisterShadow.h"

#include <algorithm>
#include <memory>
#include <vector>

namespace qopt::emulator {

struct SharedShadow {
  explicit SharedShadow(size_t bytes)
      : state(bytes),
        pendingLine(std::make_unique_for_overwrite<uint32_t[]>(bytes / 4 + 1)),
        words(bytes / 4 + 1), isClear((words + chunkWords - 1) / chunkWords),
        cells(std::make_unique_for_overwrite<AccessCell[]>(isClear.size() *
                                                           chunkWords)) {}

  /// As of a block that has not begun.
  void clear() {
    std::fill(state.begin(), state.end(), 0);
    std::fill(isClear.begin(), isClear.end(), 0);
    origins.clear();
  }

  /// The accesses to `count` words from `word` on.
  AccessCell *cellsAt(size_t word, size_t count) {
    for (size_t i = word / chunkWords; i <= (word + count - 1) / chunkWords;
         ++i)
      if (!isClear[i]) {
        std::fill_n(&cells[i * chunkWords], chunkWords, AccessCell());
        isClear[i] = 1;
      }
    return &cells[word];
  }

  /// Undefined: what was written is; such a byte is not `Written`.
  enum : uint8_t { Written = 1, Pending = 2, Undefined = 4 };
  std::vector<uint8_t> state;              ///< by byte
  std::unique_ptr<uint32_t[]> pendingLine; ///< by word, of Pending: PTX line
  std::vector<Origin> origins; ///< by byte: of Undefined; empty while none is
  size_t words;                ///< all, with one that is begun at the end

private:
  /// Blocks have more shared memory than most of them touch: cells are cleared
  /// by so many, ahead of the first look at one of them.
  static constexpr size_t chunkWords = 64;
  std::vector<uint8_t> isClear; ///< by chunk
  std::unique_ptr<AccessCell[]> cells;
};

} // namespace qopt::emulator

#endif // QOPT_RUNTIME_EMULATOR_CHECKS_SHAREDSHADOW_H
