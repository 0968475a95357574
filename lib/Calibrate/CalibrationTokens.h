// The text that a model is calibrated on, as windows of tokens: sequences that
// the model reads from their beginning, each by itself.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_CALIBRATE_CALIBRATIONTOKENS_H
#define QOPT_LIB_CALIBRATE_CALIBRATIONTOKENS_H

#include "qopt/Status.h"
#include "qopt/Tokenizer.h"
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace qopt::calibrate {

/// How much of a text is used.
struct WindowLimits {
  int64_t length = 512;   ///< tokens of a window
  int64_t most = 128;     ///< windows
  int64_t vocabulary = 0; ///< ids that the model has rows for
};

/// Every eighth sequence is held out: no algorithm sees it, the choice between
/// their results does.
inline bool isHeldOut(int64_t sequence) { return sequence % 8 == 7; }

class CalibrationTokens {
public:
  /// Windows of `limits.length` tokens that follow each other, the rest left
  /// out; where there are more than `limits.most`, that many spread evenly over
  /// the text. InvalidArgument, naming `source`, for a text of fewer tokens
  /// than a window, or of another language than the tokenizer's: one of which
  /// more than a tenth of the tokens are unknown.
  static StatusOr<CalibrationTokens> ofText(const std::string &text,
                                            const std::string &source,
                                            const Tokenizer &tokenizer,
                                            const WindowLimits &limits);

  int64_t count() const { return int64_t(tokens.size()) / windowLength; }
  int64_t length() const { return windowLength; }
  std::span<const int32_t> operator[](int64_t window) const {
    return std::span(tokens).subspan(size_t(window * windowLength),
                                     size_t(windowLength));
  }

private:
  CalibrationTokens(std::vector<int32_t> tokens, int64_t length)
      : tokens(std::move(tokens)), windowLength(length) {}
  std::vector<int32_t> tokens;
  int64_t windowLength = 0;
};

} // namespace qopt::calibrate

#endif // QOPT_LIB_CALIBRATE_CALIBRATIONTOKENS_H
