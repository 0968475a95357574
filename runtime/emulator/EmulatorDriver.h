// The emulator as a driver: a device in the process's own memory whose kernels
// are PTX, with every check on. What a GPU would be given is run, on the
// processor.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_EMULATOR_EMULATORDRIVER_H
#define QOPT_RUNTIME_EMULATOR_EMULATORDRIVER_H

#include "runtime/cuda/Driver.h"
#include "runtime/emulator/Emulator.h"

namespace qopt::emulator {

struct EmulatorOptions {
  LaunchOptions launch;
  unsigned schedules = 1; ///< of each launch, see Schedules.h
  int major = 9;          ///< compute capability that it claims
  int minor = 0;
  size_t memory = size_t(16) << 30; ///< bytes that it lends
};

std::shared_ptr<cuda::Driver> makeEmulatorDriver(EmulatorOptions options = {});

/// The driver behind the device "emulator". Unsupported in a library that was
/// linked without it, NoEmulator.cpp.
StatusOr<std::shared_ptr<cuda::Driver>>
openEmulatorDriver(const EmulatorOptions &options = {});

} // namespace qopt::emulator

#endif // QOPT_RUNTIME_EMULATOR_EMULATORDRIVER_H
