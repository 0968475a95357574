// Reference logits that an earlier run saved.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TOOLS_QOPTEVAL_SAVEDLOGITS_H
#define QOPT_TOOLS_QOPTEVAL_SAVEDLOGITS_H

#include "lib/Evaluate/ReferenceLogits.h"
#include "lib/Io/Npy.h"

#include <string>

namespace qopt::eval {

class SavedLogits : public ReferenceLogits {
public:
  /// A .npy of [windows, length, vocabulary] in f32 or f16 that has at least
  /// the windows given.
  static StatusOr<std::unique_ptr<ReferenceLogits>>
  open(const std::string &path, const TokenWindows &windows,
       int64_t vocabulary);
  StatusOr<std::span<const float>> window(int64_t index) override;
  StatusCode brokenCode() const override { return StatusCode::BadModel; }

private:
  SavedLogits(io::NpyFile array, size_t count)
      : array(std::move(array)), logits(count) {}

  io::NpyFile array;
  std::vector<float> logits; ///< of one window
};

} // namespace qopt::eval

#endif // QOPT_TOOLS_QOPTEVAL_SAVEDLOGITS_H
