// qopt-eval: how well a decoder artifact predicts text, and how close it is to
// a reference.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tools/cli/CommandLine.h"
#include "tools/cli/ModelFiles.h"
#include "tools/cli/OutputFiles.h"
#include "tools/qopt-eval/PrintEvaluation.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

using namespace qopt;
using Json = nlohmann::ordered_json;

namespace {

struct EvalOptions {
  std::string device;
  std::string model, text, tokens, tokenizer, reference, saveLogits, report;
  std::optional<int64_t> window;
  int64_t windows = 0, chunk = 0;
  int threads = 0;
  uint64_t seed = 0;
  bool beginEach = false, trust = false, json = false;
  std::optional<double> mostPerplexity, mostDivergence, leastSameTop;
};

} // namespace

/// Tokens of the text; with `beginEach` room is left for the begin token.
static StatusOr<eval::TokenWindows> windowsOfText(const Artifact &artifact,
                                                  const EvalOptions &options,
                                                  int64_t length) {
  StatusOr<std::optional<Tokenizer>> tokenizer =
      cli::openTokenizer(artifact, options.tokenizer);
  if (!tokenizer.ok())
    return tokenizer.status();
  if (!*tokenizer)
    return Status(StatusCode::InvalidArgument,
                  "artifact '" + artifact.path() +
                      "' has no tokenizer; give --tokenizer tokenizer.json, "
                      "or the text as --tokens");
  StatusOr<std::string> text = io::readTextOrPipe(options.text);
  if (!text.ok())
    return text.status();
  StatusOr<std::vector<int32_t>> tokens =
      (*tokenizer)
          ->encodeWhole(*text, options.beginEach ? SpecialTokens::Exclude
                                                 : SpecialTokens::Include);
  if (!tokens.ok())
    return tokens.status();
  if (!options.beginEach)
    return eval::TokenWindows::cut(std::move(*tokens), length, options.text);
  int32_t begin = artifact.decoder().beginToken;
  if (begin < 0)
    return Status(StatusCode::InvalidArgument,
                  "--begin-each: the model has no begin token");
  std::vector<int32_t> begun;
  for (size_t i = 0; i < tokens->size(); ++i) {
    if (int64_t(begun.size()) % length == 0)
      begun.push_back(begin);
    begun.push_back((*tokens)[i]);
  }
  return eval::TokenWindows::cut(std::move(begun), length, options.text);
}

static StatusOr<eval::TokenWindows> readWindows(const Artifact &artifact,
                                                const EvalOptions &options) {
  int64_t context = artifact.decoder().context;
  int64_t length = std::clamp<int64_t>(context, 2, 512); // 1 predicts nothing
  StatusOr<eval::TokenWindows> windows =
      options.text.empty()
          ? eval::TokenWindows::read(options.tokens, length, options.window)
          : windowsOfText(artifact, options, options.window.value_or(length));
  if (!windows.ok())
    return windows.status();
  if (windows->length() > context)
    return Status(StatusCode::Infeasible,
                  "windows of " + std::to_string(windows->length()) +
                      " tokens are longer than the model's context of " +
                      std::to_string(context));
  if (options.windows)
    windows->keepFirst(options.windows);
  if (Status status = windows->check(artifact.decoder().vocabulary);
      !status.ok())
    return status;
  return windows;
}

static Status checkGates(const eval::Evaluation &evaluation,
                         const EvalOptions &options) {
  auto fail = [](const char *what, double got, const char *limit, double want) {
    char text[160];
    std::snprintf(text, sizeof text, "%s %.6g is %s %.6g", what, got, limit,
                  want);
    return Status(StatusCode::GateFailed, text);
  };
  double perplexity = std::exp(evaluation.model.nll.mean);
  if (options.mostPerplexity && !(perplexity <= *options.mostPerplexity))
    return fail("perplexity", perplexity, "above the limit",
                *options.mostPerplexity);
  if (!evaluation.agreement)
    return {};
  double divergence = evaluation.agreement->divergence.mean;
  if (options.mostDivergence && !(divergence <= *options.mostDivergence))
    return fail("mean KL", divergence, "above the limit",
                *options.mostDivergence);
  double same = 100 * evaluation.agreement->sameTop.mean;
  if (options.leastSameTop && !(same >= *options.leastSameTop))
    return fail("same-top-1 percentage", same, "below the limit",
                *options.leastSameTop);
  return {};
}

static Status writeReport(const std::string &path, const Json &json) {
  StatusOr<std::unique_ptr<io::FileWriter>> file = io::FileWriter::create(path);
  if (!file.ok())
    return file.status();
  QOPT_RETURN_IF_ERROR((*file)->append(json.dump(1) + "\n"));
  return (*file)->finish();
}

/// What is asked for that can be told before anything is opened.
static Status checkOptions(const EvalOptions &options) {
  if (options.text.empty() == options.tokens.empty())
    return {StatusCode::InvalidArgument,
            "give what to evaluate on: --text or --tokens"};
  std::vector<std::string> read = {options.model, options.text, options.tokens,
                                   options.tokenizer, options.reference};
  QOPT_RETURN_IF_ERROR(cli::checkOutput("--save-logits", options.saveLogits,
                                        cli::OutputKind::Npy, read));
  QOPT_RETURN_IF_ERROR(cli::checkOutputsDiffer(
      "--save-logits", options.saveLogits, "--report", options.report));
  return cli::checkOutput("--report", options.report,
                          cli::OutputKind::EvalReport, read);
}

