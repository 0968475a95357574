// What a tool does before a signal ends it: SIGINT (Ctrl-C), SIGTERM and SIGHUP
// can be acted on, SIGKILL cannot.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TOOLS_CLI_ENDINGSIGNALS_H
#define QOPT_TOOLS_CLI_ENDINGSIGNALS_H

#include <mutex>

namespace qopt::cli {

/// Lets the first of these signals call `clean` on a thread of its own, where
/// all functions may be used, and then end the program as if nobody had waited
/// for it. What `clean` returns is held until then. A signal that is ignored,
/// as under nohup, stays ignored. For the start of a program, once.
void cleanBeforeEnding(std::unique_lock<std::mutex> (*clean)());

} // namespace qopt::cli

#endif // QOPT_TOOLS_CLI_ENDINGSIGNALS_H
