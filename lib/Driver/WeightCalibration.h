// Weights of a calibration in the IR: by which they are found, and how codes
// take their place.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_DRIVER_WEIGHTCALIBRATION_H
#define QOPT_LIB_DRIVER_WEIGHTCALIBRATION_H

#include "dialects/QOpt/QOptOps.h"
#include "lib/Driver/WeightRounder.h"
#include <map>
#include <string>
#include <vector>

namespace qopt::driver {

/// What a calibration has made of a model.
struct CalibratedWeights {
  std::map<std::string, StoredWeight> codes; ///< by weightKey
  /// What biases of linears gain, by the name of the weight.
  std::map<std::string, std::vector<float>> biases;
  /// What weights and biases of norms are multiplied with, by the name of a
  /// weight whose linear reads the norm.
  std::map<std::string, std::vector<float>> normFactors;
};

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

/// Adds to the biases of linears below `root`, functions or a module of such,
/// what they gain; once.
Status correctBiases(mlir::Operation *root, const CalibratedWeights &weights);

/// Gives what is still to be quantized the codes of weights in `quantized` that
/// have the same name and format; what has none there stays. Where weights of
/// linears are then the same, so are biases, and the constants of norms ahead.
void takeCodes(mlir::ModuleOp model, mlir::ModuleOp quantized);

/// Replaces each `quantize_weight` that `stored` has codes of. The arrays are
/// called like the weights, behind `prefix`.
void replaceWeights(mlir::Operation *root,
                    const std::map<std::string, StoredWeight> &stored,
                    const std::string &prefix = "");

} // namespace qopt::driver

#endif // QOPT_LIB_DRIVER_WEIGHTCALIBRATION_H
