// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/CalibrationModel.h"
#include "lib/Driver/CudaEmission.h"
#include "lib/Driver/WeightCalibration.h"
#include "mlir/Pass/PassManager.h"
#include "passes/Calibrate/Passes.h"
#include "passes/Pipelines.h"
#include "llvm/ADT/Sequence.h"
#include <optional>

using namespace mlir;

namespace qopt::driver {

CalibrationModel::CalibrationModel(ModuleOp reference,
                                   const calibrate::CalibrationSamples &samples,
                                   const CompileOptions &options,
                                   const CalibrationStore &store)
    : module(reference.clone()), inputs(samples), options(options),
      entries(store), folder("qopt-calibrate") {}

StatusOr<std::unique_ptr<CalibrationModel>> CalibrationModel::create(
    ModuleOp reference, const calibrate::CalibrationSamples &samples,
    const CompileOptions &options, const CalibrationStore &store) {
  std::unique_ptr<CalibrationModel> model(
      new CalibrationModel(reference, samples, options, store));
  QOPT_RETURN_IF_ERROR(model->folder.made());
  PassManager manager(model->module->getContext());
  passes::addCalibrateStage(manager);
  if (failed(manager.run(*model->module)))
    return Status(StatusCode::Internal,
                  "the model could not be cut into layers");
  for (auto function : model->module->getOps<func::FuncOp>())
    model->functions.push_back(function);
  // Of a single layer nothing is passed on.
  if (auto name = model->functions.front().getResultAttrOfType<StringAttr>(
          0, "qopt.name");
      name && model->functions.size() > 1)
    model->hiddenName = name.str();
  return model;
}

unsigned CalibrationModel::threads() const { return threadsOf(options); }

std::string CalibrationModel::whyNoGradients() {
  auto isReal = [](Type type) {
    return isa<FloatType>(cast<ShapedType>(type).getElementType());
  };
  if (llvm::none_of(functions.back().getResultTypes(), isReal))
    return "no result is of real numbers";
  for (Type type : functions.back().getResultTypes())
    if (getElementTypeOrSelf(type).isF64())
      return "a result is of f64";
  std::string reason;
  ScopedDiagnosticHandler handler(module->getContext(),
                                  [&](Diagnostic &diagnostic) {
                                    if (reason.empty())
                                      reason = diagnostic.str();
                                    return success();
                                  });
  for (size_t i = 0; i < functions.size() && reason.empty(); ++i)
    if (auto gradient = segmentAs(i, SegmentForm::Gradient); !gradient.ok())
      reason = reason.empty() ? gradient.status().message() : reason;
  return reason;
}

StatusOr<OwningOpRef<func::FuncOp>>
CalibrationModel::segmentAs(size_t index, SegmentForm form,
                            llvm::ArrayRef<int64_t> distances) {
  OwningOpRef<ModuleOp> copy = ModuleOp::create(module->getLoc());
  func::FuncOp function = functions[index].clone();
  copy->push_back(function);
  PassManager manager(module->getContext());
  if (form == SegmentForm::Observed)
    manager.addNestedPass<func::FuncOp>(passes::createObserveLinearsPass());
  if (form == SegmentForm::Attention)
    manager.addNestedPass<func::FuncOp>(passes::createObserveAttentionPass());
  if (form == SegmentForm::Gradient) {
    // What the model is given has none ahead of it.
    for (unsigned i = 0; i < function.getNumArguments(); ++i)
      if (function.getArgAttrOfType<StringAttr>(i, "qopt.name") != hiddenName)
        function.setArgAttr(i, passes::noGradientAttribute,
                            UnitAttr::get(module->getContext()));
    manager.addNestedPass<func::FuncOp>(passes::createDifferentiateFunctionPass(
        {.distances = llvm::to_vector(distances)}));
  }
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
  QOPT_RETURN_IF_ERROR(run(function, {{hiddenName, &hidden}},
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
  std::vector<TensorView> arguments;
  for (unsigned i = 0; i < function.getNumArguments(); ++i) {
    std::string name =
        function.getArgAttrOfType<StringAttr>(i, "qopt.name").str();
    const auto *known = llvm::find_if(
        states, [&](const TensorView &view) { return view.name == name; });
    if (known != states.end()) {
      arguments.push_back(*known);
      continue;
    }
    std::optional<TensorView> input = inputs.input(sequence, name);
    if (!input)
      return Status(StatusCode::Internal,
                    "a layer reads \"" + name + "\", which nobody has");
    arguments.push_back(std::move(*input));
  }
  return compiled.run(arguments);
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
  for (int64_t sequence = 0; sequence < inputs.count(); sequence += step) {
    std::vector<TensorView> known;
    std::vector<Tensor> read;
    read.reserve(states.size()); // views of them stay
    for (const States &entry : states) {
      if (!isRead(entry))
        continue;
      auto values = entry.values->read(sequence, entry.name);
      if (!values.ok())
        return values.status();
      read.push_back(std::move(*values));
      known.push_back(read.back().view());
    }
    auto results = runOn(*compiled, function, sequence, known);
    if (!results.ok())
      return Status(results.status().code(),
                    "--calibrate: sample " + std::to_string(sequence) + ": " +
                        results.status().message());
    QOPT_RETURN_IF_ERROR(consume(sequence, *results));
  }
  return Status();
}

} // namespace qopt::driver
