// The mbarrier object of PTX: arrivals and transactions of the present phase,
// in 64 bits of shared memory.
//
//   63      62      61 … 40        39 … 20          19 … 0
//   valid   phase   transactions   arrivals of a    arrivals that
//                   still to come  phase            are missing
//
// PTX leaves the layout open; a program that looks inside is wrong.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_EMULATOR_MBARRIER_H
#define QOPT_RUNTIME_EMULATOR_MBARRIER_H

#include <cstdint>

namespace qopt::emulator {

class Block;
class VectorClock;

struct MbarrierWord {
  static constexpr uint64_t mostCount = (1 << 20) - 1;
  uint64_t bits = 0;

  static MbarrierWord initial(uint64_t count) {
    return {uint64_t(1) << 63 | count << 20 | count};
  }
  uint32_t missing() const { return bits & mostCount; }
  uint32_t expected() const { return bits >> 20 & mostCount; }
  int64_t transactions() const { return int64_t(bits << 2) >> 42; }
  bool phase() const { return bits >> 62 & 1; }

  void setMissing(uint64_t count) {
    bits = (bits & ~mostCount) | (count & mostCount);
  }
  void setExpected(uint64_t count) {
    bits = (bits & ~(mostCount << 20)) | (count & mostCount) << 20;
  }
  void setTransactions(int64_t count) {
    constexpr uint64_t field = uint64_t(0x3fffff) << 40;
    bits = (bits & ~field) | (uint64_t(count) << 40 & field);
  }
  bool complete() const { return missing() == 0 && transactions() == 0; }
  void nextPhase() {
    bits ^= uint64_t(1) << 62;
    setMissing(expected());
  }
};

MbarrierWord loadMbarrier(Block &block, uint32_t offset);
/// Stores the word; when the phase is complete, begins the next one and wakes
/// who waits.
void storeMbarrier(Block &block, uint32_t offset, MbarrierWord word);
/// The bytes of an asynchronous copy have arrived.
void completeTransactions(Block &block, uint32_t offset, uint32_t bytes,
                          const VectorClock &clock);

} // namespace qopt::emulator

#endif // QOPT_RUNTIME_EMULATOR_MBARRIER_H
