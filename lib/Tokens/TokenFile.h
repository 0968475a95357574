// Token windows that a .npy file has.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_TOKENS_TOKENFILE_H
#define QOPT_LIB_TOKENS_TOKENFILE_H

#include "lib/Tokens/TokenWindows.h"

#include <optional>
#include <string>

namespace qopt {

/// Whether `path` is meant as token ids and not as text: it ends in .npy.
bool isTokenFile(const std::string &path);

/// A .npy file of integers: [windows, length], or [tokens] to be cut into
/// windows of `asked`, else `length`. InvalidArgument where `asked`, the option
/// --window, is not the length of the file's windows, and for other arrays.
StatusOr<TokenWindows> readTokenFile(const std::string &path, int64_t length,
                                     std::optional<int64_t> asked = {});

} // namespace qopt

#endif // QOPT_LIB_TOKENS_TOKENFILE_H
