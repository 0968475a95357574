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

} // namespace qopt::eval
