// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tools/cli/Progress.h"

#include "runtime/PrintableText.h"

#include <cstdio>
#include <unistd.h>

namespace qopt::cli {

bool watched() {
  static const bool terminal = ::isatty(STDERR_FILENO) == 1;
  return terminal;
}

Progress::~Progress() {
  if (shown)
    std::fputs("\r\033[K", stderr);
}

void Progress::show(const std::string &name, double done) {
  auto now = std::chrono::steady_clock::now();
  if (!watched() || (shown && now - last < std::chrono::milliseconds(100)))
    return;
  std::string what = runtime::printable(name);
  last = now;
  shown = true;
  if (done < 0)
    std::fprintf(stderr, "\r\033[K%.100s", what.c_str());
  else
    std::fprintf(stderr, "\r\033[K%3.0f%% %.100s", 100 * done, what.c_str());
  std::fflush(stderr);
}

void note(const std::string &text) {
  if (watched())
    std::fprintf(stderr, "%s\n", text.c_str());
}

} // namespace qopt::cli
