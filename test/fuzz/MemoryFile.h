// An input as a file that lies in memory, for readers that take a path.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TEST_FUZZ_MEMORYFILE_H
#define QOPT_TEST_FUZZ_MEMORYFILE_H

#include "Require.h"
#include <string>
#include <sys/mman.h>
#include <unistd.h>

namespace qopt::fuzz {

class MemoryFile {
public:
  MemoryFile(const void *data, size_t size)
      : descriptor(memfd_create("input", MFD_CLOEXEC)) {
    require(descriptor >= 0 && write(descriptor, data, size) == ssize_t(size),
            "the system has memory for the input");
  }
  MemoryFile(const MemoryFile &) = delete;
  MemoryFile &operator=(const MemoryFile &) = delete;
  ~MemoryFile() { close(descriptor); }

  /// Valid as long as the object is.
  std::string path() const {
    return "/proc/self/fd/" + std::to_string(descriptor);
  }

private:
  int descriptor;
};

} // namespace qopt::fuzz

#endif // QOPT_TEST_FUZZ_MEMORYFILE_H
