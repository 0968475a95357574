// One line on a terminal that says how far a tool is; nothing at all where
// standard error is no terminal.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TOOLS_CLI_PROGRESS_H
#define QOPT_TOOLS_CLI_PROGRESS_H

#include <chrono>
#include <string>

namespace qopt::cli {

/// Whether someone watches standard error.
bool watched();

/// The line disappears with the object.
class Progress {
public:
  Progress() = default;
  ~Progress();
  Progress(const Progress &) = delete;
  Progress &operator=(const Progress &) = delete;

  /// Shows `name` and, for a `done` of 0 to 1, the share; at most ten times a
  /// second.
  void show(const std::string &name, double done = -1);

private:
  std::chrono::steady_clock::time_point last{};
  bool shown = false;
};

/// A line of information for who watches, "200 tokens, 2,400 tokens/s".
void note(const std::string &text);

} // namespace qopt::cli

#endif // QOPT_TOOLS_CLI_PROGRESS_H
