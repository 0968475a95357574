// From a text to the windows of tokens that a model is calibrated on.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_CALIBRATE_CALIBRATIONTOKENS_H
#define QOPT_LIB_CALIBRATE_CALIBRATIONTOKENS_H

#include "lib/Tokens/TokenWindows.h"
#include "qopt/Tokenizer.h"

namespace qopt::calibrate {

/// How much of a text is used.
struct WindowLimits {
  int64_t length = 512;   ///< tokens of a window
  int64_t most = 128;     ///< windows
  int64_t vocabulary = 0; ///< ids that the model has rows for
};

/// What a text is for and where it comes from, for errors.
struct TextSource {
  std::string role, path; ///< "calibration text", "books.txt"
};

/// Windows of `limits.length` tokens that follow each other, the rest left out;
/// where there are more than `limits.most`, that many spread evenly over the
/// text. InvalidArgument, naming `source`, for a text of fewer tokens than a
/// window, or of another language than the tokenizer's: one of which more than
/// a tenth of the tokens are unknown, or more than half single bytes beyond
/// ASCII.
StatusOr<TokenWindows> windowsOfText(const std::string &text,
                                     const TextSource &source,
                                     const Tokenizer &tokenizer,
                                     const WindowLimits &limits);

} // namespace qopt::calibrate

#endif // QOPT_LIB_CALIBRATE_CALIBRATIONTOKENS_H
