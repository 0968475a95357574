// A digest of all that a result depends on: the name under which it can be kept
// between runs and never be out of date.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_CODEGEN_KEYDIGEST_H
#define QOPT_LIB_CODEGEN_KEYDIGEST_H

#include "runtime/Sha256.h"
#include "llvm/ADT/StringRef.h"

#include <string>

namespace qopt::codegen {

/// A digest of parts, none of which can pass for two others: ("a", "bc") and
/// ("ab", "c") differ.
class KeyDigest {
public:
  void add(llvm::StringRef part);
  /// Nothing, where the file cannot be read.
  void addFile(const std::string &path);
  /// This build of the compiler: the program or library that this code is in,
  /// and the libraries of LLVM and MLIR that are loaded.
  void addCompiler();
  /// 64 lower-case hexadecimal digits. The object is spent.
  std::string finish() { return runtime::spell(digest.finish()); }

private:
  runtime::Sha256 digest;
};

} // namespace qopt::codegen

#endif // QOPT_LIB_CODEGEN_KEYDIGEST_H
