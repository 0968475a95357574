// Names and messages on their way to a terminal: what stands in a file must not
// move the cursor, end a line or turn the direction of what follows.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_PRINTABLETEXT_H
#define QOPT_RUNTIME_PRINTABLETEXT_H

#include <string>
#include <string_view>

namespace qopt::runtime {

/// The text on one line: control characters become \xNN, those that format text
/// (bidirectional, line and paragraph separators) \uNNNN, and bytes that are
/// not UTF-8 U+FFFD.
std::string printable(std::string_view text);

/// The same of each line of a message, whose line ends stay.
std::string printableLines(std::string_view text);

} // namespace qopt::runtime

#endif // QOPT_RUNTIME_PRINTABLETEXT_H