/// Runs the model, and what it is compared with, over all windows; the logits
/// go to the file that is asked for.
static StatusOr<eval::Evaluation>
evaluateWindows(Engine &engine, const eval::TokenWindows &windows,
                const EvalOptions &options) {
  int64_t vocabulary = engine.artifact().decoder().vocabulary;
  eval::EvaluationInputs inputs{windows};
  inputs.threads = options.threads;
  inputs.chunk = options.chunk;
  inputs.seed = options.seed;
  std::unique_ptr<eval::ReferenceLogits> reference;
  if (!options.reference.empty()) {
    auto opened = eval::ReferenceLogits::open(
        options.reference, windows, vocabulary, options.threads, options.trust);
    if (!opened.ok())
      return opened.status();
    reference = std::move(*opened);
    inputs.reference = reference.get();
  }
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
  QOPT_RETURN_IF_ERROR(checkOptions(options));
  StatusOr<std::shared_ptr<const Artifact>> artifact =
      cli::openArtifact(options.model, {options.trust});
  if (!artifact.ok())
    return artifact.status();
  EngineOptions engineOptions;
  engineOptions.threads = options.threads;
  engineOptions.device = options.device;
  engineOptions.maxSequences = 1;
  StatusOr<std::unique_ptr<Engine>> engine =
      Engine::create(*artifact, engineOptions);
  if (!engine.ok())
    return engine.status();
  StatusOr<eval::TokenWindows> windows = readWindows(**artifact, options);
  if (!windows.ok())
    return windows.status();
  StatusOr<eval::Evaluation> evaluation =
      evaluateWindows(**engine, *windows, options);
  if (!evaluation.ok())
    return evaluation.status();
  Json json = eval::describe(*evaluation, *windows,
                             {options.model, options.reference, options.seed});
  if (!options.report.empty())
    QOPT_RETURN_IF_ERROR(writeReport(options.report, json));
  if (options.json)
    QOPT_RETURN_IF_ERROR(cli::printJson(json));
  else
    eval::print(*evaluation, *windows);
  QOPT_RETURN_IF_ERROR(cli::flushOutput());
  return checkGates(*evaluation, options);
}

static void addOptions(CLI::App &app, EvalOptions &options) {
  app.add_option("model", options.model,
                 "decoder artifact, model.onnx (compiled for this run), or its "
                 "folder")
      ->required();
  auto *text = app.add_option("--text", options.text,
                              "text file or pipe; -: standard input");
  app.add_option("--tokens", options.tokens,
                 ".npy of token ids: i32 [windows, length], or [tokens]")
      ->excludes(text);
  app.add_option("--tokenizer", options.tokenizer,
                 "tokenizer.json or its folder, instead of the artifact's own")
      ->needs(text);
  app.add_option("--device", options.device,
                 "where to run: host, cuda, cuda:N or emulator [what it was "
                 "compiled for]");
  app.add_option("--window", options.window,
                 "tokens of a window [512, or the context if that is less]")
      ->check(cli::between(2, INT64_MAX));
  app.add_option("--windows", options.windows, "most windows [all]")
      ->check(cli::between(1, INT64_MAX));
  app.add_option("--chunk", options.chunk,
                 "most tokens of a step: 1 decodes token by token from the "
                 "cache [what 16 MB of logits allow]")
      ->check(cli::between(1, INT64_MAX));
  app.add_flag("--begin-each", options.beginEach,
               "with --text: each window starts with the model's begin token")
      ->needs(text);
  auto *reference = app.add_option("--reference", options.reference,
                                   "artifact or saved logits to compare with");
  app.add_option("--save-logits", options.saveLogits,
                 ".npy for all logits, f32 [windows, length, vocabulary]");
  app.add_option("--max-perplexity", options.mostPerplexity, "fail above this")
      ->check(cli::realBetween(1, HUGE_VAL));
  app.add_option("--max-kl", options.mostDivergence,
                 "fail if the mean KL is above this")
      ->check(cli::realBetween(0, HUGE_VAL))
      ->needs(reference);
  app.add_option("--min-same-top1", options.leastSameTop,
                 "fail if fewer percent of first choices agree")
      ->check(cli::realBetween(0, 100))
      ->needs(reference);
  app.add_option("--seed", options.seed, "of the intervals [0]")
      ->check(cli::between(0, INT64_MAX));
  app.add_option("--threads", options.threads, "0: one for each processor [0]")
      ->check(cli::between(0, 1024));
  app.add_flag("--trust", options.trust,
               "skip the digests of weights and code");
  app.add_flag("--json", options.json, "results as JSON on standard output");
  app.add_option("--report", options.report, "file for the same JSON");
}

int main(int argc, char **argv) {
  CLI::App app("Measures how well a decoder artifact predicts text, and how "
               "close it is to a reference.\n",
               "qopt-eval");
  EvalOptions options;
  addOptions(app, options);
  cli::addExamples(
      app, {"qopt-eval model.qopt --text valid.txt",
            "qopt-eval model.qopt --text valid.txt --window 128 --windows 4 "
            "--save-logits saved.npy",
            "qopt-eval model.qopt --tokens tokens.npy --reference logits.npy",
            "qopt-eval model.qopt --text valid.txt --reference other.qopt "
            "--max-kl 20 --json"});
  return cli::run(app, argc, argv, [&] { return work(options); });
}
