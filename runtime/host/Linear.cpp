// Chooses the variant and how the tiles are shared out.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/host/Linear.h"
#include "runtime/host/LinearKernels.h"

#include <algorithm>

namespace qopt::host {

/// Work below which a second thread costs more than it brings, in bytes of
/// weight or, for many rows, in products.
constexpr int64_t grainBytes = 32 << 10;
constexpr int64_t grainProducts = 128 << 10;

static LinearBody codeLinear(const LinearArguments &arguments) {
  switch (arguments.codes) {
  case ActivationCodes::Int8Blocks:
    return integerLinear(arguments);
  case ActivationCodes::Int8Rows:
  case ActivationCodes::Int8Centred:
    return integerRowLinear(arguments);
  case ActivationCodes::Fp8Rows:
    return fp8RowLinear(arguments);
  }
  return nullptr;
}

void linear(const LinearArguments &arguments, ThreadPool &pool) {
  const LinearLayout &layout = arguments.layout;
  LinearBody body = arguments.order       ? orderedLinear(arguments)
                    : layout.isFloat()    ? floatLinear(arguments)
                    : arguments.quantized ? codeLinear(arguments)
                                          : dequantizingLinear(arguments);
  int64_t products =
      std::max<int64_t>(arguments.rows, 1) * layout.columns * tileRows;
  int64_t grain =
      std::min(grainBytes / layout.tileBytes(), grainProducts / products);
  pool.parallelFor(layout.tiles(), grain, [&](int64_t begin, int64_t end) {
    body(arguments, begin, end);
  });
}

} // namespace qopt::host
