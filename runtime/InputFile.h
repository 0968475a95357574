// Opening a file that somebody named to read it. What is no ordinary file, a
// pipe that nobody writes to, a folder, a device, is refused at once instead of
// waited for. Every file that a user gives is opened here, except a model and
// its external data (lib/Import/Onnx), whose rules are stricter, and a prompt
// (lib/Io/FileAccess.h), which may come from a pipe.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_INPUTFILE_H
#define QOPT_RUNTIME_INPUTFILE_H

#include "qopt/Status.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

namespace qopt::runtime {

class InputFile {
public:
  /// NotFound where `path` is missing, may not be read or is no ordinary file.
  static StatusOr<InputFile> open(const std::string &path);
  InputFile(InputFile &&other) noexcept
      : path(std::move(other.path)), file(std::exchange(other.file, -1)),
        bytes(other.bytes) {}
  InputFile &operator=(InputFile &&) = delete;
  ~InputFile();

  size_t size() const { return bytes; }
  /// All bytes, mapped private for reading; the caller unmaps them. Empty for
  /// an empty file.
  StatusOr<std::span<const uint8_t>> map() const;
  /// All bytes, copied. Unsupported for more than 1 GiB.
  StatusOr<std::string> text() const;

private:
  InputFile(std::string path, int file) : path(std::move(path)), file(file) {}
  std::string path;
  int file;
  size_t bytes = 0;
};

} // namespace qopt::runtime

#endif // QOPT_RUNTIME_INPUTFILE_H
