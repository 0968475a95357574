// Weights of a calibration in the IR: by which they are found, and how codes
// take their place.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_DRIVER_WEIGHTCALIBRATION_H
#define QOPT_LIB_DRIVER_WEIGHTCALIBRATION_H

#include "dialects/QOpt/QOptOps.h"
#include "lib/Driver/WeightRounder.h"
#include <map>
#include <string>

namespace qopt::driver {

/// What a quantized weight is found by in the model and in its copies: name and
/// format. Empty where the source is no weight of the file.
std::string weightKey(ir::QuantizeWeightOp op);

/// All of them, in their order: a list that stays while they are replaced.
llvm::SmallVector<ir::QuantizeWeightOp> quantizedWeights(mlir::Operation *root);

/// Lets a function compute with the weights as the file has them.
void readSources(mlir::Operation *root);

/// A rounded weight as an entry of a store, and back; `format`, rows and
/// columns are those of `op`.
std::string toBytes(const RoundedWeight &rounded);
StatusOr<RoundedWeight> fromBytes(const std::string &bytes,
                                  ir::QuantizeWeightOp op);

/// Gives what is still to be quantized the codes of weights in `quantized` that
/// have the same name and format; what has none there stays.
void takeCodes(mlir::ModuleOp model, mlir::ModuleOp quantized);

/// Replaces each `quantize_weight` that `stored` has codes of. The arrays are
/// called like the weights, behind `prefix`.
void replaceWeights(mlir::Operation *root,
                    const std::map<std::string, StoredWeight> &stored,
                    const std::string &prefix = "");

} // namespace qopt::driver

#endif // QOPT_LIB_DRIVER_WEIGHTCALIBRATION_H
