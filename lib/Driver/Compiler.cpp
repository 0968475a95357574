// The way of a model through the stages.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "qopt/Compiler.h"
#include "dialects/AllDialects.h"
#include "dialects/QOpt/QOptOps.h"
#include "lib/Codegen/Cuda/CudaCodegen.h"
#include "lib/Codegen/Host/HostCodegen.h"
#include "lib/Codegen/Host/HostTarget.h"
#include "lib/Codegen/TemporaryFolder.h"
#include "lib/Driver/ActivationOption.h"
#include "lib/Driver/ArtifactBuilder.h"
#include "lib/Driver/Blame.h"
#include "lib/Driver/CacheOption.h"
#include "lib/Driver/Companions.h"
#include "lib/Driver/CompileParts.h"
#include "lib/Driver/CudaEmission.h"
#include "lib/Driver/DecoderContext.h"
#include "lib/Driver/DiagnosticCollector.h"
#include "lib/Driver/HostRates.h"
#include "lib/Driver/HostSteps.h"
#include "lib/Driver/ModelCheck.h"
#include "lib/Driver/ModelChecks.h"
#include "lib/Driver/OptionChecks.h"
#include "lib/Driver/Quantization.h"
#include "lib/Driver/RemarkCollector.h"
#include "lib/Driver/StageOptions.h"
#include "lib/Driver/Validation.h"
#include "lib/Driver/WeightCalibration.h"
#include "lib/Driver/WeightMemory.h"
#include "lib/Import/Onnx/Importer.h"
#include "lib/Quant/Element.h"
#include "lib/Target/Target.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Pass/PassManager.h"
#include "passes/Pipelines.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/ThreadPool.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;

namespace qopt {
namespace {

/// Resources and attributes beyond this size are not printed.
constexpr int64_t printedBytes = 256;
/// Of all resources together, while the small ones of them are printed.
constexpr int64_t mostPrintedBytes = int64_t(1) << 28;

/// One compilation: the context, the module and how far it has come.
class Compilation {
public:
  enum class Purpose {
    Model,
    Blame, ///< ends with the stage quantize; texts to measure on are read
    Check, ///< no weight is read
  };
  /// `sources`: whether something encodes those of a decoder; `encoder`: the
  /// files of what does that, in place of the options' model.
  Compilation(const CompileOptions &options, CompileSummary &summary,
              Purpose purpose = Purpose::Model,
              passes::Sources sources = passes::Sources::None,
              const driver::EncoderFiles *encoder = nullptr)
      : options(options), summary(summary), purpose(purpose), sources(sources),
        encoder(encoder), threads(llvm::hardware_concurrency(options.threads)),
        context(makeRegistry(), MLIRContext::Threading::DISABLED),
        diagnostics(context, summary) {
    // Of one thread the caller is it, and no pool has a second.
    if (threads.getMaxConcurrency() > 1)
      context.setThreadPool(threads);
    // A message names the node; the operation's text would bury it.
    context.printOpOnDiagnostic(false);
    driver::collectRemarks(context, summary.remarks, missed);
  }

  /// Optional: may change the options ahead of the stage quantize.
  std::function<void(ModuleOp raised)> whenRaised;

