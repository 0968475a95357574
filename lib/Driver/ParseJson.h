// JSON files of a user.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_DRIVER_PARSEJSON_H
#define QOPT_LIB_DRIVER_PARSEJSON_H

#include "qopt/Status.h"

#include "llvm/Support/JSON.h"

namespace qopt::driver {

/// The value that a text is. InvalidArgument where it is none, or has values
/// more than 64 levels deep in each other, which a parser that calls itself
/// should not follow; the message is the reason alone.
StatusOr<llvm::json::Value> parseJson(llvm::StringRef text);

} // namespace qopt::driver

#endif // QOPT_LIB_DRIVER_PARSEJSON_H
