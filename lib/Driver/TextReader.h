// Texts as a decoder reads them, with the tokenizer beside it, or token ids as
// a .npy file has them: for calibration and for measuring.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_DRIVER_TEXTREADER_H
#define QOPT_LIB_DRIVER_TEXTREADER_H

#include "lib/Calibrate/CalibrationTokens.h"
#include "lib/Driver/Companions.h"
#include "mlir/IR/BuiltinOps.h"
#include <optional>

namespace qopt::driver {

struct WindowedText {
  TokenWindows windows;
  std::string sha256; ///< of the file's bytes
};

class TextReader {
public:
  /// For a raised model. Unsupported for one that is no decoder; `option` asks
  /// for texts.
  static StatusOr<TextReader> create(mlir::ModuleOp raised,
                                     const Companions &companions,
                                     std::string option);

  /// Windows of the file `source.path`, at most `tokens` tokens spread over it:
  /// of a text or of a list of token ids `windowLength` tokens each, of token
  /// ids [windows, length] the file's own. InvalidArgument for a text where
  /// the model has no tokenizer, for ids that it has no rows for, and as
  /// windowsOfText and readTokenFile say.
  StatusOr<WindowedText> read(const calibrate::TextSource &source,
                              int64_t windowLength, int64_t tokens) const;

private:
  TextReader(std::string option, int64_t vocabulary, int64_t context)
      : option(std::move(option)), vocabulary(vocabulary), context(context) {}
  StatusOr<TokenWindows> windowsOf(const std::string &text,
                                   const calibrate::TextSource &source,
                                   const calibrate::WindowLimits &limits) const;
  StatusOr<TokenWindows>
  windowsOfTokens(const calibrate::TextSource &source,
                  const calibrate::WindowLimits &limits) const;

  std::string option;
  int64_t vocabulary;
  int64_t context; ///< the model's; 0: not known
  std::optional<Tokenizer> tokenizer;
};

} // namespace qopt::driver

#endif // QOPT_LIB_DRIVER_TEXTREADER_H
