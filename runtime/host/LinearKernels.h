// The variants behind `linear`, one file each. Every one computes the tiles
// [begin, end) of the weight for all rows of x and is called once by each
// thread.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_HOST_LINEARKERNELS_H
#define QOPT_RUNTIME_HOST_LINEARKERNELS_H

#include "runtime/host/Linear.h"

namespace qopt::host {

using LinearBody = void (*)(const LinearArguments &arguments, int64_t begin,
                            int64_t end);

/// int8 activations in blocks, integer weights: dot products in int32.
LinearBody integerLinear(const LinearArguments &arguments);
/// The same through the matrix tiles of AMX, for many rows; null where the
/// processor, the number of rows or the format does not suit.
LinearBody integerTileLinear(const LinearArguments &arguments);
/// int8 activations and weights, both with one scale a row, centred or not:
/// sums in int32.
LinearBody integerRowLinear(const LinearArguments &arguments);
/// The same through the matrix tiles of AMX; null as above.
LinearBody integerRowTileLinear(const LinearArguments &arguments);
/// fp8 activations and weights, both with one scale a row: sums in f32.
LinearBody fp8RowLinear(const LinearArguments &arguments);
/// f32 activations, floating-point weights.
LinearBody floatLinear(const LinearArguments &arguments);
/// f32 activations, integer weights that are dequantized on the way.
LinearBody dequantizingLinear(const LinearArguments &arguments);

/// f32 activations and any weights, in the order of `arguments.order`.
LinearBody orderedLinear(const LinearArguments &arguments);

/// f32 activations and any weights through the matrix tiles of AMX, for many
/// rows; null where the processor or the number of rows does not suit.
LinearBody floatTileLinear(const LinearArguments &arguments);

} // namespace qopt::host

#endif // QOPT_RUNTIME_HOST_LINEARKERNELS_H
