// Stands for EmulatorDriver.cpp in libqopt_runtime, which programs ship: the
// emulator is larger than all the rest and belongs to the tools.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/EmulatorDriver.h"

namespace qopt::emulator {

StatusOr<std::shared_ptr<cuda::Driver>>
openEmulatorDriver(const EmulatorOptions &) {
  return Status(StatusCode::Unsupported,
                "this library has no emulator; run the artifact with qopt-run "
                "--device emulator or the Python package");
}

} // namespace qopt::emulator
