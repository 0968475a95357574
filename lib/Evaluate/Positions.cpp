// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Evaluate/Positions.h"

#include "lib/Evaluate/LogitMetrics.h"

#include <atomic>

namespace qopt::eval {

static Guess guess(std::span<const float> logits, const RowSummary &row,
                   int32_t next) {
  return {surprise(logits, row, next), confidence(row), row.best == next};
}

BrokenRows judgeRows(const WindowRows &rows, std::span<Position> positions,
                     host::ThreadPool &pool) {
  std::atomic<int64_t> broken{-1}, brokenReference{-1};
  auto width = size_t(rows.vocabulary);
  auto judge = [&](int64_t i) {
    auto at = size_t(rows.first + i);
    std::span<const float> got = rows.logits.subspan(size_t(i) * width, width);
    RowSummary model = summarize(got);
    if (!model.finite)
      broken = int64_t(at);
    Position &position = positions[at] = Position();
    bool last = at + 1 == rows.tokens.size();
    if (!last)
      position.model = guess(got, model, rows.tokens[at + 1]);
    if (rows.expected.empty())
      return;
    std::span<const float> want = rows.expected.subspan(at * width, width);
    RowSummary reference = summarize(want);
    if (!reference.finite)
      brokenReference = int64_t(at);
    if (!last)
      position.reference = guess(want, reference, rows.tokens[at + 1]);
    position.divergence = divergence(want, reference, got, model);
    position.sameTop = model.best == reference.best;
  };
  pool.parallelFor(int64_t(rows.logits.size() / width), 1,
                   [&](int64_t begin, int64_t end) {
                     for (int64_t i = begin; i < end; ++i)
                       judge(i);
                   });
  return {broken, brokenReference};
}

} // namespace qopt::eval
