// The heap that malloc and free of device code share: one allocation of bounded
// size in the device's memory, and what of it is taken. Memory that was given
// back rests for as long as there is other, so that its use is found.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_EMULATOR_DEVICEHEAP_H
#define QOPT_RUNTIME_EMULATOR_DEVICEHEAP_H

#include <cstdint>
#include <map>
#include <mutex>
#include <string>

namespace qopt::emulator {

struct Allocation;

class DeviceHeap {
public:
  /// As large as CUDA makes it without cudaLimitMallocHeapSize.
  static constexpr uint64_t heapBytes = uint64_t(8) << 20;

  /// `arena`: the allocation of heapBytes that the heap lies in.
  explicit DeviceHeap(Allocation &arena) : arena(arena) {}

  /// An address for `bytes` bytes that nobody has written, a multiple of 16; 0
  /// when so many are not left. `line`: of the PTX text, for the messages.
  uint64_t take(uint64_t bytes, uint32_t line);
  /// The size of what begins at `address` and may be given back; else `wrong`
  /// says why it may not.
  uint64_t sizeOf(uint64_t address, std::string &wrong) const;
  void giveBack(uint64_t address, uint32_t line);

  /// All of [address, address + bytes) is taken, by one call.
  bool holds(uint64_t address, uint64_t bytes) const;
  /// What lies at an address of the arena that is not held.
  std::string describe(uint64_t address) const;

  /// What is taken and where the next search begins: to run a launch again
  /// from the same memory.
  struct State;
  State state() const;
  void restore(const State &from);

private:
  struct Piece {
    uint64_t bytes = 0;
    uint32_t line = 0;      ///< that took it
    uint32_t freedLine = 0; ///< that gave it back; 0: it is taken
  };
  using Pieces = std::map<uint64_t, Piece>; ///< by address

  bool findGap(uint64_t bytes, uint64_t &address);
  const Pieces::value_type *pieceAt(uint64_t address) const;

  Allocation &arena;
  mutable std::mutex mutex; ///< of what follows
  Pieces pieces;
  uint64_t next = 0; ///< offset where the next search begins
};

struct DeviceHeap::State {
  Pieces pieces;
  uint64_t next = 0;
};

} // namespace qopt::emulator

#endif // QOPT_RUNTIME_EMULATOR_DEVICEHEAP_H
