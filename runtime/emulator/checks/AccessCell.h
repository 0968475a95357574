// The last accesses to a word, for the race checks. An access is remembered
// with its warp, the warp's clock at that time, the lane, and the bytes of the
// word; two accesses race when they touch a byte in common, one of them
// writes, not both are atomic in a scope that holds both, and neither is known
// to have happened before the other.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_EMULATOR_CHECKS_ACCESSCELL_H
#define QOPT_RUNTIME_EMULATOR_CHECKS_ACCESSCELL_H

#include <cstdint>

namespace qopt::emulator {

/// Whose threads an atomic access synchronises with.
enum class SyncScope : uint8_t { Device, Block, Cluster };

/// Packed into 64 bits: clock 24, warp 24, lane 5, bytes 4, atomic 1, scope 2,
/// others 4. 0: no access.
struct AccessMark {
  uint64_t bits = 0;

  static constexpr uint64_t clockMask = 0xffffff;
  static constexpr uint64_t warpMask = uint64_t(0xffffff) << 24;
  static constexpr uint64_t laneMask = uint64_t(31) << 48;
  /// In a warp's number: its asynchronous copies, which have a clock of their
  /// own and are known to those alone who have waited for them.
  static constexpr uint32_t engine = 0x800000;

  static AccessMark make(uint32_t warp, uint32_t clock, unsigned lane,
                         unsigned bytes, bool atomic, SyncScope scope) {
    return {(clock & clockMask) | (uint64_t(warp) << 24 & warpMask) |
            uint64_t(lane) << 48 | uint64_t(bytes) << 53 |
            uint64_t(atomic) << 57 | uint64_t(scope) << 58};
  }
  AccessMark withBytes(unsigned bytes) const {
    return {(bits & ~(uint64_t(15) << 53)) | uint64_t(bytes) << 53};
  }
  /// With bytes that other lanes of the warp touched at the same time. To their
  /// own warp they are not known any more, and `lane` is not whose they are.
  AccessMark withOthers(unsigned bytes) const {
    return {(bits & ~(uint64_t(15) << 60)) | uint64_t(bytes) << 60};
  }
  bool none() const { return bits == 0; }
  uint32_t clock() const { return bits & clockMask; }
  uint32_t warp() const { return bits >> 24 & 0xffffff; }
  unsigned lane() const { return bits >> 48 & 31; }
  unsigned bytes() const { return bits >> 53 & 15; }
  unsigned others() const { return bits >> 60; }
  /// Those that an access of `warp` may collide with.
  unsigned bytesFor(uint32_t other) const {
    return other == warp() ? bytes() : bytes() | others();
  }
  bool atomic() const { return bits >> 57 & 1; }
  SyncScope scope() const { return SyncScope(bits >> 58 & 3); }
};

struct AccessCell {
  AccessMark write;
  AccessMark read;
  uint32_t writeInst = 0; ///< index of the instruction, for the report
  uint32_t readInst = 0;
};

} // namespace qopt::emulator

#endif // QOPT_RUNTIME_EMULATOR_CHECKS_ACCESSCELL_H
