// A model as calibration sees it: the functions of its layers, each compiled
// when it is needed and run on every sequence.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_DRIVER_CALIBRATIONMODEL_H
#define QOPT_LIB_DRIVER_CALIBRATIONMODEL_H

#include "lib/Calibrate/CalibrationSamples.h"
#include "lib/Calibrate/TokenStates.h"
#include "lib/Codegen/TemporaryFolder.h"
#include "lib/Driver/CalibrationStore.h"
#include "lib/Driver/HostFunction.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/ADT/STLFunctionalExtras.h"

namespace qopt::driver {

/// What a layer's function is to compute.
enum class SegmentForm {
  Original,  ///< with the weights as the file has them
  Observed,  ///< the same, and what linears read
  Attention, ///< the same, and keys and values (ObserveAttention)
  Gradient,  ///< gradients, from that of the result (DifferentiateFunction)
};

class CalibrationModel {
public:
  /// Cuts a decoder or graph, as the stage "quantize" leaves it for the host,
  /// into layers. All but the model stay.
  static StatusOr<std::unique_ptr<CalibrationModel>>
  create(mlir::ModuleOp reference, const calibrate::CalibrationSamples &samples,
         const CompileOptions &options, const CalibrationStore &store);

  /// The layers in their order, as the model will compute them.
  llvm::ArrayRef<mlir::func::FuncOp> segments() const { return functions; }
  const calibrate::CalibrationSamples &samples() const { return inputs; }
  /// What the functions call what passes from layer to layer.
  const std::string &hidden() const { return hiddenName; }
  unsigned threads() const;

  /// Why the gradients of the results cannot be computed; empty: they can.
  std::string whyNoGradients();

  /// A copy of a layer in another form. `distances`: of gradients by far
  /// queries, which are given beside all others.
  StatusOr<mlir::OwningOpRef<mlir::func::FuncOp>>
  segmentAs(size_t index, SegmentForm form,
            llvm::ArrayRef<int64_t> distances = {});

  /// What a layer makes of `hidden`, the next one's input: an entry of the
  /// store, where it may be already.
  StatusOr<calibrate::TokenStates> advance(mlir::func::FuncOp function,
                                           const calibrate::TokenStates &hidden,
                                           const std::string &name);

  /// What is done already.
  const CalibrationStore &store() const { return entries; }

  /// Tensors that are no inputs of the model, by name.
  struct States {
    std::string name;
    const calibrate::TokenStates *values;
  };
  using Consumer =
      llvm::function_ref<Status(int64_t sequence, std::vector<Tensor> &)>;
  /// Compiles a function and runs it on every `step`-th sample.
  Status run(mlir::func::FuncOp function, llvm::ArrayRef<States> states,
             const Consumer &consume, int64_t step = 1);

  /// Compiles a function that is run again and again. Those with replaceable
  /// weights have names of their own.
  StatusOr<HostFunction> compile(mlir::func::FuncOp function,
                                 FunctionWeights weights);
  /// Runs a compiled function on one sequence. `states`: what is neither tokens
  /// nor positions, by name.
  StatusOr<std::vector<Tensor>> runOn(HostFunction &compiled,
                                      mlir::func::FuncOp function,
                                      int64_t sequence,
                                      llvm::ArrayRef<TensorView> states) const;

private:
  CalibrationModel(mlir::ModuleOp reference,
                   const calibrate::CalibrationSamples &samples,
                   const CompileOptions &options,
                   const CalibrationStore &store);

  mlir::OwningOpRef<mlir::ModuleOp> module;
  llvm::SmallVector<mlir::func::FuncOp> functions;
  const calibrate::CalibrationSamples &inputs;
  const CompileOptions &options;
  const CalibrationStore &entries;
  codegen::TemporaryFolder folder;
  std::string hiddenName;
};

} // namespace qopt::driver

#endif // QOPT_LIB_DRIVER_CALIBRATIONMODEL_H
