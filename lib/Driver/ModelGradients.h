// Runs of a calibration model forward and backward, layer by layer: forward
// once, keeping in files what each layer reads; backward as often as somebody
// wants gradients of the log likelihood of labels that are drawn from the model
// itself, where each layer computes itself anew. Labels are those of logits:
// results whose name says so. Other results of a graph predict nothing; their
// labels are the result and noise, so that curvatures are of the plain error
// (SampledLabels.h).
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
/// The same of an attention: keys and values as it reads them, [1, heads,
/// tokens, channels], and the gradients of both. Null: there is none.
struct ObservedAttention {
  const Tensor *key = nullptr, *value = nullptr;
  const Tensor *keyGradient = nullptr, *valueGradient = nullptr;
  /// By distance the part of them that queries at least so many positions
  /// behind give.
  struct Far {
    const Tensor *key = nullptr, *value = nullptr;
  };
  std::map<int64_t, Far> far = {};
};
using ObservedWeights = std::map<std::string, ObservedWeight>; ///< by name

/// The rows of a table of `rows` that ids, of i32 or i64, look up: those below
/// 0 count from its end, as ONNX has it; kernels refuse what is outside.
std::vector<int32_t> lookedUpRows(const Tensor &ids, int64_t rows);

/// The results of a layer's gradient function that belong to weights.
ObservedWeights weightsOf(mlir::func::FuncOp function,
                          const std::vector<Tensor> &results);

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

  /// What is done with the gradients of one draw of labels.
  struct Visitor {
    /// Whether a layer and all behind it are done: it is not run again, where
    /// the gradients that it gives are in the store.
    llvm::function_ref<bool(size_t layer)> isDone;
    /// Ahead of a layer and behind it, from the last to the first.
    llvm::function_ref<Status(size_t layer)> enter, leave;
    /// Of each of its sequences; tensors live until this returns.
    llvm::function_ref<void(int64_t sequence, const ObservedWeights &)> observe;
    /// The same of each attention of the layer, counted from 0; may be null.
    llvm::function_ref<void(size_t layer, int64_t attention,
                            const ObservedAttention &)>
        attend = nullptr;
    /// That attentions' far gradients are wanted of.
    std::vector<int64_t> distances = {};
  };
  /// On every `step`-th sequence.
  Status backward(uint64_t seed, int64_t step, const Visitor &visitor);

  /// While or behind layers were run: what the loss of a sample is a sum of,
  /// predictions of a decoder, rows of the result with most of a graph, once
  /// for each of its results.
  int64_t termsOfLoss() const { return terms; }

private:
  explicit ModelGradients(CalibrationModel &model) : model(model) {}
  using States = std::vector<calibrate::TokenStates>;
  StatusOr<States> topGradients(uint64_t seed, int64_t step,
                                const std::string &name);
  StatusOr<calibrate::TokenStates> differentiate(size_t layer, int64_t step,
                                                 const States &gradients,
                                                 const Visitor &visitor,
                                                 const std::string &name);

  CalibrationModel &model;
  std::vector<calibrate::TokenStates> inputs; ///< of each layer
  int64_t terms = 0;
};

} // namespace qopt::driver

#endif // QOPT_LIB_DRIVER_MODELGRADIENTS_H
