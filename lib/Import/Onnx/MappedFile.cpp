// Mapping of files for reading.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Import/Onnx/MappedFile.h"
#include <cerrno>
#include <cstring>
#include <sys/mman.h>
#include <sys/stat.h>

namespace qopt::import {

StatusOr<std::shared_ptr<MappedFile>> MappedFile::map(int descriptor,
                                                      const std::string &name) {
  struct stat facts;
  if (fstat(descriptor, &facts) != 0)
    return Status(StatusCode::NotFound,
                  "cannot read \"" + name + "\": " + std::strerror(errno));
  if (!S_ISREG(facts.st_mode))
    return Status(StatusCode::BadModel, "\"" + name + "\" is no regular file");
  size_t size = facts.st_size;
  if (size == 0)
    return std::make_shared<MappedFile>(nullptr, 0);
  void *data = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, descriptor, 0);
  if (data == MAP_FAILED)
    return Status(StatusCode::OutOfResources,
                  "cannot map \"" + name + "\": " + std::strerror(errno));
  return std::make_shared<MappedFile>(static_cast<const char *>(data), size);
}

MappedFile::~MappedFile() {
  if (bytes)
    munmap(const_cast<char *>(bytes), length);
}

} // namespace qopt::import
