// Every position has a reason; where it is not plain from the passes' own
// Before and After, it is said here.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "passes/Pipelines.h"
#include "lib/Codegen/Cuda/DeviceLowering.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassOptions.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"
#include "passes/Calibrate/Passes.h"
#include "passes/Fuse/Passes.h"
#include "passes/Lower/Passes.h"
#include "passes/Quantize/Passes.h"
#include "passes/Raise/Passes.h"
#include "passes/Schedule/Passes.h"

using namespace mlir;

namespace qopt::passes {

void addRaiseStage(OpPassManager &manager, ModelShape shape,
                   CodeProducts products, Sources sources) {
  OpPassManager &function = manager.nest<func::FuncOp>();
  function.addPass(createExpandMicrosoftPass());
  function.addPass(createExpandOnnxPass());
  // Before all patterns: they look for numbers and for operators side by side.
  function.addPass(createSimplifyOnnxPass());
  function.addPass(createCSEPass());
  // After the shape arithmetic has become constants, before any operator is
  // replaced by one that no longer says what it asked for.
  function.addPass(createRaiseRequirementsPass());
  // Before weights are folded: their codes are cast nowhere else.
  function.addPass(createRaiseCodeProductsPass(
      {.symmetric = products == CodeProducts::SymmetricLinears}));
  function.addPass(createExpandCodeProductsPass());
  // Rotary before weights: the rows that it takes of a table by position are
  // an embedding. Before attention: it turns the axes of queries and keys, and
  // the transposes that it leaves meet those of attention.
  function.addPass(createRaiseRotaryPass());
  function.addPass(createFoldWeightsPass());
  function.addPass(createRaiseWeightsPass());
  // Before a decoder is made of the function: roles and formats of weights ask
  // which of them is embedding and head at once.
  function.addPass(createFoldEqualWeightsPass());
  function.addPass(createGroupProjectionRowsPass());
  function.addPass(createRaiseNormsPass());
  function.addPass(createRaiseActivationsPass());
  function.addPass(createRaiseAttentionPass());
  // Again: the transposes that raising leaves around attention and rotary meet
  // those of the source.
  function.addPass(createSimplifyOnnxPass());
  function.addPass(createCSEPass());
  if (shape == ModelShape::Encoder)
    manager.addPass(createRaiseEncoderPass());
  else if (shape != ModelShape::Graph)
    manager.addPass(
        createRaiseDecoderPass({.required = shape == ModelShape::Decoder,
                                .sources = sources == Sources::Encoded}));
  manager.addNestedPass<func::FuncOp>(createReportLayersPass());
}

void addQuantizeStage(OpPassManager &manager, const AskedFormats &formats) {
  OpPassManager &function = manager.nest<func::FuncOp>();
  // First: what is quantized, and fused later, is f32.
  function.addPass(createWidenActivationsPass());
  function.addPass(createQuantizeWeightsPass({.weights = formats.weights,
                                              .lmHead = formats.lmHead,
                                              .embedding = formats.embedding,
                                              .widest = formats.widest,
                                              .overrides = formats.overrides,
                                              .algorithm = formats.algorithm,
                                              .device = formats.device}));
  // After the weights: it asks which of them are integers.
  function.addPass(createQuantizeActivationsPass(
      {.format = formats.activations,
       .overrides = formats.activationOverrides}));
  function.addPass(
      createSetCacheFormatPass({.key = formats.keys,
                                .value = formats.values,
                                .overrides = formats.cacheOverrides,
                                .page = formats.page,
                                .recent = formats.recent,
                                .first = formats.first,
                                .beforeRotary = formats.beforeRotary}));
  // Last: what is above asks for f32.
  function.addPass(createNarrowActivationsPass({.type = formats.type}));
  // Users of one weight that got one format share it.
  function.addPass(createCSEPass());
}

void addCalibrateStage(OpPassManager &manager) {
  manager.addNestedPass<func::FuncOp>(createUncacheDecoderPass());
  manager.addPass(createCutLayersPass());
}

/// What both targets fuse, each as its kernels can.
static void addCommonFuseStage(OpPassManager &manager, bool gpu) {
  OpPassManager &function = manager.nest<func::FuncOp>();
  // Before projections are merged: a linear with a residual stays alone.
  function.addPass(createFuseResidualPass());
  // Before projections are merged: those of several experts read one tensor.
  if (!gpu)
    function.addPass(createSkipUnroutedRowsPass());
  // After the residuals: a sum in a linear's epilogue is rounded once.
  if (!gpu)
    function.addPass(createRoundActivationsPass());
  function.addPass(createFuseProjectionsPass({.mixed = gpu}));
  // After the projections: a gated activation may have become one tensor.
  function.addPass(createFuseNormQuantizePass());
  function.addPass(createFuseRotaryAppendPass({.norms = gpu}));
  function.addPass(createCanonicalizerPass());
  function.addPass(createCSEPass());
}

void addFuseStage(OpPassManager &manager) {
  addCommonFuseStage(manager, /*gpu=*/false);
}

void addCudaFuseStage(OpPassManager &manager) {
  addCommonFuseStage(manager, /*gpu=*/true);
  // After all that make a linear's surroundings what they stay.
  OpPassManager &function = manager.nest<func::FuncOp>();
  function.addPass(createFuseLinearPass());
  // After the linears: a norm ahead of one is part of its launch.
  function.addPass(createFuseNormSumPass());
  function.addPass(createCanonicalizerPass());
  function.addPass(createCSEPass());
}

void addLowerStage(OpPassManager &manager) {
  OpPassManager &function = manager.nest<func::FuncOp>();
  function.addPass(createLowerOnnxPass());
  // Sums of tensors that no linear took up.
  function.addPass(createLowerArithPass());
  function.addPass(createCanonicalizerPass());
  function.addPass(createCSEPass());
  function.addPass(createFuseElementwisePass());
  function.addPass(createCSEPass());
  manager.addPass(createOutlineKernelsPass());
  // Equal sizes become one value here, which is what MergeKernels compares.
  manager.addPass(createCanonicalizerPass());
  manager.addPass(createCSEPass());
  manager.addPass(createMergeKernelsPass());
  manager.addPass(createCanonicalizerPass());
}

void addCudaLowerStage(OpPassManager &manager) {
  manager.addNestedPass<func::FuncOp>(createLowerGenericPass());
  addLowerStage(manager);
}

void addDeviceStage(OpPassManager &manager) {
  OpPassManager &kernels = manager.nest<gpu::GPUModuleOp>();
  // First: an instruction on a pointer keeps its operands as they are.
  kernels.addPass(createLowerPtxPass());
  codegen::addViewLowering(kernels);
  // Behind the views, whose sizes are divided; before the conversion of gpu,
  // which would call NVIDIA's library.
  kernels.addPass(createLowerDeviceMathPass());
  codegen::addDeviceLLVM(kernels);
}

void addHostScheduleStage(OpPassManager &manager) {
  OpPassManager &function = manager.nest<func::FuncOp>();
  function.addPass(createSelectFusedKernelsPass());
  function.addPass(createSelectHostLayoutsPass());
}

void addCudaScheduleStage(OpPassManager &manager,
                          const std::string &architectures) {
  OpPassManager &function = manager.nest<func::FuncOp>();
  // Before the layouts: rows that meet in a gate lie in pairs.
  function.addPass(createSelectCudaFusionsPass());
  // Before the kernels: a weight that none reads has one error, which names it.
  function.addPass(createSelectCudaLayoutsPass());
  function.addPass(
      createSelectCudaKernelsPass({.architectures = architectures}));
}

void addOrderedScheduleStage(OpPassManager &manager,
                             const std::string &architecture) {
  addCudaScheduleStage(manager, architecture);
  OpPassManager &function = manager.nest<func::FuncOp>();
  function.addPass(createSelectSumOrdersPass({architecture}));
  // After the orders, of which a launch has one for each format of its rows.
  function.addPass(createSplitLinearsPass());
  // After the orders: a GPU's problems ask for the types of its values.
  function.addPass(createRoundActivationsPass());
  function.addPass(createCanonicalizerPass());
  function.addPass(createCSEPass());
  addHostScheduleStage(manager);
}

namespace {
struct RaiseOptions : PassPipelineOptions<RaiseOptions> {
  Option<ModelShape> as{
      *this, "as", llvm::cl::desc("what the model is compiled as"),
      llvm::cl::init(ModelShape::Automatic),
      llvm::cl::values(
          clEnumValN(ModelShape::Automatic, "automatic",
                     "a decoder where it is one"),
          clEnumValN(ModelShape::Decoder, "decoder", "a decoder, or an error"),
          clEnumValN(ModelShape::Graph, "graph", "the ONNX signature"),
          clEnumValN(ModelShape::Encoder, "encoder",
                     "what encodes a decoder's sources, or an error"))};
  Option<bool> sources{
      *this, "sources",
      llvm::cl::desc("a decoder may attend to what an encoder makes"),
      llvm::cl::init(false)};
};

struct QuantizeOptions : PassPipelineOptions<QuantizeOptions> {
  Option<std::string> weights{*this, "weights",
                              llvm::cl::desc("format of linear weights")};
  Option<std::string> lmHead{*this, "lm-head",
                             llvm::cl::desc("format of the head")};
  Option<std::string> embedding{*this, "embedding",
                                llvm::cl::desc("format of the embedding")};
  ListOption<std::string> overrides{
      *this, "overrides", llvm::cl::desc("formats of single weights")};
  Option<std::string> activations{
      *this, "activations", llvm::cl::desc("format of activations, or f32"),
      llvm::cl::init(AskedFormats().activations)};
  ListOption<std::string> activationOverrides{
      *this, "activation-overrides",
      llvm::cl::desc("formats of what single linears read")};
  Option<std::string> type{*this, "type",
                           llvm::cl::desc("type of values: f32, f16 or bf16"),
                           llvm::cl::init(AskedFormats().type)};
  Option<std::string> keys{*this, "keys",
                           llvm::cl::desc("format of keys in the cache")};
  Option<std::string> values{*this, "values",
                             llvm::cl::desc("format of values in the cache")};
  ListOption<std::string> cacheOverrides{
      *this, "cache-overrides",
      llvm::cl::desc("formats of single layers of the cache")};
};

struct CudaScheduleOptions : PassPipelineOptions<CudaScheduleOptions> {
  Option<std::string> architectures{
      *this, "arch", llvm::cl::desc("architectures: sm_90a,sm_80"),
      llvm::cl::init("sm_90a")};
};
} // namespace

static AskedFormats formatsOf(const QuantizeOptions &options) {
  return {.weights = options.weights,
          .lmHead = options.lmHead,
          .embedding = options.embedding,
          .overrides = llvm::to_vector(options.overrides),
          .activations = options.activations,
          .activationOverrides = llvm::to_vector(options.activationOverrides),
          .type = options.type,
          .keys = options.keys,
          .values = options.values,
          .cacheOverrides = llvm::to_vector(options.cacheOverrides)};
}

void registerPasses() {
  registerCalibratePasses();
  registerFusePasses();
  registerQuantizePasses();
  registerRaisePasses();
  registerLowerPasses();
  registerSchedulePasses();
  codegen::registerDeviceLoweringPasses();
  PassPipelineRegistration<>("qopt-lower-stage",
                             "from onnx and qopt to kernels and their calls",
                             addLowerStage);
  PassPipelineRegistration<>("qopt-cuda-lower-stage", "the same, for GPUs",
                             addCudaLowerStage);
  PassPipelineRegistration<>("qopt-device-stage",
                             "kernels of a GPU to the LLVM dialect",
                             addDeviceStage);
  PassPipelineRegistration<RaiseOptions>(
      "qopt-raise-stage", "from onnx to what the model means",
      [](OpPassManager &manager, const RaiseOptions &options) {
        addRaiseStage(manager, options.as, CodeProducts::Linears,
                      options.sources ? Sources::Encoded : Sources::None);
      });
  PassPipelineRegistration<QuantizeOptions>(
      "qopt-quantize-stage", "store weights and activations as asked",
      [](OpPassManager &manager, const QuantizeOptions &options) {
        addQuantizeStage(manager, formatsOf(options));
      });
  PassPipelineRegistration<>("qopt-calibrate-stage",
                             "functions of the layers of a decoder",
                             addCalibrateStage);
  PassPipelineRegistration<>("qopt-schedule-stage",
                             "kernels and layouts of weights for the host",
                             addHostScheduleStage);
  PassPipelineRegistration<CudaScheduleOptions>(
      "qopt-cuda-schedule-stage", "kernels and layouts of weights for GPUs",
      [](OpPassManager &manager, const CudaScheduleOptions &options) {
        addCudaScheduleStage(manager, options.architectures);
      });
  PassPipelineRegistration<CudaScheduleOptions>(
      "qopt-ordered-schedule-stage",
      "the same for the host, in the order of a GPU's sums",
      [](OpPassManager &manager, const CudaScheduleOptions &options) {
        addOrderedScheduleStage(manager, options.architectures);
      });
  PassPipelineRegistration<>("qopt-fuse-stage",
                             "fewer, larger launches, the same numbers",
                             addFuseStage);
  PassPipelineRegistration<>("qopt-cuda-fuse-stage",
                             "the same, and regions around linears for GPUs",
                             addCudaFuseStage);
}

} // namespace qopt::passes