  Status run(Stage last, const Progress &progress = {},
             const Notice &notice = {}) {
    auto found = driver::findCompanions(options);
    if (!found)
      return found.status();
    companions = std::move(*found);
    import::ImportOptions importing;
    importing.fixedInputs = options.inputs;
    if (purpose == Purpose::Check)
      importing.report = &report;
    auto imported =
        encoder ? driver::importEncoder(*encoder, context)
                : import::importOnnx(companions.model, importing, context);
    if (!imported)
      return imported.status();
    module = std::move(*imported);
    struct Step {
      Stage stage;
      std::function<void(OpPassManager &)> passes;
      StatusCode failure;
    };
    const Step steps[] = {
        {Stage::Raised,
         [&](OpPassManager &m) {
           passes::addRaiseStage(m,
                                 encoder ? passes::ModelShape::Encoder
                                         : driver::modelShape(options),
                                 forGpu() || followsGpu()
                                     ? passes::CodeProducts::SymmetricLinears
                                     : passes::CodeProducts::Linears,
                                 sources);
         },
         StatusCode::Unsupported},
        {Stage::Quantized,
         [&](OpPassManager &m) {
           passes::addQuantizeStage(
               m, driver::askedFormats(quantization->options()));
         },
         StatusCode::InvalidArgument},
        {Stage::Fused,
         forGpu() || followsGpu() ? passes::addCudaFuseStage
                                  : passes::addFuseStage,
         StatusCode::Internal},
        {Stage::Scheduled, [&](OpPassManager &m) { addScheduleStage(m); },
         StatusCode::Unsupported},
        {Stage::Kernels,
         forGpu() ? passes::addCudaLowerStage : passes::addLowerStage,
         StatusCode::Unsupported},
    };
    for (const Step &step : steps) {
      if (step.stage > last)
        break;
      if (step.stage == Stage::Quantized) {
        // Scales of channels first: all that follows is of the model with them.
        Status chosen = scaleModel(progress, notice);
        raised = module->clone();
        if (chosen.ok())
          chosen = purpose == Purpose::Check
                       ? quantization->chooseSmallest(*raised)
                       : chooseFormats(*raised, progress);
        if (!chosen.ok())
          return diagnostics.status(chosen.code(), chosen.message());
      }
      PassManager manager(&context);
      step.passes(manager);
      if (failed(manager.run(*module)))
        return diagnostics.status(
            step.failure, "a pass failed",
            whyNoDecoder(options.kind == ModelKind::Decoder));
      if (step.stage == Stage::Raised) {
        // Scales have become constants; those of weights are no longer here.
        if (failed(driver::checkScales(*module)))
          return diagnostics.status(StatusCode::BadModel, "");
        countLayers();
        QOPT_RETURN_IF_ERROR(checkKind());
        if (whenRaised)
          whenRaised(*module);
        // Here already, so that the text of every later stage has it.
        QOPT_RETURN_IF_ERROR(driver::setContext(*module, options, companions));
      }
      if (step.stage == Stage::Quantized)
        QOPT_RETURN_IF_ERROR(checkActivations());
      if (step.stage == Stage::Quantized) {
        SmallVector<ModuleOp> models{*module};
        if (validation && validation->substitute())
          models.push_back(validation->substitute());
        Status done;
        if (purpose == Purpose::Check)
          quantization->list(*module, *raised);
        else
          done = quantization->calibrate(models, *raised, progress);
        if (!done.ok())
          return diagnostics.status(done.code(), done.message());
        if (purpose != Purpose::Blame)
          raised = {};
      }
    }
    return Status();
  }

  /// Behind the stage quantize.
  StatusOr<BlameSummary> blame(const Progress &progress) {
    driver::Blame blame(*raised, quantization->options(), companions,
                        std::move(blameWindows), std::move(blameSamples));
    auto found = blame.measure(*module, progress);
    if (!found.ok())
      return diagnostics.status(found.status().code(),
                                found.status().message());
    return found;
  }

  /// `sources`, which has come as far, encodes those of a decoder.
  Status write(const Progress &progress, const Compilation *sources = nullptr) {
    driver::ArtifactParts parts{options, companions, &quantization->plan()};
    if (sources) {
      parts.encoder = *sources->module;
      parts.encoderFiles = {sources->encoder->encoder.path,
                            sources->encoder->decoder.path};
    }
    if (validation)
      parts.measure = [&](const std::string &path) {
        return validation->measure(path, progress);
      };
    Status status = driver::buildArtifact(*module, parts, progress, summary);
    if (!status.ok())
      return diagnostics.status(status.code(), status.message());
    if (!options.savePlan.empty())
      QOPT_RETURN_IF_ERROR(
          driver::writePlan(quantization->plan(), options.savePlan));
    return summary.validation ? driver::checkGates(*summary.validation, options)
                              : Status();
  }

