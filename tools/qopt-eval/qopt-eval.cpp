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
  inputs.floorChunk = options.floorChunk;
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

namespace {

/// The models, and what was found so far.
struct Run {
  const EvalOptions &options;
  std::unique_ptr<Engine> engine, reference; ///< the latter may be null
  eval::TokenWindows windows;
  std::optional<eval::Evaluation> evaluation;
  std::optional<eval::ChoiceFigures> choices;
  std::vector<eval::RetrievalDepth> retrieval; ///< empty: not asked for
};

} // namespace

static Status askQuestions(Run &run) {
  const EvalOptions &options = run.options;
  const Artifact &artifact = run.engine->artifact();
  StatusOr<std::vector<eval::Question>> questions =
      eval::readQuestions(options.choices, artifact, [&] {
        return eval::needTokenizer(artifact, options,
                                   "--choices with lists of token ids");
      });
  if (!questions.ok())
    return questions.status();
  std::vector<size_t> chosen[3];
  auto ask = [&](Engine *engine, int64_t chunk,
                 std::vector<size_t> &side) -> Status {
    StatusOr<std::vector<size_t>> answers =
        eval::choose(*engine, chunk, *questions);
    if (answers.ok())
      side = std::move(*answers);
    return answers.status();
  };
  auto &[model, reference, again] = chosen;
  QOPT_RETURN_IF_ERROR(ask(run.engine.get(), options.chunk, model));
  if (run.reference)
    QOPT_RETURN_IF_ERROR(ask(run.reference.get(), options.chunk, reference));
  if (options.floorChunk)
    QOPT_RETURN_IF_ERROR(ask(run.engine.get(), options.floorChunk, again));
  run.choices =
      eval::countChoices(*questions, model, reference, again, options.seed);
  return {};
}

static Status hideNeedles(Run &run) {
  const EvalOptions &options = run.options;
  StatusOr<std::vector<eval::RetrievalDepth>> depths = eval::retrieve(
      *run.engine, {run.windows, run.reference.get(), options.chunk,
                    options.floorChunk, options.seed});
  if (depths.ok())
    run.retrieval = std::move(*depths);
  return depths.status();
}

static Json describeRun(const Run &run) {
  const EvalOptions &options = run.options;
  Json json = {
      {"tool", "qopt-eval"}, {"model", options.model}, {"seed", options.seed}};
  if (options.floorChunk)
    json["floor_chunk"] = options.floorChunk;
  if (run.evaluation)
    eval::describe(*run.evaluation, run.windows, json);
  if (!options.reference.empty())
    json["reference"]["model"] = options.reference;
  if (run.choices)
    eval::describe(*run.choices, json);
  if (!run.retrieval.empty())
    eval::describe(run.retrieval, json);
  return json;
}

static Status printRun(const Run &run, const Json &json) {
  if (run.options.json) {
    QOPT_RETURN_IF_ERROR(cli::printJson(json));
  } else {
    if (run.evaluation)
      eval::print(*run.evaluation, run.windows);
    if (run.choices)
      eval::print(*run.choices);
    if (!run.retrieval.empty())
      eval::print(run.retrieval);
  }
  return cli::flushOutput();
}

static Status measureRun(Run &run) {
  const EvalOptions &options = run.options;
  if (options.hasText()) {
    StatusOr<eval::TokenWindows> windows =
        eval::readWindows(run.engine->artifact(), options);
    if (!windows.ok())
      return windows.status();
    run.windows = std::move(*windows);
  }
  StatusOr<std::unique_ptr<Engine>> reference =
      openReference(options, run.engine->artifact().decoder().vocabulary);
  if (!reference.ok())
    return reference.status();
  run.reference = std::move(*reference);
  if (options.hasText()) {
    StatusOr<eval::Evaluation> evaluation =
        evaluateWindows(*run.engine, run.reference.get(), run.windows, options);
    if (!evaluation.ok())
      return evaluation.status();
    run.evaluation = std::move(*evaluation);
  }
  if (options.retrieval)
    QOPT_RETURN_IF_ERROR(hideNeedles(run));
  if (!options.choices.empty())
    QOPT_RETURN_IF_ERROR(askQuestions(run));
  return {};
}

static Status work(const EvalOptions &options) {
  QOPT_RETURN_IF_ERROR(eval::checkOptions(options));
  StatusOr<std::unique_ptr<Engine>> engine =
      openEngine(options.model, options.device, options);
  if (!engine.ok())
    return engine.status();
  Run run{options, std::move(*engine), nullptr, {}, {}, {}, {}};
  QOPT_RETURN_IF_ERROR(measureRun(run));
  Json json = describeRun(run);
  QOPT_RETURN_IF_ERROR(writeReport(options.report, json.dump(1) + "\n"));
  QOPT_RETURN_IF_ERROR(printRun(run, json));
  return run.evaluation ? checkGates(run.evaluation->all.figures, options)
                        : Status();
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
            "prompts=prompt.txt --window 4",
            "qopt-eval model.qopt --choices choices.jsonl --reference "
            "other.qopt --floor-chunk 1",
            "qopt-eval model.qopt --text valid.txt --window 64 --retrieval "
            "--reference other.qopt"});
  return cli::run(app, argc, argv, [&] { return work(options); });
}
