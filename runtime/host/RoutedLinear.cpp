// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/host/RoutedLinear.h"

#include <cstring>

namespace qopt::host {

/// Bytes of a row of the input and from row to row.
struct InputRows {
  const char *data;
  int64_t bytes, stride;
};

static InputRows inputRows(const LinearArguments &linear) {
  if (!linear.quantized)
    return {reinterpret_cast<const char *>(linear.input),
            linear.layout.columns * 4, linear.inputStride * 4};
  int64_t bytes =
      QuantizedLayout{linear.layout.columns, linear.codes}.rowBytes();
  return {static_cast<const char *>(linear.quantized), bytes, bytes};
}

void routedLinear(const RoutedLinearArguments &arguments, ThreadPool &pool) {
  LinearArguments some = arguments.linear;
  auto isTaken = [&](int64_t row) {
    return arguments.share[row * arguments.shareStride] != 0;
  };
  InputRows from = inputRows(some);
  auto *gathered = static_cast<char *>(arguments.gathered);
  int64_t all = some.rows, taken = 0;
  for (int64_t row = 0; row < all; ++row)
    if (isTaken(row))
      std::memcpy(gathered + taken++ * from.bytes,
                  from.data + row * from.stride, size_t(from.bytes));
  if (taken) {
    some.rows = taken;
    some.inputStride = some.layout.columns;
    if (some.quantized)
      some.quantized = gathered;
    else
      some.input = reinterpret_cast<const float *>(gathered);
    linear(some, pool);
  }
  // No row moves to one before it.
  const size_t rowBytes = size_t(some.layout.rows) * 4;
  for (int64_t row = all - 1; row >= 0; --row) {
    float *to = some.output + row * some.outputStride;
    if (!isTaken(row))
      std::memset(to, 0, rowBytes);
    else if (--taken != row)
      std::memcpy(to, some.output + taken * some.outputStride, rowBytes);
  }
}

} // namespace qopt::host
