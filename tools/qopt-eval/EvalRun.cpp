// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tools/qopt-eval/EvalRun.h"

#include "tools/cli/ModelFiles.h"
#include "tools/cli/Progress.h"
#include "tools/qopt-eval/ReadWindows.h"
#include "tools/qopt-eval/SavedLogits.h"

#include <algorithm>
#include <tuple>

namespace qopt::eval {

static StatusOr<std::unique_ptr<Engine>>
openEngine(const std::string &path, const std::string &device,
           const EvalOptions &options) {
  StatusOr<std::shared_ptr<const Artifact>> artifact =
      cli::openArtifact(path, {options.trust}, device);
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
static StatusOr<Evaluation> evaluateWindows(Engine &engine,
                                            Engine *referenceEngine,
                                            const TokenWindows &windows,
                                            const EvalOptions &options) {
  int64_t vocabulary = engine.artifact().decoder().vocabulary;
  EvaluationInputs inputs{windows};
  inputs.threads = options.threads;
  inputs.chunk = options.chunk;
  inputs.floorChunk = options.floorChunk;
  inputs.seed = options.seed;
  std::unique_ptr<ReferenceLogits> reference;
  if (referenceEngine) {
    reference = std::make_unique<EngineLogits>(*referenceEngine, windows);
  } else if (options.savedReference()) {
    auto opened = SavedLogits::open(options.reference, windows, vocabulary);
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
    inputs.logits = [&](std::span<const float> rows) {
      return logits->append(
          {reinterpret_cast<const uint8_t *>(rows.data()), rows.size_bytes()});
    };
  }
  cli::Progress progress;
  inputs.progress = [&](int64_t window) {
    std::string of = " of " + std::to_string(windows.count());
    progress.show("window " + std::to_string(window + 1) + of,
                  double(window) / double(windows.count()));
  };
  StatusOr<Evaluation> evaluation = evaluate(engine, inputs);
  if (evaluation.ok() && logits)
    QOPT_RETURN_IF_ERROR(logits->finish());
  return evaluation;
}

static Status askQuestions(Run &run) {
  const EvalOptions &options = run.options;
  const Artifact &artifact = run.engine->artifact();
  StatusOr<std::vector<Question>> questions =
      readQuestions(options.choices, artifact, [&] {
        return needTokenizer(artifact, options,
                             "--choices with lists of token ids");
      });
  if (!questions.ok())
    return questions.status();
  std::vector<size_t> chosen[3];
  auto ask = [&](Engine *engine, int64_t chunk,
                 std::vector<size_t> &side) -> Status {
    StatusOr<std::vector<size_t>> answers = choose(*engine, chunk, *questions);
    if (answers.ok())
      side = std::move(*answers);
    return answers.status();
  };
  auto &[model, reference, again] = chosen;
  QOPT_RETURN_IF_ERROR(ask(run.engine.get(), options.chunk, model));
  if (run.reference)
    QOPT_RETURN_IF_ERROR(ask(run.reference.get(), 0, reference));
  if (options.floorChunk)
    QOPT_RETURN_IF_ERROR(ask(run.engine.get(), options.floorChunk, again));
  run.choices = countChoices(*questions, model, reference, again, options.seed);
  return {};
}

static Status hideNeedles(Run &run) {
  const EvalOptions &options = run.options;
  StatusOr<std::vector<RetrievalDepth>> depths =
      retrieve(*run.engine, {run.windows, run.reference.get(), options.chunk,
                             options.floorChunk, options.seed});
  if (depths.ok())
    run.retrieval = std::move(*depths);
  return depths.status();
}

/// The model and the artifacts of --sweep, one in memory at a time.
static Status sweepModels(Run &run) {
  EvalOptions options = run.options;
  options.saveLogits.clear();
  options.floorChunk = 0;
  int64_t vocabulary = run.engine->artifact().decoder().vocabulary;
  auto add = [&](const Artifact &artifact, const Evaluation &evaluation) {
    run.sweep.push_back({artifact.path(), bitsPerWeight(artifact),
                         artifact.bytes(), evaluation.all.figures});
  };
  add(run.engine->artifact(), *run.evaluation);
  for (const std::string &path : options.sweep) {
    StatusOr<std::unique_ptr<Engine>> engine =
        openEngine(path, options.device, options);
    if (!engine.ok())
      return engine.status();
    const Artifact &artifact = (*engine)->artifact();
    if (int64_t theirs = artifact.decoder().vocabulary; theirs != vocabulary)
      return {StatusCode::InvalidArgument,
              "--sweep: '" + path + "' has a vocabulary of " +
                  std::to_string(theirs) + ", the model one of " +
                  std::to_string(vocabulary)};
    StatusOr<Evaluation> evaluation =
        evaluateWindows(**engine, run.reference.get(), run.windows, options);
    if (!evaluation.ok())
      return evaluation.status();
    add(artifact, *evaluation);
  }
  std::sort(run.sweep.begin(), run.sweep.end(),
            [](const SweepPoint &a, const SweepPoint &b) {
              return std::tie(a.bits, a.model) < std::tie(b.bits, b.model);
            });
  return {};
}

static Status measure(Run &run) {
  const EvalOptions &options = run.options;
  if (options.hasText()) {
    StatusOr<TokenWindows> windows =
        readWindows(run.engine->artifact(), options);
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
    StatusOr<Evaluation> evaluation =
        evaluateWindows(*run.engine, run.reference.get(), run.windows, options);
    if (!evaluation.ok())
      return evaluation.status();
    run.evaluation = std::move(*evaluation);
  }
  if (!options.sweep.empty())
    QOPT_RETURN_IF_ERROR(sweepModels(run));
  if (options.compareTensors) {
    StatusOr<ValueErrors> errors =
        compareValues(*run.engine, *run.reference, run.windows);
    if (!errors.ok())
      return errors.status();
    run.tensors = std::move(*errors);
  }
  if (options.retrieval)
    QOPT_RETURN_IF_ERROR(hideNeedles(run));
  if (!options.choices.empty())
    QOPT_RETURN_IF_ERROR(askQuestions(run));
  return {};
}

StatusOr<Run> runEvaluation(const EvalOptions &options) {
  StatusOr<std::unique_ptr<Engine>> engine =
      openEngine(options.model, options.device, options);
  if (!engine.ok())
    return engine.status();
  Run run{options, std::move(*engine), nullptr, {}, {}, {}, {}, {}, {}};
  if (Status status = measure(run); !status.ok())
    return status;
  return run;
}

} // namespace qopt::eval
