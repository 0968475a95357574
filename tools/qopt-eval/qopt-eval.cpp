// qopt-eval: how well a decoder artifact predicts text, and how close it is to
// a reference.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tools/cli/ModelFiles.h"
#include "tools/qopt-eval/DescribeEvaluation.h"
#include "tools/qopt-eval/PrintEvaluation.h"
#include "tools/qopt-eval/ReadWindows.h"

#include <cmath>
#include <cstdio>

using namespace qopt;
using eval::EvalOptions;
using Json = nlohmann::ordered_json;

static Status checkGates(const eval::Figures &figures,
                         const EvalOptions &options) {
  auto fail = [](const char *what, double got, const char *limit, double want) {
    char text[160];
    std::snprintf(text, sizeof text, "%s %.6g is %s %.6g", what, got, limit,
                  want);
    return Status(StatusCode::GateFailed, text);
  };
  double perplexity = std::exp(figures.model.nll.value);
  if (options.mostPerplexity && !(perplexity <= *options.mostPerplexity))
    return fail("perplexity", perplexity, "above the limit",
                *options.mostPerplexity);
  if (!figures.agreement)
    return {};
  double divergence = figures.agreement->divergence.value;
  if (options.mostDivergence && !(divergence <= *options.mostDivergence))
    return fail("mean KL", divergence, "above the limit",
                *options.mostDivergence);
  double same = 100 * figures.agreement->sameTop.value;
  if (options.leastSameTop && !(same >= *options.leastSameTop))
    return fail("same-top-1 percentage", same, "below the limit",
                *options.leastSameTop);
  return {};
}

static Status writeReport(const std::string &path, const std::string &text) {
  if (path.empty())
    return {};
  StatusOr<std::unique_ptr<io::FileWriter>> file = io::FileWriter::create(path);
  if (!file.ok())
    return file.status();
  QOPT_RETURN_IF_ERROR((*file)->append(text));
  return (*file)->finish();
}

static StatusOr<std::unique_ptr<Engine>>
openEngine(const std::string &path, const std::string &device,
           const EvalOptions &options) {
  StatusOr<std::shared_ptr<const Artifact>> artifact =
      cli::openArtifact(path, {options.trust});
  if (!artifact.ok())
    return artifact.status();
  EngineOptions engineOptions;
  engineOptions.threads = options.threads;
  engineOptions.device = device;
  engineOptions.maxSequences = 1;
  return Engine::create(*artifact, engineOptions);
}

/// The engine of the reference; null where it is no artifact.
static StatusOr<std::unique_ptr<Engine>>
openReference(const EvalOptions &options, int64_t vocabulary) {
  if (options.reference.empty() || options.savedReference())
    return std::unique_ptr<Engine>();
  StatusOr<std::unique_ptr<Engine>> engine =
      openEngine(options.reference, "", options);
  if (!engine.ok())
    return engine;
  int64_t theirs = (*engine)->artifact().decoder().vocabulary;
  if (theirs != vocabulary)
    return Status(StatusCode::InvalidArgument,
                  "the reference '" + options.reference +
                      "' has a vocabulary of " + std::to_string(theirs) +
                      ", the model one of " + std::to_string(vocabulary));
  return engine;
}

/// Runs the model, and what it is compared with, over all windows; the logits
/// go to the file that is asked for.
static StatusOr<eval::Evaluation>
evaluateWindows(Engine &engine, Engine *referenceEngine,
                const eval::TokenWindows &windows, const EvalOptions &options) {
  int64_t vocabulary = engine.artifact().decoder().vocabulary;
  eval::EvaluationInputs inputs{windows};
  inputs.threads = options.threads;
  inputs.chunk = options.chunk;
  inputs.seed = options.seed;
  std::unique_ptr<eval::ReferenceLogits> reference;
  if (referenceEngine) {
    reference =
        std::make_unique<eval::ReferenceLogits>(*referenceEngine, windows);
  } else if (options.savedReference()) {
    auto opened =
        eval::ReferenceLogits::open(options.reference, windows, vocabulary);
    if (!opened.ok())
      return opened.status();
    reference = std::move(*opened);
  }
  inputs.reference = reference.get();
  std::unique_ptr<io::NpyWriter> logits;
  if (!options.saveLogits.empty()) {
    auto created =
        io::NpyWriter::create(options.saveLogits, DType::F32,
                              {windows.count(), windows.length(), vocabulary});
    if (!created.ok())
      return created.status();
    logits = std::move(*created);
    inputs.logits = logits.get();
  }
  StatusOr<eval::Evaluation> evaluation = eval::evaluate(engine, inputs);
  if (evaluation.ok() && logits)
    QOPT_RETURN_IF_ERROR(logits->finish());
  return evaluation;
}

static Status work(const EvalOptions &options) {
  QOPT_RETURN_IF_ERROR(eval::checkOptions(options));
  StatusOr<std::unique_ptr<Engine>> engine =
      openEngine(options.model, options.device, options);
  if (!engine.ok())
    return engine.status();
  const Artifact &artifact = (*engine)->artifact();
  StatusOr<eval::TokenWindows> windows = eval::readWindows(artifact, options);
  if (!windows.ok())
    return windows.status();
  StatusOr<std::unique_ptr<Engine>> reference =
      openReference(options, artifact.decoder().vocabulary);
  if (!reference.ok())
    return reference.status();
  StatusOr<eval::Evaluation> evaluation =
      evaluateWindows(**engine, reference->get(), *windows, options);
  if (!evaluation.ok())
    return evaluation.status();
  Json json = {
      {"tool", "qopt-eval"}, {"model", options.model}, {"seed", options.seed}};
  eval::describe(*evaluation, *windows, json);
  if (!options.reference.empty())
    json["reference"]["model"] = options.reference;
  QOPT_RETURN_IF_ERROR(writeReport(options.report, json.dump(1) + "\n"));
  if (options.json)
    QOPT_RETURN_IF_ERROR(cli::printJson(json));
  else
    eval::print(*evaluation, *windows);
  QOPT_RETURN_IF_ERROR(cli::flushOutput());
  return checkGates(evaluation->all.figures, options);
}

int main(int argc, char **argv) {
  CLI::App app("Measures how well a decoder artifact predicts text, and how "
               "close it is to a reference.\n",
               "qopt-eval");
  EvalOptions options;
  eval::addOptions(app, options);
  cli::addExamples(
      app, {"qopt-eval model.qopt --text valid.txt",
            "qopt-eval model.qopt --text valid.txt --window 128 --windows 4 "
            "--save-logits saved.npy",
            "qopt-eval model.qopt --tokens tokens.npy --reference logits.npy",
            "qopt-eval model.qopt --text valid.txt --reference other.qopt "
            "--max-kl 20 --json",
            "qopt-eval model.qopt --text tales=valid.txt --text "
            "prompts=prompt.txt --window 4"});
  return cli::run(app, argc, argv, [&] { return work(options); });
}
