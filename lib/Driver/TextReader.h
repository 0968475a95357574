// Texts as a decoder reads them, with the tokenizer beside it: for calibration
// and for measuring.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_DRIVER_TEXTREADER_H
#define QOPT_LIB_DRIVER_TEXTREADER_H

#include "lib/Calibrate/CalibrationTokens.h"
#include "lib/Driver/Companions.h"
#include "mlir/IR/BuiltinOps.h"

namespace qopt::driver {

struct WindowedText {
  TokenWindows windows;
  std::string sha256; ///< of the file's bytes
};

class TextReader {
public:
  /// For a raised model. Unsupported for one that is no decoder,
  /// InvalidArgument where it has no tokenizer; `option` asks for texts.
  static StatusOr<TextReader> create(mlir::ModuleOp raised,
                                     const Companions &companions,
                                     std::string option);

  /// Windows of the file `source.path`, at most `tokens` tokens spread over it.
  StatusOr<WindowedText> read(const calibrate::TextSource &source,
                              int64_t windowLength, int64_t tokens) const;

private:
  TextReader(std::string option, int64_t vocabulary, Tokenizer tokenizer)
      : option(std::move(option)), vocabulary(vocabulary),
        tokenizer(std::move(tokenizer)) {}

  std::string option;
  int64_t vocabulary;
  Tokenizer tokenizer;
};

} // namespace qopt::driver

#endif // QOPT_LIB_DRIVER_TEXTREADER_H
