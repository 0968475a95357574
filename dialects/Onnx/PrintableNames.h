// Names of a model in messages. A file may call things what it likes: a name of
// a megabyte or one with line breaks and escape sequences must not reach a
// terminal as it is.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_DIALECTS_ONNX_PRINTABLENAMES_H
#define QOPT_DIALECTS_ONNX_PRINTABLENAMES_H

#include "llvm/ADT/StringRef.h"
#include <string>

namespace qopt::onnx {

/// A name of the model for a message: one line of at most 120 bytes, with
/// control characters and what is no UTF-8 escaped.
std::string printableName(llvm::StringRef name);
/// The same of a line with such names in it, of at most 2000 bytes.
std::string printableLine(llvm::StringRef line);
/// The same for a whole message, whose own line breaks stay and whose lines are
/// cut at 2000 bytes.
std::string printable(llvm::StringRef message);

} // namespace qopt::onnx

#endif // QOPT_DIALECTS_ONNX_PRINTABLENAMES_H
