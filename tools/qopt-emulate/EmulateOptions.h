// What the command line of qopt-emulate asks for.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TOOLS_QOPTEMULATE_EMULATEOPTIONS_H
#define QOPT_TOOLS_QOPTEMULATE_EMULATEOPTIONS_H

#include "runtime/emulator/Emulator.h"

#include <string>

namespace qopt::emulate {

struct EmulateOptions {
  std::string ptx;
  std::string kernel; ///< empty: the only one
  emulator::Extent grid, block;
  size_t shared = 0;
  std::string arguments; ///< .npz, or empty for a kernel without parameters
  std::string output;    ///< .npz, or empty
  unsigned schedules = 1;
  bool statistics = false;
  bool json = false;
  bool time = false;
  emulator::LaunchOptions launch;
};

/// Runs the kernel under each schedule, compares, writes and prints.
Status runKernel(const EmulateOptions &options);

/// The tables of --stats on standard output.
void printStatistics(const emulator::Statistics &statistics);
Status printTime(const emulator::Statistics &statistics);
Status printStatisticsJson(const emulator::Statistics &statistics);

} // namespace qopt::emulate

#endif // QOPT_TOOLS_QOPTEMULATE_EMULATEOPTIONS_H
