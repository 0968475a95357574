// A launch of rotary_append on a batch of sequences in scattered pages, and
// what it must leave: queries rotated by the host's kernel, pages in which the
// formulas of RotaryAppend.h put their numbers in the same arithmetic, and all
// else as it was.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TEST_LIB_KERNELS_ROTARYAPPEND_APPENDCASE_H
#define QOPT_TEST_LIB_KERNELS_ROTARYAPPEND_APPENDCASE_H

#include "lib/Kernels/RotaryAppend/RotaryAppend.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace qopt::kernels::test {

/// A merged projection, and a batch of sequences that lie in scattered pages.
struct AppendBatch {
  std::vector<int32_t> tokenStarts, contextStarts, pageTable;
  int64_t pages; ///< with those whose memory slots have
  int64_t tokens() const { return tokenStarts.back(); }
};

struct AppendOptions {
  int64_t heads = 4, keyHeads = 2, size = 64, valueSize = 64, page = 16;
  std::string key = "f16", value = "f16";
  int64_t recent = 0, first = 0;
};

/// Queries, keys and values side by side in rows of f16, all channels rotated.
rotary_append::Problem appendProblem(const AppendOptions &options);

/// Sequences of (positions before, new tokens).
AppendBatch appendBatch(const rotary_append::Problem &problem,
                        const std::vector<std::pair<int, int>> &sequences);

/// Launches the kernel on the emulator and compares everything that it may
/// write; `padding` tokens belong to no sequence.
void expectAppend(const rotary_append::Problem &problem,
                  const std::vector<std::pair<int, int>> &sequences,
                  int64_t padding = 0,
                  const target::Target &target = target::sm90a());

} // namespace qopt::kernels::test

#endif // QOPT_TEST_LIB_KERNELS_ROTARYAPPEND_APPENDCASE_H