  /// What `run` found, and where it came to its end what the artifact would be.
  void check(Status done, CheckSummary &check) {
    check.isRaised = isRaised;
    check.unraised = whyNotRaised();
    if (done.ok())
      done = measureSizes(check);
    check.isComplete = done.ok();
    driver::describeImport(report, done.ok() ? *module : ModuleOp(), check);
    if (!done.ok())
      driver::addProblems(done, report, diagnostics.all(), check);
    check.missed = missed;
    check.family = companions.family;
  }

  /// Of a stage behind Kernels.
  StatusOr<std::string> emitCode(Stage stage) {
    StatusOr<std::string> text =
        driver::emitCuda(*module, stage, options, summary);
    if (!text.ok())
      return diagnostics.status(text.status().code(), text.status().message());
    return text;
  }

  Status predict() {
    Status status = forGpu() ? driver::predictCuda(*module, options, summary)
                             : driver::predictHost(*module, options, summary);
    return status.ok() ? status
                       : diagnostics.status(status.code(), status.message());
  }

  std::string print() {
    OpPrintingFlags flags;
    flags.elideLargeElementsAttrs(printedBytes);
    flags.elideLargeResourceString(printedBytes);
    // The printer makes text of all bytes before it leaves them out, which
    // takes minutes for a large model; in local scope it has no resources.
    if (driver::storedBytesOf(*module) > mostPrintedBytes)
      flags.useLocalScope();
    std::string text;
    llvm::raw_string_ostream stream(text);
    module->print(stream, flags);
    // The printer ends with a list of resources where all were left out.
    StringRef printed = text;
    printed.consume_back("\n{-#\n\n#-}\n");
    return printed.str() + "\n";
  }

private:
  /// Writes the artifact, with holes for weights, where `options` say.
  Status measureSizes(CheckSummary &check) {
    uint64_t working = 0;
    driver::ArtifactParts parts{options, companions, &quantization->plan()};
    parts.use = driver::ArtifactUse::Sizes;
    parts.workingBytes = &working;
    Status status = driver::buildArtifact(*module, parts, {}, summary);
    if (!status.ok())
      return diagnostics.status(status.code(), status.message());
    check.compileBytes = driver::peakBytes() + working;
    const std::optional<driver::CalibrationText> &text =
        quantization->calibrationText();
    QOPT_RETURN_IF_ERROR(driver::describeServing(
        options.output, options,
        text && text->isOfGraph() ? text->samples.get() : nullptr, check));
    if (!forGpu()) // a GPU's are those of its kernels
      if (Status known = predict(); !known.ok())
        summary.warnings.push_back(known.message());
    for (const Status &missed : quantization->missedBudgets(check))
      driver::addProblems(missed, report, {}, check);
    return Status();
  }

  static DialectRegistry makeRegistry() {
    DialectRegistry registry;
    registerAllDialects(registry);
    codegen::registerHostCodegen(registry);
    codegen::registerCudaCodegen(registry);
    return registry;
  }

  Status scaleModel(const Progress &progress, const Notice &notice) {
    quantization.emplace(options, companions, notice);
    QOPT_RETURN_IF_ERROR(quantization->open(*module));
    return purpose == Purpose::Check ? Status()
                                     : quantization->scale(*module, progress);
  }

