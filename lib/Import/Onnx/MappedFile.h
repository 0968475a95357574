// A file mapped into memory for reading. Blobs of weights share its ownership:
// the mapping goes away with the last of them.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_IMPORT_ONNX_MAPPEDFILE_H
#define QOPT_LIB_IMPORT_ONNX_MAPPEDFILE_H

#include "qopt/Status.h"
#include <cstddef>
#include <memory>
#include <string>

namespace qopt::import {

class MappedFile {
public:
  /// Maps the regular file behind an open descriptor, which stays the
  /// caller's. `name` is for messages.
  static StatusOr<std::shared_ptr<MappedFile>> map(int descriptor,
                                                   const std::string &name);

  MappedFile(const char *data, size_t size) : bytes(data), length(size) {}
  MappedFile(const MappedFile &) = delete;
  MappedFile &operator=(const MappedFile &) = delete;
  ~MappedFile();

  const char *data() const { return bytes; }
  size_t size() const { return length; }

private:
  const char *bytes;
  size_t length;
};

} // namespace qopt::import

#endif // QOPT_LIB_IMPORT_ONNX_MAPPEDFILE_H
