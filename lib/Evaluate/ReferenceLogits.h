// The logits that a model's are compared with.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_EVALUATE_REFERENCELOGITS_H
#define QOPT_LIB_EVALUATE_REFERENCELOGITS_H

#include "lib/Tokens/TokenWindows.h"
#include "qopt/Engine.h"

#include <map>
#include <vector>

namespace qopt::eval {

class ReferenceLogits {
public:
  virtual ~ReferenceLogits() = default;
  /// Logits [length, vocabulary] of a window, valid until the next call.
  virtual StatusOr<std::span<const float>> window(int64_t index) = 0;
  /// What logits that are no numbers make of where they come from.
  virtual StatusCode brokenCode() const = 0;
};

/// Those of another artifact, computed window by window.
class EngineLogits : public ReferenceLogits {
public:
  /// Both outlive this; the vocabulary of `engine` is the model's.
  EngineLogits(Engine &engine, const TokenWindows &windows)
      : engine(engine), windows(windows) {}
  StatusOr<std::span<const float>> window(int64_t index) override;
  StatusCode brokenCode() const override { return StatusCode::BadArtifact; }

private:
  Engine &engine;
  const TokenWindows &windows;
  std::vector<float> logits;
};

/// Those of another source, of which the first windows are kept: for who asks
/// for all windows again and again.
class KeptLogits : public ReferenceLogits {
public:
  /// `source` outlives this; at most so many bytes are kept.
  KeptLogits(ReferenceLogits &source, size_t most)
      : source(source), room(most) {}
  StatusOr<std::span<const float>> window(int64_t index) override;
  StatusCode brokenCode() const override { return source.brokenCode(); }

private:
  ReferenceLogits &source;
  size_t room; ///< bytes that are left
  std::map<int64_t, std::vector<float>> kept;
};

} // namespace qopt::eval

#endif // QOPT_LIB_EVALUATE_REFERENCELOGITS_H
