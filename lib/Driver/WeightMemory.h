// What writing a weight takes of the compiler's memory: an estimate, beside
// WeightEvaluator.h, of which it follows the steps.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_DRIVER_WEIGHTMEMORY_H
#define QOPT_LIB_DRIVER_WEIGHTMEMORY_H

#include "lib/Driver/WeightEvaluator.h"

namespace qopt::driver {

/// Bytes of the file that are in memory when all of a weight's parts have been
/// evaluated: those of its sources.
int64_t sourceBytes(mlir::Value weight);

/// Bytes of all weights of a module as the file stores them.
int64_t storedBytesOf(mlir::ModuleOp module);

/// Bytes on the heap that evaluatePart has at most at a time.
int64_t evaluationBytes(const WeightPart &part);

} // namespace qopt::driver

#endif // QOPT_LIB_DRIVER_WEIGHTMEMORY_H
