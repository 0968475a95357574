// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tools/qopt-eval/Continuations.h"

#include "lib/Evaluate/LogitMetrics.h"

#include <algorithm>

namespace qopt::eval {

StatusOr<std::vector<TokenScore>>
scoreTokens(Engine &engine, const Continuation &text, int64_t chunk) {
  auto width = size_t(engine.artifact().decoder().vocabulary);
  auto length = int64_t(text.tokens.size());
  std::vector<TokenScore> scores;
  auto score = [&](int64_t first, std::span<const float> logits) -> Status {
    auto rows = int64_t(logits.size() / width);
    int64_t end = std::min(first + rows, length - 1);
    for (int64_t at = std::max(first, text.first - 1); at < end; ++at) {
      std::span<const float> row =
          logits.subspan(size_t(at - first) * width, width);
      RowSummary summary = summarize(row);
      if (!summary.finite)
        return {StatusCode::BadArtifact, "the logits of position " +
                                             std::to_string(at) +
                                             " are not numbers"};
      int32_t token = text.tokens[size_t(at + 1)];
      scores.push_back({surprise(row, summary, token), rank(row, token)});
    }
    return {};
  };
  if (Status status = engine.evaluate(text.tokens, score, chunk); !status.ok())
    return status;
  return scores;
}

} // namespace qopt::eval