  /// What the stage quantize is to do, and what the result is measured on.
  Status chooseFormats(ModuleOp raised, const Progress &progress) {
    bool isMeasured =
        purpose == Purpose::Blame || driver::wantsValidation(options);
    if (isMeasured && summary.kind != ModelKind::Decoder) {
      auto samples = driver::readValidationSamples(
          raised, options, quantization->calibrationText());
      if (!samples.ok())
        return samples.status();
      if (purpose == Purpose::Blame)
        blameSamples = std::move(*samples);
      else
        validation.emplace(std::move(*samples), companions);
    } else if (isMeasured) {
      auto texts = driver::readValidationTexts(raised, options, companions,
                                               quantization->calibrationText());
      if (!texts.ok())
        return texts.status();
      if (purpose == Purpose::Blame)
        blameWindows = std::move(texts->windows);
      else
        validation.emplace(std::move(*texts), companions);
    }
    QOPT_RETURN_IF_ERROR(quantization->choose(raised, progress));
    return validation ? validation->prepare(raised, quantization->options())
                      : Status();
  }

  /// Whoever asks for codes of activations has linears that read them.
  Status checkActivations() {
    auto option = driver::parseActivationOption(options);
    if (!option.ok() || options.activations.empty() || !option->hasCodes())
      return option.status();
    WalkResult found =
        module->walk([](ir::QuantizeOp) { return WalkResult::interrupt(); });
    if (found.wasInterrupted())
      return Status();
    bool isGroup = option->format.granularity == quant::Granularity::Group;
    std::string name(quant::elementOf(option->format.element).name);
    return Status(StatusCode::InvalidArgument,
                  "--activations is \"" + options.activations +
                      "\", but no linear has a weight of " +
                      (isGroup ? "integers" : name + " with one scale a row") +
                      "; expected --weights " + name + " beside it");
  }

  void addScheduleStage(OpPassManager &manager) const {
    if (forGpu())
      passes::addCudaScheduleStage(manager, options.architectures);
    else if (followsGpu())
      passes::addOrderedScheduleStage(manager, options.sumOrder);
    else
      passes::addHostScheduleStage(manager);
  }

  /// Options of decoders, where the model became a graph.
  Status checkKind() const {
    if (summary.kind == ModelKind::Decoder)
      return Status();
    std::string given;
    if (options.context)
      given = "--context is " + std::to_string(options.context);
    else if (!options.cache.empty())
      given = "--kv is \"" + options.cache + "\"";
    else if (!options.cacheFormats.empty())
      given = "--kv-format is \"" + options.cacheFormats.front() + "\"";
    else if (!options.cacheCandidates.empty())
      given = "--kv-candidates is \"" + options.cacheCandidates.front() + "\"";
    else
      return Status();
    return diagnostics.status(
        StatusCode::InvalidArgument,
        given + ", but the model is compiled as a graph, which " + "has no " +
            (options.context ? "context" : "cache") + "; leave it out",
        whyNoDecoder(/*asked=*/true));
  }

  /// What RaiseDecoder said of a model that is all but a decoder, and of every
  /// model where a decoder was asked for.
  std::vector<std::string> whyNoDecoder(bool asked) const {
    std::vector<std::string> reasons;
    for (StringRef remark : summary.remarks)
      if (remark.contains("not a decoder: ") ||
          (asked && remark.contains("no decoder: ")))
        reasons.push_back(remark.str());
    return reasons;
  }

  /// Why something of a model is no layer, and why all of it is no decoder.
  std::vector<std::string> whyNotRaised() const {
    std::vector<std::string> reasons = whyNoDecoder(
        summary.kind != ModelKind::Decoder && options.kind != ModelKind::Graph);
    llvm::MapVector<StringRef, int64_t> layers; // most have the same reason
    for (StringRef remark : summary.remarks)
      if (remark.contains(" no rotary table: "))
        ++layers[remark.starts_with("node ") ? remark.split("): ").second
                                             : remark];
      else if (remark.contains("left to generated kernels"))
        reasons.push_back(remark.str());
    for (auto &[reason, count] : layers)
      reasons.push_back(std::to_string(count) + " x " + reason.str());
    return reasons;
  }

  bool forGpu() const { return options.target == TargetDevice::Cuda; }
  /// On the host, in the order of a GPU's sums.
  bool followsGpu() const { return !options.sumOrder.empty(); }

