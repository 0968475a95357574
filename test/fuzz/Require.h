// What holds for every input of a harness, beside that nothing crashes.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TEST_FUZZ_REQUIRE_H
#define QOPT_TEST_FUZZ_REQUIRE_H

#include "qopt/Status.h"
#include <cstdio>
#include <cstdlib>

namespace qopt::fuzz {

/// Ends the process, which makes the input a finding, where `holds` is false.
inline void require(bool holds, const char *what) {
  if (holds)
    return;
  std::fprintf(stderr, "finding: expected that %s\n", what);
  std::abort();
}

/// What is refused is refused in words.
inline void requireMessage(const Status &status) {
  require(!status.message().empty(), "an error has a message");
}

} // namespace qopt::fuzz

#endif // QOPT_TEST_FUZZ_REQUIRE_H
