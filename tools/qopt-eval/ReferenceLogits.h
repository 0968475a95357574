// The logits that a model's are compared with: those of another artifact,
// computed window by window, or a saved array.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TOOLS_QOPTEVAL_REFERENCELOGITS_H
#define QOPT_TOOLS_QOPTEVAL_REFERENCELOGITS_H

#include "qopt/Engine.h"
#include "tools/io/Npy.h"
#include "tools/qopt-eval/TokenWindows.h"

#include <optional>
#include <string>
#include <vector>

namespace qopt::eval {

class ReferenceLogits {
public:
  /// Computed by `engine`, whose vocabulary is the model's.
  ReferenceLogits(Engine &engine, const TokenWindows &windows)
      : ReferenceLogits(windows, engine.artifact().decoder().vocabulary) {
    this->engine = &engine;
  }
  /// A .npy of [windows, length, vocabulary] in f32 or f16 that has at least
  /// the windows given.
  static StatusOr<std::unique_ptr<ReferenceLogits>>
  open(const std::string &path, const TokenWindows &windows,
       int64_t vocabulary);

  /// Logits [length, vocabulary] of a window, valid until the next call.
  StatusOr<std::span<const float>> window(int64_t index);

  /// What logits that are no numbers make of where they come from.
  StatusCode brokenCode() const {
    return array ? StatusCode::BadModel : StatusCode::BadArtifact;
  }

private:
  ReferenceLogits(const TokenWindows &windows, int64_t vocabulary)
      : windows(windows), vocabulary(vocabulary),
        logits(size_t(windows.length() * vocabulary)) {}

  const TokenWindows &windows;
  int64_t vocabulary;
  std::vector<float> logits;
  Engine *engine = nullptr; ///< null: `array` has them
  std::optional<io::NpyFile> array;
};

} // namespace qopt::eval

#endif // QOPT_TOOLS_QOPTEVAL_REFERENCELOGITS_H
