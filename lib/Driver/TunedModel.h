// A model whose scales and norms are parameters: its layers compiled once, with
// weights that are written anew for every vector of parameters, forward and
// backward. What is done with gradients is Tuning.h's business.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_DRIVER_TUNEDMODEL_H
#define QOPT_LIB_DRIVER_TUNEDMODEL_H

#include "lib/Driver/ModelGradients.h"
#include "lib/Driver/Tuning.h"
#include "lib/Quant/algorithms/ScaleTuning.h"
#include <deque>

namespace qopt::driver {

class TunedModel {
public:
  /// Replaces weights of linears in the layers of `model`, which stays, by ones
  /// that can be written; `weights` has the codes.
  static StatusOr<std::unique_ptr<TunedModel>>
  create(CalibrationModel &model, const calibrate::TokenStates &predictions,
         const CalibratedWeights &weights);

  /// Scales and units of all weights, then the channels of all norms:
  /// logarithms of factors, 0 where nothing is tuned.
  size_t parameterCount() const { return count; }
  Status setParameters(const std::vector<float> &parameters);

  /// Σ over tokens of the KL divergence of a window from the predictions.
  StatusOr<double> divergence(int64_t window);
  /// The same, and adds `factor` times its gradient.
  StatusOr<double> addGradients(int64_t window, float factor,
                                std::vector<float> &gradients);

  /// Leaves what parameters stand for in the weights.
  void store(const std::vector<float> &parameters,
             CalibratedWeights &weights) const;

private:
  /// A norm that linears alone read.
  struct Norm {
    std::string reader; ///< the weight of one of them
    int64_t columns, first;
  };
  struct Linear {
    std::string name, key;
    StoredWeight stored;
    std::optional<quant::TunableMatrix> scales; ///< none: they stay
    int64_t first = 0;                          ///< of the parameters
    int64_t norm = -1;                          ///< that it reads
  };
  struct Layer {
    std::deque<Linear> linears; ///< that stay where they are
    mlir::OwningOpRef<mlir::func::FuncOp> forward, backward;
    std::optional<HostFunction> runForward, runBackward;
  };

  explicit TunedModel(CalibrationModel &model) : model(model) {}
  Status addLayer(size_t index, const CalibratedWeights &weights);
  Status compileLayer(size_t index);
  void findNorms(Layer &layer, llvm::ArrayRef<mlir::Operation *> ops);
  std::vector<float> columnFactors(const Linear &linear) const;
  std::vector<float> valuesOf(const Linear &linear) const;
  StatusOr<std::vector<Tensor>> runForward(int64_t window);
  StatusOr<Tensor> runBackward(size_t layer, int64_t window,
                               const Tensor &hidden, const Tensor &gradient,
                               std::vector<float> &gradients);
  void addOf(const Linear &linear, const ObservedWeight &observed,
             std::vector<float> &gradients) const;

  CalibrationModel &model;
  const calibrate::TokenStates *predictions = nullptr;
  mlir::OwningOpRef<mlir::func::FuncOp> reference; ///< the last layer
  std::optional<HostFunction> runReference;
  std::vector<Layer> layers;
  std::vector<Norm> norms;
  size_t count = 0;
  size_t firstTuned = 0; ///< layers ahead of it need no gradient
  std::vector<float> parameters;
};

} // namespace qopt::driver

#endif // QOPT_LIB_DRIVER_TUNEDMODEL_H
