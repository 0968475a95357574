// Assembled code by its content: the key is a digest of everything that the
// assembler sees, so an entry is never out of date and never has to be removed
// for correctness. Entries appear whole or not at all; a damaged one counts as
// absent.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_CODEGEN_CUDA_CUBINCACHE_H
#define QOPT_LIB_CODEGEN_CUDA_CUBINCACHE_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"

#include <optional>
#include <string>

namespace qopt::codegen {

/// What one run of the assembler gave.
struct CubinEntry {
  std::string report; ///< what ptxas printed
  std::string cubin;
};

/// A folder of entries; the empty path is a cache that holds nothing.
class CubinCache {
public:
  explicit CubinCache(std::string folder) : folder(std::move(folder)) {}

  /// $XDG_CACHE_HOME/qopt/cubin, else ~/.cache/qopt/cubin, else no cache.
  static CubinCache inHome();

  /// The digest of `parts`, in hexadecimal; ("a", "bc") and ("ab", "c") differ.
  static std::string key(llvm::ArrayRef<llvm::StringRef> parts);

  std::optional<CubinEntry> load(llvm::StringRef key) const;

  /// Stores an entry. A folder that cannot be written is no error: the next
  /// run assembles again.
  void store(llvm::StringRef key, const CubinEntry &entry) const;

private:
  std::string pathOf(llvm::StringRef key) const;

  std::string folder;
};

} // namespace qopt::codegen

#endif // QOPT_LIB_CODEGEN_CUDA_CUBINCACHE_H
