// What a launch counts.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_EMULATOR_STATISTICS_H
#define QOPT_RUNTIME_EMULATOR_STATISTICS_H

#include <cstdint>
#include <map>
#include <string>

namespace qopt::emulator {

struct OpcodeCount {
  uint64_t warps = 0; ///< times a warp, or diverged lanes of it, executed it
  uint64_t lanes = 0; ///< over its active lanes
};

/// Traffic of one space in bytes, as the lanes asked for it.
struct SpaceBytes {
  uint64_t read = 0;
  uint64_t written = 0;
};

struct LineConflicts {
  uint64_t accesses = 0;  ///< warp accesses to shared memory
  uint64_t conflicts = 0; ///< extra passes beyond the fewest possible
};

struct Statistics {
  uint64_t warpInstructions = 0;
  uint64_t laneInstructions = 0;
  std::map<std::string, OpcodeCount> opcodes; ///< by "add.s32"
  std::map<std::string, SpaceBytes> bytes;    ///< by "global", "shared", …
  /// With LaunchOptions::countMemory: distinct 32-byte sectors of global
  /// memory, and 32-byte sectors moved counted once a warp access.
  uint64_t sectorsTouchedRead = 0;
  uint64_t sectorsTouchedWritten = 0;
  uint64_t sectorsMoved = 0;
  uint64_t bulkRead = 0;    ///< global bytes moved by cp.async.bulk
  uint64_t bulkWritten = 0; ///< both are part of bytes["global"]
  uint64_t asyncRead = 0;   ///< by cp.async, likewise
  std::map<uint32_t, LineConflicts> conflicts; ///< by PTX line
  uint64_t sharedBytes = 0;    ///< of a block, static and dynamic
  double processorSeconds = 0; ///< that the launch took, over all threads
};

} // namespace qopt::emulator

#endif // QOPT_RUNTIME_EMULATOR_STATISTICS_H
