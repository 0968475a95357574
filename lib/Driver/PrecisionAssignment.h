// Which format each weight gets under a budget: the sum of what the formats are
// predicted to cost is the objective (FormatScores.h), and its least value
// within the budget is exact (lib/Quant/assignment).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_DRIVER_PRECISIONASSIGNMENT_H
#define QOPT_LIB_DRIVER_PRECISIONASSIGNMENT_H

#include "lib/Driver/PrecisionPlan.h"
#include "lib/Quant/Format.h"
#include "mlir/IR/BuiltinOps.h"
#include "qopt/CompileOptions.h"
#include <string>
#include <vector>

namespace qopt::driver {

/// The formats that a target has fast kernels for, from small to large.
std::vector<quant::Format> usualCandidates();

/// Codes, scales and zero points of a matrix.
int64_t storedBytes(const quant::Format &format, int64_t rows, int64_t columns);

/// Gives a weight one format, for a reason that is no choice.
void fixFormat(PlannedWeight &weight, const std::string &format,
               std::string reason);

/// Every weight of linears and embeddings of a module, in the order of their
/// use, in the format that it has there.
std::vector<PlannedWeight> listWeights(mlir::ModuleOp module);

/// Bytes of a position, with its part of scales; without what pages round up.
int64_t positionBytes(const PlannedCache &cache, const quant::Format &format);

/// The keys and values of every layer of a decoder's cache, in a module as the
/// stage quantize has left it; `raised` is the same model ahead of that stage.
/// Nothing of a graph.
std::vector<PlannedCache> listCaches(mlir::ModuleOp module,
                                     mlir::ModuleOp raised);

/// Bytes of the smallest plan, and of the largest.
int64_t leastBytes(const std::vector<PlannedWeight> &weights);
int64_t mostBytes(const std::vector<PlannedWeight> &weights);

/// Chooses an alternative of each weight that has some, all weights together
/// within `budget` bytes, at least the smallest plan's, and says why.
void chooseFormats(std::vector<PlannedWeight> &weights, int64_t budget);

} // namespace qopt::driver

#endif // QOPT_LIB_DRIVER_PRECISIONASSIGNMENT_H
