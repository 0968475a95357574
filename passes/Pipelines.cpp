// Every position has a reason; where it is not plain from the passes' own
// Before and After, it is said here.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "passes/Pipelines.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassOptions.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"
#include "passes/Raise/Passes.h"

using namespace mlir;

namespace qopt::passes {

void addRaiseStage(OpPassManager &manager, ModelShape shape) {
  OpPassManager &function = manager.nest<func::FuncOp>();
  function.addPass(createExpandMicrosoftPass());
  // Before all patterns: they look for numbers and for operators side by side.
  function.addPass(createSimplifyOnnxPass());
  function.addPass(createCSEPass());
  function.addPass(createRaiseWeightsPass());
  function.addPass(createRaiseNormsPass());
  function.addPass(createRaiseActivationsPass());
  // Rotary before attention: it turns the axes of queries and keys, and the
  // transposes that it leaves meet those of attention.
  function.addPass(createRaiseRotaryPass());
  function.addPass(createRaiseAttentionPass());
  function.addPass(createCSEPass());
  if (shape != ModelShape::Graph)
    manager.addPass(
        createRaiseDecoderPass({.required = shape == ModelShape::Decoder}));
}

namespace {
struct RaiseOptions : PassPipelineOptions<RaiseOptions> {
  Option<std::string> as{*this, "as",
                         llvm::cl::desc("automatic, decoder or graph"),
                         llvm::cl::init("automatic")};
};
} // namespace

void registerPasses() {
  registerRaisePasses();
  registerCSEPass();
  registerCanonicalizerPass();
  PassPipelineRegistration<RaiseOptions>(
      "qopt-raise-stage", "from onnx to what the model means",
      [](OpPassManager &manager, const RaiseOptions &options) {
        addRaiseStage(manager, options.as == "decoder" ? ModelShape::Decoder
                               : options.as == "graph" ? ModelShape::Graph
                                                       : ModelShape::Automatic);
      });
}

} // namespace qopt::passes
