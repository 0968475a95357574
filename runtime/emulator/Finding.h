// What a check has to say: where, which thread, which address, and with what it
// collided.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_EMULATOR_FINDING_H
#define QOPT_RUNTIME_EMULATOR_FINDING_H

#include <cstdint>
#include <string>

namespace qopt::emulator {

enum class FindingKind : uint8_t {
  OutOfBounds,
  Misaligned,
  Uninitialised,
  Race,
  BarrierDivergence,
  AsyncCopy, ///< never waited for, or its data touched before the wait
  Deadlock,
  Watchdog,
  InvalidUse, ///< an operand or object that the instruction does not allow
  Trap,
  Assertion, ///< assert() of a kernel
};

/// "out-of-bounds", "race", …: the word a report begins with.
const char *nameOf(FindingKind kind);

struct Finding {
  FindingKind kind = FindingKind::Trap;
  std::string kernel;
  uint32_t line = 0; ///< of the PTX text
  std::string text;  ///< of that line
  uint32_t block[3] = {0, 0, 0};
  uint32_t thread[3] = {0, 0, 0};
  std::string detail; ///< address and reason, and the other side
  /// Where an undefined value that is used was loaded, or its register read;
  /// 0: by this line.
  uint32_t originLine = 0;

  /// "race: kernel 'k' line 12 (st.shared.u32 [%r1], %r2;) block (0,0,0) thread
  /// (3,0,0): …"
  std::string report() const;
};

} // namespace qopt::emulator

#endif // QOPT_RUNTIME_EMULATOR_FINDING_H
