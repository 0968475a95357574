// What every function of the stand-in begins with.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TEST_RUNTIME_CUDA_STANDIN_ENTRY_H
#define QOPT_TEST_RUNTIME_CUDA_STANDIN_ENTRY_H

#include "State.h"

#define STANDIN [[gnu::visibility("default")]] qopt::cuda::api::Result

/// Leaves the calling function with a result that is not success.
#define QOPT_ANSWER_IF(expression)                                             \
  do {                                                                         \
    if (qopt::standin::Result answer = (expression))                           \
      return answer;                                                           \
  } while (false)

namespace qopt::standin {

/// What must hold of the calling thread.
enum class Needs { Nothing, Context, NoCapture };

/// Holds the lock, writes the call down, and knows its result unless the call
/// itself finds another.
struct Entry {
  Entry(const char *name, const std::string &details, Needs needs)
      : state(State::get()), lock(state.mutex),
        result(state.record(name, details)) {
    if (needs != Needs::Nothing && !hasContext)
      result = invalidContext;
    if (needs == Needs::NoCapture && capturedStream) {
      capturedStream->invalidated = true;
      result = captureUnsupported;
    }
  }

  State &state;
  std::lock_guard<std::recursive_mutex> lock;
  Result result;
};

} // namespace qopt::standin

#endif // QOPT_TEST_RUNTIME_CUDA_STANDIN_ENTRY_H
