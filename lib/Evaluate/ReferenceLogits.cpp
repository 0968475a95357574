// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Evaluate/ReferenceLogits.h"

namespace qopt::eval {

StatusOr<std::span<const float>> EngineLogits::window(int64_t index) {
  logits.clear();
  Status status = engine.evaluate(
      windows[index], [&](int64_t, std::span<const float> rows) {
        logits.insert(logits.end(), rows.begin(), rows.end());
        return Status();
      });
  if (!status.ok())
    return status;
  return std::span<const float>(logits);
}

StatusOr<std::span<const float>> KeptLogits::window(int64_t index) {
  if (auto found = kept.find(index); found != kept.end())
    return std::span<const float>(found->second);
  auto logits = source.window(index);
  if (!logits.ok() || logits->size_bytes() > room)
    return logits;
  room -= logits->size_bytes();
  return std::span<const float>(
      kept.emplace(index, std::vector<float>(logits->begin(), logits->end()))
          .first->second);
}

} // namespace qopt::eval
