// Which bits of a warp's registers are undefined, and since which instruction:
// the shadow memory and the origins of MemorySanitizer (Stepanov and
// Serebryany, CGO 2015), for registers. A register all of whose bits are
// defined costs one bit a lane; what else is known of the others is kept beside
// it, from the first value on that is undefined although somebody wrote it.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_EMULATOR_CHECKS_REGISTERSHADOW_H
#define QOPT_RUNTIME_EMULATOR_CHECKS_REGISTERSHADOW_H

#include "runtime/emulator/Program.h"

namespace qopt::emulator {

/// Of an undefined value: the position of the instruction that loaded bytes, or
/// read a register, that nobody had written. `neverWritten`: the register
/// itself is such a one.
using Origin = uint32_t;
constexpr Origin neverWritten = ~Origin(0);

/// Undefined bits of one lane's register, and where they came from.
struct Undefined {
  uint64_t bits = 0;
  Origin origin = neverWritten;
};

constexpr uint64_t lowBits(unsigned count) {
  return count >= 64 ? ~uint64_t(0) : (uint64_t(1) << count) - 1;
}

/// Registers as they were at a call, for the return: by register.
using SavedShadow = std::vector<std::array<Undefined, lanes>>;

class RegisterShadow {
public:
  /// Nothing is defined but the program's constants and special registers.
  void start(const Program &program);

  /// The lanes whose register at `slot` is defined as a whole.
  uint32_t lanesDefined(uint32_t slot) const { return whole[slot / slotBytes]; }
  void define(uint32_t slot, uint32_t mask) { whole[slot / slotBytes] |= mask; }
  /// What is undefined of a register of `width` bits, 1: a predicate.
  Undefined at(uint32_t slot, unsigned width, unsigned lane) const;
  void put(uint32_t slot, unsigned width, unsigned lane, Undefined value);

  using Registers = std::vector<std::pair<uint32_t, uint32_t>>;
  SavedShadow save(const Registers &registers) const;
  void restore(const Registers &registers, const SavedShadow &saved,
               uint32_t mask);

private:
  /// Two words a lane for the bits, as 64-bit registers have them, by slot.
  struct Detail {
    std::array<uint64_t, lanes> bits;
    std::array<Origin, lanes> origins;
  };
  std::vector<uint32_t> whole; ///< by slot
  std::vector<Detail> details; ///< by slot; empty while all is never written
};

} // namespace qopt::emulator

#endif // QOPT_RUNTIME_EMULATOR_CHECKS_REGISTERSHADOW_H
