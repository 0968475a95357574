// Work on several threads whose results are the same for any number of them: a
// fixed list of tasks, which threads take in turn, each writing what no other
// reads.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_QUANT_ALGORITHMS_TASKS_H
#define QOPT_LIB_QUANT_ALGORITHMS_TASKS_H

#include <cstdint>
#include <functional>

namespace qopt::quant {

/// Calls body(0) … body(count − 1), each once, on at most `threads` threads,
/// and returns when all are done. The caller is one of them.
void forTasks(unsigned threads, int64_t count,
              const std::function<void(int64_t)> &body);

} // namespace qopt::quant

#endif // QOPT_LIB_QUANT_ALGORITHMS_TASKS_H
