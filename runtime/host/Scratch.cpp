// One growing buffer a thread.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/host/Scratch.h"

#include <cstdlib>
#include <memory>

namespace qopt::host {

namespace {
struct Release {
  void operator()(void *memory) const { std::free(memory); }
};
struct Buffer {
  std::unique_ptr<void, Release> memory;
  int64_t bytes = 0;
};
} // namespace

void *threadScratch(int64_t bytes) {
  thread_local Buffer buffer;
  if (bytes > buffer.bytes) {
    int64_t rounded = (bytes + 4095) / 4096 * 4096;
    buffer.memory.reset();
    buffer.memory.reset(std::aligned_alloc(4096, rounded));
    buffer.bytes = rounded;
  }
  return buffer.memory.get();
}

} // namespace qopt::host
