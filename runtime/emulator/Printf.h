// printf of device code (CUDA C++ Programming Guide, formatted output): the
// arguments lie one behind the other, each aligned to its size, 4 bytes or 8.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_EMULATOR_PRINTF_H
#define QOPT_RUNTIME_EMULATOR_PRINTF_H

#include <cstdint>
#include <functional>
#include <string>

namespace qopt::emulator {

/// Where a call's arguments come from. Each may fail, and then says so.
struct PrintfArguments {
  /// The bits of the next argument of 4 or 8 bytes.
  std::function<bool(unsigned bytes, uint64_t &bits)> next;
  /// The text at an address.
  std::function<bool(uint64_t address, std::string &text)> text;
};

/// Appends what printf writes. A conversion that C does not know is written as
/// it stands. `count` receives the number of arguments; false when one failed.
bool formatPrintf(const std::string &format, const PrintfArguments &arguments,
                  std::string &written, int &count);

} // namespace qopt::emulator

#endif // QOPT_RUNTIME_EMULATOR_PRINTF_H
