// One launch under several orders of warps and blocks. What a program computes
// must not depend on them: the memory that they leave is compared byte by byte.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_EMULATOR_SCHEDULES_H
#define QOPT_RUNTIME_EMULATOR_SCHEDULES_H

#include "runtime/emulator/Emulator.h"

namespace qopt::emulator {

/// What a launch is of.
struct LaunchRequest {
  Kernel kernel;
  Extent grid, block;
  size_t dynamicSharedBytes = 0;
  std::span<const uint8_t> arguments;
};

/// Runs it `schedules` times, with the seed of the options and those that
/// follow it, each time from the memory as it is now; what the kernel prints is
/// printed once. The statistics are the first schedule's. GateFailed for a
/// finding under one of them, and where two leave different bytes: the message
/// names the kernel, the schedule, the buffer and the first such byte. With
/// more than one, memory for two copies of all that kernels may write.
StatusOr<Statistics> launchSchedules(const LaunchRequest &request,
                                     Memory &memory,
                                     const LaunchOptions &options,
                                     unsigned schedules);

} // namespace qopt::emulator

#endif // QOPT_RUNTIME_EMULATOR_SCHEDULES_H
