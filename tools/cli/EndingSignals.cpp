// A handler may do next to nothing: it writes to a pipe that a thread reads.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tools/cli/EndingSignals.h"

#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <system_error>
#include <thread>
#include <unistd.h>

namespace qopt::cli {

static int readEnd = -1, writeEnd = -1;

static void wake(int number) {
  int before = errno;
  auto byte = static_cast<unsigned char>(number);
  while (write(writeEnd, &byte, 1) < 0 && errno == EINTR)
    ;
  errno = before;
}

static void endAfter(std::unique_lock<std::mutex> (*clean)()) {
  unsigned char number = 0;
  while (read(readEnd, &number, 1) < 0 && errno == EINTR)
    ;
  std::unique_lock<std::mutex> held = clean();
  signal(number, SIG_DFL);
  raise(number);
}

void cleanBeforeEnding(std::unique_lock<std::mutex> (*clean)()) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) < 0)
    return; // signals end the program at once
  readEnd = ends[0], writeEnd = ends[1];
  try {
    std::thread(endAfter, clean).detach();
  } catch (const std::system_error &) {
    return;
  }
  for (int number : {SIGINT, SIGTERM, SIGHUP})
    if (signal(number, wake) == SIG_IGN)
      signal(number, SIG_IGN);
}

} // namespace qopt::cli
