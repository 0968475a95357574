// Generated code by its content: the key is a digest of all that the code
// depends on (KeyDigest.h), so an entry is never out of date and never has to
// be removed for correctness. PTX of kernels and assembled code live here.
// Entries appear whole or not at all, whoever else writes; a damaged one counts
// as absent. Those that nobody has read for a month go, and the oldest where
// all are more than 2 GiB.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_CODEGEN_CODECACHE_H
#define QOPT_LIB_CODEGEN_CODECACHE_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"

#include <optional>
#include <string>
#include <vector>

namespace qopt::codegen {

/// A folder of entries; the empty path is a cache that holds nothing.
class CodeCache {
public:
  explicit CodeCache(std::string folder) : folder(std::move(folder)) {}

  /// The folder that QOPT_CODE_CACHE names, no cache where that is "off"; else
  /// $XDG_CACHE_HOME/qopt/code or ~/.cache/qopt/code, no cache without either.
  static CodeCache ofUser();

  /// An entry of so many parts; nothing where there is none, or none such.
  std::optional<std::vector<std::string>> load(llvm::StringRef key,
                                               size_t parts) const;

  /// Stores an entry. A folder that cannot be written is no error: the next
  /// run makes the code again.
  void store(llvm::StringRef key, llvm::ArrayRef<llvm::StringRef> parts) const;

private:
  std::string pathOf(llvm::StringRef key) const;

  std::string folder;
};

} // namespace qopt::codegen

#endif // QOPT_LIB_CODEGEN_CODECACHE_H
