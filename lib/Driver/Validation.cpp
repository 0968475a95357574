// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/Validation.h"
#include "lib/Driver/HostModels.h"
#include "lib/Driver/StageOptions.h"
#include "lib/Evaluate/QualityGates.h"
#include "qopt/Engine.h"

using namespace mlir;

namespace qopt::driver {

Status Validation::prepare(ModuleOp raised, const CompileOptions &chosen) {
  options = chosen;
  auto unquantized = quantizedModel(raised, unquantizedFormats());
  if (!unquantized.ok())
    return unquantized.status();
  reference = std::move(*unquantized);
  if (options.target == TargetDevice::Host)
    return Status();
  auto same = quantizedModel(raised, askedFormats(onHost(options)));
  if (!same.ok())
    return same.status();
  standIn = std::move(*same);
  return Status();
}

static eval::QualityLimits limitsOf(const CompileOptions &options) {
  return {options.mostDivergence, options.mostPerplexityIncrease,
          options.leastSameTop, options.mostError};
}

StatusOr<ValidationSummary> Validation::measureGraph(const std::string &path,
                                                     const Progress &progress) {
  auto model = standIn ? sessionOf(*standIn, options, companions)
                       : openSession(path, options);
  if (!model.ok())
    return model.status();
  auto unquantized = sessionOf(*reference, options, companions);
  if (!unquantized.ok())
    return unquantized.status();
  ValidationSummary found;
  found.device = measuredOn(options);
  found.texts = samples->texts;
  eval::GraphInputs evaluated;
  evaluated.samples = samples->count();
  evaluated.files = samples->files;
  evaluated.model = samples->run(**model);
  evaluated.reference = samples->run(**unquantized);
  evaluated.seed = found.seed;
  if (progress)
    evaluated.progress = [&](int64_t sample) {
      progress("measuring", double(sample) / double(samples->count()));
    };
  auto evaluation = eval::evaluate(evaluated);
  if (!evaluation.ok())
    return evaluation.status();
  found.outputs = eval::summarizeOutputs(*evaluation);
  found.gates = eval::applyLimits(limitsOf(options), found.outputs);
  return found;
}

StatusOr<ValidationSummary> Validation::measure(const std::string &path,
                                                const Progress &progress) {
  if (samples)
    return measureGraph(path, progress);
  auto model = standIn ? engineOf(*standIn, options, companions)
                       : openEngine(path, options);
  if (!model.ok())
    return model.status();
  auto unquantized = engineOf(*reference, options, companions);
  if (!unquantized.ok())
    return unquantized.status();
  ValidationSummary found;
  found.device = measuredOn(options);
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
  found.gates = eval::applyLimits(limitsOf(options), found.slices);
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
