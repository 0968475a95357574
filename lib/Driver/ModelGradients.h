// Runs of a calibration model forward and backward, layer by layer: forward
// once, keeping in files what each layer reads; backward as often as somebody
// wants gradients of the log likelihood of labels that are drawn from the model
// itself, where each layer computes itself anew.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_DRIVER_MODELGRADIENTS_H
#define QOPT_LIB_DRIVER_MODELGRADIENTS_H

#include "lib/Driver/CalibrationModel.h"
#include "qopt/Compiler.h"
#include <map>
#include <string>

namespace qopt::driver {

/// What a layer's function gives of one weight in one sequence: what its linear
/// reads [T, columns] or the ids that are looked up [T], and the gradient of
/// the result [T, rows] (of an embedding [T, columns]). Null: there is none.
struct ObservedWeight {
  const Tensor *input = nullptr, *ids = nullptr, *gradient = nullptr;
};
using ObservedWeights = std::map<std::string, ObservedWeight>; ///< by name

class ModelGradients {
public:
  /// `model` stays. Runs every layer but the last on all sequences.
  static StatusOr<ModelGradients> forward(CalibrationModel &model,
                                          const Progress &progress);

  /// What a layer reads, with all layers before as the file has them; nothing
  /// for the first, which reads tokens.
  const calibrate::TokenStates &input(size_t layer) const {
    return inputs[layer];
  }

  /// Called ahead of each layer, from the last to the first.
  using Enter = llvm::function_ref<Status(size_t layer)>;
  /// Called for each of its sequences; tensors live until it returns.
  using Observe =
      llvm::function_ref<void(int64_t sequence, const ObservedWeights &)>;
  /// Gradients for one draw of labels, on every `step`-th sequence.
  Status backward(uint64_t seed, int64_t step, const Enter &enter,
                  const Observe &observe);

private:
  explicit ModelGradients(CalibrationModel &model) : model(model) {}
  Status drawLabels(uint64_t seed, int64_t step,
                    calibrate::TokenStates &gradients);
  Status differentiate(size_t layer, int64_t step,
                       calibrate::TokenStates &gradients,
                       const Observe &observe);

  CalibrationModel &model;
  std::vector<calibrate::TokenStates> inputs; ///< of each layer
};

} // namespace qopt::driver

#endif // QOPT_LIB_DRIVER_MODELGRADIENTS_H
