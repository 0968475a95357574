// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/Validation.h"
#include "lib/Codegen/TemporaryFolder.h"
#include "lib/Driver/ActivationOption.h"
#include "lib/Driver/HostFunction.h"
#include "lib/Driver/StageOptions.h"
#include "lib/Evaluate/QualityGates.h"
#include "mlir/Pass/PassManager.h"
#include "passes/Pipelines.h"
#include "qopt/Engine.h"

using namespace mlir;

namespace qopt::driver {

static StatusOr<OwningOpRef<ModuleOp>>
quantized(ModuleOp raised, const passes::AskedFormats &formats) {
  OwningOpRef<ModuleOp> module = raised.clone();
  PassManager manager(raised.getContext());
  passes::addQuantizeStage(manager, formats);
  if (failed(manager.run(*module)))
    return Status(StatusCode::Unsupported,
                  "the model could not be made for the host, which measures");
  return module;
}

/// As the file has it, computed in f32.
static passes::AskedFormats unquantizedFormats() {
  CompileOptions options;
  options.activations = options.cache = "f32";
  passes::AskedFormats formats = askedFormats(options);
  formats.type = formats.widest = "f32";
  return formats;
}

static CompileOptions onHost(CompileOptions options) {
  options.activations = hostActivations(options);
  options.target = TargetDevice::Host;
  options.strict = false;
  return options;
}

Status Validation::prepare(ModuleOp raised, const CompileOptions &chosen) {
  options = chosen;
  auto unquantized = quantized(raised, unquantizedFormats());
  if (!unquantized.ok())
    return unquantized.status();
  reference = std::move(*unquantized);
  if (options.target == TargetDevice::Host)
    return Status();
  auto same = quantized(raised, askedFormats(onHost(options)));
  if (!same.ok())
    return same.status();
  standIn = std::move(*same);
  return Status();
}

static StatusOr<std::unique_ptr<Engine>>
openEngine(const std::string &path, const CompileOptions &options) {
  auto artifact = Artifact::open(path, OpenOptions{.trust = true});
  if (!artifact.ok())
    return artifact.status();
  EngineOptions engine;
  engine.threads = int(options.threads);
  engine.maxSequences = 1;
  return Engine::create(*artifact, engine);
}

/// The engine of a module that the stage quantize has left.
static StatusOr<std::unique_ptr<Engine>>
engineOf(ModuleOp module, const CompileOptions &options,
         const Companions &companions) {
  codegen::TemporaryFolder folder("qopt-validate");
  QOPT_RETURN_IF_ERROR(folder.made());
  CompileOptions own = onHost(options);
  own.output = folder.file("model.qopt");
  QOPT_RETURN_IF_ERROR(buildForHost(module, {own, companions}));
  // Written by this process a moment ago; a mapped file stays readable.
  return openEngine(own.output, options);
}

static std::string deviceOf(const CompileOptions &options) {
  if (options.target == TargetDevice::Host)
    return "the host";
  return "the host, for the GPU's artifact: the same codes of weights, "
         "activations in " +
         onHost(options).activations +
         " and formats of the cache; sums are in the host's order";
}

StatusOr<ValidationSummary> Validation::measure(const std::string &path,
                                                const Progress &progress) {
  auto model = standIn ? engineOf(*standIn, options, companions)
                       : openEngine(path, options);
  if (!model.ok())
    return model.status();
  auto unquantized = engineOf(*reference, options, companions);
  if (!unquantized.ok())
    return unquantized.status();
  ValidationSummary found;
  found.device = deviceOf(options);
  found.texts = inputs.texts;
  eval::EngineLogits logits(**unquantized, inputs.windows);
  eval::EvaluationInputs evaluated{inputs.windows};
  evaluated.reference = &logits;
  evaluated.threads = int(options.threads);
  evaluated.seed = found.seed;
  if (progress)
    evaluated.progress = [&](int64_t window) {
      progress("measuring", double(window) / double(inputs.windows.count()));
    };
  auto evaluation = eval::evaluate(**model, evaluated);
  if (!evaluation.ok())
    return evaluation.status();
  found.slices = eval::summarizeSlices(*evaluation);
  found.gates =
      eval::applyLimits({options.mostDivergence, options.mostPerplexityIncrease,
                         options.leastSameTop},
                        found.slices);
  return found;
}

Status checkGates(const ValidationSummary &found,
                  const CompileOptions &options) {
  if (found.isMet())
    return Status();
  int64_t missed = llvm::count_if(
      found.gates, [](const GateSummary &gate) { return !gate.isMet(); });
  std::string what = std::to_string(missed) + " of " +
                     std::to_string(found.gates.size()) +
                     " limits of quality are missed; ";
  what += options.keep ? "\"" + options.output + "\" is written all the same"
                       : "nothing is written (--keep writes all the same)";
  return Status(StatusCode::GateFailed,
                what + "\n" + StringRef(eval::spellTable(found)).rtrim().str());
}

} // namespace qopt::driver
