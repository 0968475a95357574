// Arguments in, exit code out, the same in every tool: usage errors and every
// other failure are one line "error: …" on standard error; results go to
// standard output.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TOOLS_CLI_COMMANDLINE_H
#define QOPT_TOOLS_CLI_COMMANDLINE_H

#include "qopt/Status.h"
#include "tools/cli/ExitCode.h"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace qopt::cli {

/// Parses the arguments, then calls `work`. Prints help, usage errors and the
/// status of `work`; the result is what main returns. A value that is an empty
/// text would do nothing and is an error, but for options of mayBeEmpty.
int run(CLI::App &app, int argc, char **argv,
        const std::function<Status()> &work);

/// Lets the option have "" as its value.
void mayBeEmpty(CLI::Option *option);

/// Lets a list of values have one for each time the option is written, so that
/// it does not take the words behind it.
void oneValueEach(CLI::Option *option);

/// One error for the first of the options that was given, which nothing would
/// come of: "--context " + `why` + "; leave it out".
Status refuseGiven(std::initializer_list<const CLI::Option *> options,
                   const std::string &why);

/// The part of the help that shows whole commands; tests run them.
void addExamples(CLI::App &app, const std::vector<std::string> &commands);

/// A number from `least` to `most`; INT64_MAX is no limit.
CLI::Validator between(int64_t least, int64_t most);

/// A real number from `least` to `most`, which may be infinite.
CLI::Validator realBetween(double least, double most);

/// "1, 2 3" as ids: at least one, and one between two commas.
StatusOr<std::vector<int32_t>> parseTokens(const std::string &text);

/// Ends a run whose results could not be written to standard output.
Status flushOutput();

/// Writes one line to standard output. Bytes that are not UTF-8 become U+FFFD.
Status printJson(const nlohmann::ordered_json &json);

} // namespace qopt::cli

#endif // QOPT_TOOLS_CLI_COMMANDLINE_H
