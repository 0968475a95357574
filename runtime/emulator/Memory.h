// The emulated device's global memory: allocations in the process's own
// memory, so that device addresses are plain pointers. Keeps the bounds of
// each, and which bytes have ever been written.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_EMULATOR_MEMORY_H
#define QOPT_RUNTIME_EMULATOR_MEMORY_H

#include "qopt/Status.h"
#include "runtime/emulator/DeviceHeap.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace qopt::emulator {

struct Allocation {
  uint64_t base = 0;
  uint64_t bytes = 0;
  bool readOnly = false; ///< constant memory
  bool owned = false;
  std::string name;           ///< for messages; may be empty
  DeviceHeap *heap = nullptr; ///< of which all of it is the arena
  /// A bit for each byte that was written; empty when all count as written.
  std::unique_ptr<std::atomic<uint8_t>[]> written;

  bool holds(uint64_t address, uint64_t size) const {
    return address >= base && size <= bytes && address - base <= bytes - size;
  }
  bool isWritten(uint64_t address, uint64_t size) const;
  void markWritten(uint64_t address, uint64_t size);
};

class Memory {
public:
  Memory() = default;
  ~Memory();
  Memory(const Memory &) = delete;
  Memory &operator=(const Memory &) = delete;

  /// Bytes that no one has written yet, 256-byte-aligned. They read as zero,
  /// and as a finding of a launch that checks.
  StatusOr<uint64_t> allocate(size_t bytes);
  Status release(uint64_t address);
  /// Lends memory of the caller's to the device; all of it counts as written.
  Status lend(void *data, size_t bytes, bool readOnly = false);
  Status takeBack(void *data);
  /// What messages call the allocation at `address`.
  void setName(uint64_t address, const std::string &name);
  /// From now on kernels only read the allocation at `address`.
  void protect(uint64_t address);
  /// Copies bytes to device memory and marks them written.
  Status write(uint64_t address, const void *from, size_t bytes);
  Status read(void *to, uint64_t address, size_t bytes);
  /// The heap of device code, made at the first call.
  Status makeHeap();
  DeviceHeap *heap() const { return deviceHeap.get(); } ///< may be null
  /// What the launches see: sorted by address, valid until the next change.
  std::vector<Allocation *> allocations() const;

private:
  StatusOr<Allocation *> find(uint64_t address, size_t bytes);
  void insert(std::unique_ptr<Allocation> allocation);

  mutable std::mutex mutex;
  std::vector<std::unique_ptr<Allocation>> sorted;
  std::unique_ptr<DeviceHeap> deviceHeap;
};

} // namespace qopt::emulator

#endif // QOPT_RUNTIME_EMULATOR_MEMORY_H
