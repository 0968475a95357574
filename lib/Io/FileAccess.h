// Files that people give and get: mapped for reading, and replaced as a whole
// when written, so that a failure never leaves half a file.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_IO_FILEACCESS_H
#define QOPT_LIB_IO_FILEACCESS_H

#include "qopt/Status.h"
#include "runtime/OutputFile.h"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace qopt::io {

/// A file's bytes, mapped for as long as the object lives.
class MappedFile {
public:
  /// NotFound where `path` is missing or no ordinary file.
  static StatusOr<std::shared_ptr<const MappedFile>>
  open(const std::string &path);
  ~MappedFile();
  MappedFile(const MappedFile &) = delete;
  MappedFile &operator=(const MappedFile &) = delete;

  std::span<const uint8_t> bytes() const { return mapping; }

private:
  explicit MappedFile(std::span<const uint8_t> mapping) : mapping(mapping) {}
  std::span<const uint8_t> mapping;
};

/// A whole text file; of at most 1 GiB.
StatusOr<std::string> readText(const std::string &path);

/// The same of what may also be a pipe or a terminal, read to its end; "-" is
/// standard input. NotFound where nothing was written to a pipe: nobody waits
/// for one that nobody writes to.
StatusOr<std::string> readTextOrPipe(const std::string &path);

/// Writes a file that `finish` gives its name.
class FileWriter {
public:
  static StatusOr<std::unique_ptr<FileWriter>> create(const std::string &path);
  FileWriter(const FileWriter &) = delete;
  FileWriter &operator=(const FileWriter &) = delete;

  Status append(std::span<const uint8_t> bytes);
  Status append(std::string_view text);
  Status finish();

private:
  explicit FileWriter(runtime::OutputFile file) : file(std::move(file)) {}
  runtime::OutputFile file;
};

} // namespace qopt::io

#endif // QOPT_LIB_IO_FILEACCESS_H
