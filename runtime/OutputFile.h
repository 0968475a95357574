// A file that appears under its name only when it is complete. Until then it
// has no name at all, where the file system allows that, so that it goes with
// the process however that ends; else a name beside the target that is removed.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_OUTPUTFILE_H
#define QOPT_RUNTIME_OUTPUTFILE_H

#include "qopt/Status.h"

#include <string>

namespace qopt::runtime {

class OutputFile {
public:
  /// Fails with Unwritable where the folder of `path` cannot be written.
  static StatusOr<OutputFile> create(const std::string &path);
  ~OutputFile();
  OutputFile(OutputFile &&other) noexcept;
  OutputFile &operator=(OutputFile &&) = delete;

  int descriptor() const { return file; }
  const std::string &path() const { return target; }
  /// What it can be opened by, for reading, as long as it has no name.
  std::string readablePath() const;

  /// Gives the file its name, in place of one that has it. Fails as
  /// `failure` says where that could not be done; nothing is left then.
  Status publish();

  /// "cannot <action> '<path>': <errno>", OutOfResources where the disk is
  /// full, else Unwritable.
  Status failure(const char *action) const;

private:
  OutputFile(std::string target, std::string temporary, int file, bool named);

  std::string target, temporary;
  int file = -1;
  bool named = false; ///< `temporary` exists
};

} // namespace qopt::runtime

#endif // QOPT_RUNTIME_OUTPUTFILE_H
