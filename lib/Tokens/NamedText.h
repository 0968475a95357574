// Texts that a command line names: a path, or what its figures are called and a
// path.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_TOKENS_NAMEDTEXT_H
#define QOPT_LIB_TOKENS_NAMEDTEXT_H

#include "qopt/Status.h"

#include <string>
#include <vector>

namespace qopt {

struct NamedText {
  std::string name, path;
};

/// "NAME=PATH", or a path, which is its own name; the path of a file that
/// exists is one whatever is in it.
NamedText splitName(const std::string &text);

/// All that `option` gives. InvalidArgument for a path that is empty and a name
/// that is given twice.
StatusOr<std::vector<NamedText>>
splitNames(const std::string &option, const std::vector<std::string> &texts);

} // namespace qopt

#endif // QOPT_LIB_TOKENS_NAMEDTEXT_H
