// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/CalibrationModel.h"
#include "lib/Driver/CudaEmission.h"
#include "lib/Driver/WeightCalibration.h"
#include "mlir/Pass/PassManager.h"
#include "passes/Calibrate/Passes.h"
#include "passes/Pipelines.h"
#include "llvm/ADT/Sequence.h"
#include <numeric>

using namespace mlir;

namespace qopt::driver {

CalibrationModel::CalibrationModel(ModuleOp reference,
                                   const TokenWindows &tokens,
                                   const CompileOptions &options,
                                   const CalibrationStore &store)
    : module(reference.clone()), windows(tokens), options(options),
      entries(store), folder("qopt-calibrate"),
      positions(size_t(tokens.length())) {
  std::iota(positions.begin(), positions.end(), 0);
}

StatusOr<std::unique_ptr<CalibrationModel>>
CalibrationModel::create(ModuleOp reference, const TokenWindows &tokens,
                         const CompileOptions &options,
                         const CalibrationStore &store) {
  std::unique_ptr<CalibrationModel> model(
      new CalibrationModel(reference, tokens, options, store));
  QOPT_RETURN_IF_ERROR(model->folder.made());
  PassManager manager(model->module->getContext());
  passes::addCalibrateStage(manager);
  if (failed(manager.run(*model->module)))
    return Status(StatusCode::Internal,
                  "the model could not be cut into layers");
  for (auto function : model->module->getOps<func::FuncOp>())
    model->functions.push_back(function);
  return model;
}

unsigned CalibrationModel::threads() const { return threadsOf(options); }

StatusOr<OwningOpRef<func::FuncOp>>
CalibrationModel::segmentAs(size_t index, SegmentForm form) {
  OwningOpRef<ModuleOp> copy = ModuleOp::create(module->getLoc());
  func::FuncOp function = functions[index].clone();
  copy->push_back(function);
  PassManager manager(module->getContext());
  if (form == SegmentForm::Observed)
    manager.addNestedPass<func::FuncOp>(passes::createObserveLinearsPass());
  if (form == SegmentForm::Gradient)
    manager.addNestedPass<func::FuncOp>(
        passes::createDifferentiateFunctionPass());
  if (failed(manager.run(*copy)))
    return Status(StatusCode::Unsupported, "a layer could not be calibrated");
  // Last: a weight that is to be quantized is one to observe.
  readSources(function);
  function->remove();
  return OwningOpRef<func::FuncOp>(function);
}

StatusOr<calibrate::TokenStates>
CalibrationModel::advance(func::FuncOp function,
                          const calibrate::TokenStates &hidden,
                          const std::string &name) {
  if (entries.has(name))
    return entries.openStates(name);
  auto next = entries.newStates(name);
  if (!next.ok())
    return next.status();
  QOPT_RETURN_IF_ERROR(run(function, {{"hidden", &hidden}},
                           [&](int64_t sequence, std::vector<Tensor> &results) {
                             return next->write(sequence,
                                                results.front().view());
                           }));
  QOPT_RETURN_IF_ERROR(next->finish());
  return next;
}

StatusOr<HostFunction> CalibrationModel::compile(func::FuncOp function,
                                                 FunctionWeights weights) {
  return HostFunction::compile(function, options, folder.path.str().str(),
                               weights);
}

StatusOr<std::vector<Tensor>>
CalibrationModel::runOn(HostFunction &compiled, func::FuncOp function,
                        int64_t sequence, ArrayRef<TensorView> states) const {
  std::vector<TensorView> inputs;
  for (unsigned i = 0; i < function.getNumArguments(); ++i) {
    auto name = function.getArgAttrOfType<StringAttr>(i, "qopt.name");
    const auto *known = llvm::find_if(states, [&](const TensorView &view) {
      return view.name == name.getValue();
    });
    if (known != states.end()) {
      inputs.push_back(*known);
      continue;
    }
    auto ids = name == "positions" ? std::span<const int32_t>(positions)
                                   : windows[sequence];
    inputs.push_back({name.str(),
                      DType::I32,
                      {int64_t(ids.size())},
                      const_cast<int32_t *>(ids.data())});
  }
  return compiled.run(inputs);
}

Status CalibrationModel::run(func::FuncOp function, ArrayRef<States> states,
                             const Consumer &consume, int64_t step) {
  auto compiled = compile(function, FunctionWeights::Fixed);
  if (!compiled.ok())
    return compiled.status();
  auto isRead = [&](const States &entry) {
    return llvm::any_of(
        llvm::seq<unsigned>(0, function.getNumArguments()), [&](unsigned i) {
          return function.getArgAttrOfType<StringAttr>(i, "qopt.name")
                     .getValue() == entry.name;
        });
  };
  for (int64_t sequence = 0; sequence < windows.count(); sequence += step) {
    std::vector<TensorView> inputs;
    std::vector<Tensor> read;
    read.reserve(states.size()); // views of them stay
    for (const States &entry : states) {
      if (!isRead(entry))
        continue;
      auto values = entry.values->read(sequence, entry.name);
      if (!values.ok())
        return values.status();
      read.push_back(std::move(*values));
      inputs.push_back(read.back().view());
    }
    auto results = runOn(*compiled, function, sequence, inputs);
    if (!results.ok())
      return results.status();
    QOPT_RETURN_IF_ERROR(consume(sequence, *results));
  }
  return Status();
}

} // namespace qopt::driver
