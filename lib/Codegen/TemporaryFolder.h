// Files for the time of one call of another program: a folder that goes away
// with what is in it. Code generation needs it where a linker or an assembler
// works on files only.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_CODEGEN_TEMPORARYFOLDER_H
#define QOPT_LIB_CODEGEN_TEMPORARYFOLDER_H

#include "qopt/Status.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

#include <string>

namespace qopt::codegen {

/// A folder below the system's own for such files; `error` says why there is
/// none.
class TemporaryFolder {
public:
  explicit TemporaryFolder(llvm::StringRef prefix) {
    error = llvm::sys::fs::createUniqueDirectory(prefix, path);
  }
  TemporaryFolder(const TemporaryFolder &) = delete;
  TemporaryFolder &operator=(const TemporaryFolder &) = delete;
  ~TemporaryFolder() {
    if (!error) // nobody could do anything about what stays
      (void)llvm::sys::fs::remove_directories(path);
  }

  /// The path of a file of that name in it.
  std::string file(llvm::StringRef name) const {
    llvm::SmallString<128> full(path);
    llvm::sys::path::append(full, name);
    return std::string(full);
  }

  llvm::SmallString<128> path;
  std::error_code error;
};

/// Writes all of `bytes`, or says why not.
inline Status writeFile(const std::string &path, llvm::StringRef bytes) {
  std::error_code error;
  llvm::raw_fd_ostream stream(path, error, llvm::sys::fs::OF_None);
  if (!error) {
    stream << bytes;
    stream.close();
    error = stream.error();
    stream.clear_error();
  }
  if (error)
    return Status(StatusCode::OutOfResources,
                  "cannot write \"" + path + "\": " + error.message());
  return {};
}

/// All bytes of a file, or why it cannot be read.
inline StatusOr<std::string> readFile(const std::string &path) {
  auto bytes = llvm::MemoryBuffer::getFile(path, /*IsText=*/false);
  if (!bytes)
    return Status(StatusCode::OutOfResources, "cannot read \"" + path + "\": " +
                                                  bytes.getError().message());
  return (*bytes)->getBuffer().str();
}

} // namespace qopt::codegen

#endif // QOPT_LIB_CODEGEN_TEMPORARYFOLDER_H
