// What a call that reads outside of an axis is told, whatever device found it.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_PLAN_INDEXCHECK_H
#define QOPT_RUNTIME_PLAN_INDEXCHECK_H

#include "qopt/Status.h"

#include <cstdint>

namespace qopt::runtime {

/// `index`, element `place` of the indices, is none of an axis of size `limit`.
inline Status outsideOfAxis(int64_t index, int64_t place, int64_t limit,
                            bool fromZero) {
  return Status(StatusCode::InvalidArgument,
                "index " + std::to_string(index) + " at place " +
                    std::to_string(place) +
                    (fromZero ? " is not one of the first places, "
                              : " is outside of an axis of size ") +
                    std::to_string(limit));
}

} // namespace qopt::runtime

#endif // QOPT_RUNTIME_PLAN_INDEXCHECK_H
