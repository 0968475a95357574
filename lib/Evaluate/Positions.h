// What single positions give: the model's prediction beside the reference's
// and beside the token that came.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_EVALUATE_POSITIONS_H
#define QOPT_LIB_EVALUATE_POSITIONS_H

#include "runtime/host/ThreadPool.h"

#include <cstdint>
#include <span>
#include <vector>

namespace qopt::eval {

/// Of one side, about the next token. The last position of a window has none,
/// and zeros here.
struct Guess {
  double nll = 0;        ///< -log p of the token that came, in nats
  double confidence = 0; ///< p of the first choice
  bool right = false;    ///< the first choice is the token that came
};

struct Position {
  Guess model, reference;
  double divergence = 0; ///< KL(reference || model) in nats
  bool sameTop = false;  ///< both have the same first choice
};

/// Of windows of one length.
class PositionTable {
public:
  PositionTable(int64_t windows, int64_t length, bool compared)
      : length(length), compared(compared),
        positions(size_t(windows * length)) {}
  std::span<Position> operator[](int64_t window) {
    return std::span(positions).subspan(size_t(window * length),
                                        size_t(length));
  }
  std::span<const Position> operator[](int64_t window) const {
    return std::span(positions).subspan(size_t(window * length),
                                        size_t(length));
  }

  const int64_t length;
  const bool compared; ///< there is a reference

private:
  std::vector<Position> positions;
};

/// Logits [rows, vocabulary] of the positions of a window from `first` on.
struct WindowRows {
  std::span<const int32_t> tokens; ///< of the whole window
  std::span<const float> expected; ///< the reference's, of the whole window
  int64_t vocabulary, first;
  std::span<const float> logits;
};

/// A position whose logits are no numbers; -1: none.
struct BrokenRows {
  int64_t model = -1, reference = -1;
};

/// Fills the positions of these rows; `positions` are the whole window's.
BrokenRows judgeRows(const WindowRows &rows, std::span<Position> positions,
                     host::ThreadPool &pool);

} // namespace qopt::eval

#endif // QOPT_LIB_EVALUATE_POSITIONS_H