  void countLayers() {
    isRaised = true;
    module->walk([&](Operation *op) {
      bool raised = isa<ir::AttentionOp, ir::CachedAttentionOp>(op);
      summary.raisedLayers += raised;
      summary.layers += raised ||
                        op->getName().getStringRef() == "onnx.Softmax" ||
                        op->getName().getStringRef() == "onnx.Attention";
      if (op->hasAttr("qopt.decoder") || op->hasAttr("qopt.encoder"))
        summary.kind = ModelKind::Decoder;
    });
  }

  const CompileOptions &options;
  CompileSummary &summary;
  const Purpose purpose;
  const passes::Sources sources;
  const driver::EncoderFiles *const encoder;
  llvm::DefaultThreadPool threads; ///< of passes and generated kernels
  MLIRContext context;
  driver::DiagnosticCollector diagnostics;
  driver::Companions companions;
  std::optional<driver::Quantization> quantization; ///< from its stage on
  std::optional<driver::Validation> validation;     ///< where it is asked for
  TokenWindows blameWindows; ///< where layers are to be blamed
  std::optional<driver::ValidationSamples> blameSamples; ///< of a graph
  OwningOpRef<ModuleOp> module;
  import::ImportReport report; ///< of a check
  std::vector<MissedFusion> missed;
  bool isRaised = false;
  OwningOpRef<ModuleOp> raised; ///< the stage raise's, while it is needed
};

} // namespace

std::string defaultOutput(const std::string &model) {
  SmallString<256> path(model);
  bool isFolder = llvm::sys::fs::is_directory(path);
  if (isFolder) // "." and "a/.." have names too
    if (SmallString<256> real; !llvm::sys::fs::real_path(path, real))
      path = real;
  StringRef name =
      isFolder ? llvm::sys::path::filename(path) : llvm::sys::path::stem(path);
  if (name.empty() || name == "/")
    name = "model";
  return (name + ".qopt").str();
}

StatusOr<CompileSummary> compile(const CompileOptions &asked,
                                 const Progress &progress,
                                 const Notice &notice) {
  QOPT_RETURN_IF_ERROR(driver::checkOptions(asked));
  CompileOptions options = asked;
  if (options.output.empty())
    options.output = defaultOutput(options.model);
  auto parts = import::locateParts(options.model);
  if (!parts.ok())
    return parts.status();
  if (!parts->empty())
    return driver::compileParts(*parts, options, progress, notice);
  CompileSummary summary;
  summary.output = options.output;
  Compilation compilation(options, summary);
  QOPT_RETURN_IF_ERROR(compilation.run(Stage::Kernels, progress, notice));
  QOPT_RETURN_IF_ERROR(compilation.write(progress));
  return summary;
}

StatusOr<CompileSummary>
driver::compileWithEncoder(const import::ModelPart &step,
                           const EncoderFiles &encoder,
                           const CompileOptions &options,
                           const Progress &progress, const Notice &notice) {
  CompileOptions own = options, sources = options;
  own.model = step.path;
  own.inputs = step.fixedInputs;
  sources.model = encoder.encoder.path;
  sources.context = 0;
  CompileSummary summary, made;
  summary.output = options.output;
  Compilation decoder(own, summary, Compilation::Purpose::Model,
                      passes::Sources::Encoded);
  PartFormats formats;
  decoder.whenRaised = [&](ModuleOp module) { formats.keepOwn(module, own); };
  QOPT_RETURN_IF_ERROR(decoder.run(Stage::Kernels, progress, notice));
  if (summary.kind != ModelKind::Decoder)
    return summary;
  Compilation encoding(sources, made, Compilation::Purpose::Model,
                       passes::Sources::Encoded, &encoder);
  encoding.whenRaised = [&](ModuleOp module) {
    formats.keepOwn(module, sources);
  };
  Status encoded = encoding.run(Stage::Kernels, progress, notice);
  QOPT_RETURN_IF_ERROR(formats.checkKept(options));
  if (!encoded.ok())
    return Status(encoded.code(), "encode: " + encoded.message());
  own.formats = options.formats; // as they were given, for the record
  own.activationFormats = options.activationFormats;
  QOPT_RETURN_IF_ERROR(decoder.write(progress, &encoding));
  summary.layers += made.layers;
  summary.raisedLayers += made.raisedLayers;
  for (auto from : {&CompileSummary::remarks, &CompileSummary::warnings})
    for (const std::string &text : made.*from)
      (summary.*from).push_back("encode: " + text);
  return summary;
}

StatusOr<CheckSummary> check(const CompileOptions &asked) {
  CompileOptions options = asked;
  QOPT_RETURN_IF_ERROR(driver::checkStepOptions(asked));
  QOPT_RETURN_IF_ERROR(driver::refuseParts(asked.model, "--check"));
  codegen::TemporaryFolder folder("qopt-check");
  QOPT_RETURN_IF_ERROR(folder.made());
  options.output = folder.file("model.qopt");
  CheckSummary summary;
  Compilation compilation(options, summary.compilation,
                          Compilation::Purpose::Check);
  compilation.check(compilation.run(Stage::Kernels), summary);
  summary.unchecked = driver::uncheckedOptions(options);
  summary.compilation.output.clear();
  return summary;
}

StatusOr<BlameSummary> blame(const CompileOptions &options,
                             const Progress &progress, const Notice &notice) {
  QOPT_RETURN_IF_ERROR(driver::checkOptions(options));
  QOPT_RETURN_IF_ERROR(driver::refuseParts(options.model, "--blame"));
  QOPT_RETURN_IF_ERROR(driver::checkBlameOptions(options));
  CompileSummary summary;
  Compilation compilation(options, summary, Compilation::Purpose::Blame);
  QOPT_RETURN_IF_ERROR(compilation.run(Stage::Quantized, progress, notice));
  return compilation.blame(progress);
}

StatusOr<std::string> emitStage(const CompileOptions &options, Stage stage,
                                CompileSummary *result) {
  QOPT_RETURN_IF_ERROR(driver::checkOptions(options));
  QOPT_RETURN_IF_ERROR(driver::checkStage(options, stage));
  QOPT_RETURN_IF_ERROR(driver::refuseParts(options.model, "--emit"));
  CompileSummary summary;
  Compilation compilation(options, summary);
  QOPT_RETURN_IF_ERROR(compilation.run(stage));
  StatusOr<std::string> text = stage > Stage::Kernels
                                   ? compilation.emitCode(stage)
                                   : compilation.print();
  if (result)
    *result = std::move(summary);
  return text;
}

StatusOr<CompileSummary> describeKernels(const CompileOptions &options) {
  QOPT_RETURN_IF_ERROR(driver::checkOptions(options));
  QOPT_RETURN_IF_ERROR(driver::refuseParts(options.model, "--emit"));
  if (options.target != TargetDevice::Cuda)
    return Status(StatusCode::InvalidArgument,
                  "kernels are described for the target cuda");
  CompileSummary summary;
  Compilation compilation(options, summary);
  QOPT_RETURN_IF_ERROR(compilation.run(Stage::Kernels));
  QOPT_RETURN_IF_ERROR(compilation.emitCode(Stage::Kernels).status());
  return summary;
}

StatusOr<std::vector<StepSummary>> predictSteps(const CompileOptions &options) {
  QOPT_RETURN_IF_ERROR(driver::checkStepOptions(options));
  QOPT_RETURN_IF_ERROR(driver::refuseParts(options.model, "a prediction"));
  CompileSummary summary;
  Compilation compilation(options, summary);
  QOPT_RETURN_IF_ERROR(compilation.run(Stage::Kernels));
  QOPT_RETURN_IF_ERROR(compilation.predict());
  return std::move(summary.steps);
}

} // namespace qopt
