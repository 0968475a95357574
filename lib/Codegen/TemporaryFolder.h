// Files for the time of one call of another program: a folder that goes away
// with what is in it, also when a signal ends the program and it asks for that
// (RemoveTemporaryFolders.h). Code generation needs it where a linker or an
// assembler works on files only.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_CODEGEN_TEMPORARYFOLDER_H
#define QOPT_LIB_CODEGEN_TEMPORARYFOLDER_H

#include "qopt/Status.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"

#include <string>

namespace qopt::codegen {

/// A folder below the system's own for such files; `made` says why there is
/// none.
class TemporaryFolder {
public:
  explicit TemporaryFolder(llvm::StringRef prefix);
  /// OutOfResources on a full disk, else Unwritable; names the folder above.
  Status made() const;
  TemporaryFolder(const TemporaryFolder &) = delete;
  TemporaryFolder &operator=(const TemporaryFolder &) = delete;
  ~TemporaryFolder();

  /// The path of a file of that name in it.
  std::string file(llvm::StringRef name) const;

  llvm::SmallString<128> path;

private:
  std::error_code error;
};

/// What this program keeps between runs, below the user's own:
/// $XDG_CACHE_HOME/qopt/`name`, else ~/.cache/qopt/`name`; empty where there is
/// neither.
std::string userCache(llvm::StringRef name);

/// Writes all of `bytes`, or says why not.
Status writeFile(const std::string &path, llvm::StringRef bytes);

/// All bytes of a file, or why it cannot be read.
StatusOr<std::string> readFile(const std::string &path);

} // namespace qopt::codegen

#endif // QOPT_LIB_CODEGEN_TEMPORARYFOLDER_H
