// qopt-eval: how well a decoder artifact predicts text, and how close it, or a
// graph, is to a reference.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Io/FileAccess.h"
#include "tools/cli/DescribeBlame.h"
#include "tools/qopt-eval/Blame.h"
#include "tools/qopt-eval/DescribeEvaluation.h"
#include "tools/qopt-eval/EvalRun.h"
#include "tools/qopt-eval/GraphRun.h"
#include "tools/qopt-eval/HtmlReport.h"
#include "tools/qopt-eval/PrintEvaluation.h"

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

static Json describeRun(const eval::Run &run) {
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
  json["bits_per_weight"] = eval::bitsPerWeight(run.engine->artifact());
  json["layer_bits"] = eval::describeBits(run.engine->artifact());
  if (!run.sweep.empty())
    eval::describe(run.sweep, json);
  if (run.tensors)
    eval::describe(*run.tensors, json);
  return json;
}

static Status printRun(const eval::Run &run, const Json &json) {
  if (run.options.json) {
    QOPT_RETURN_IF_ERROR(cli::printJson(json));
  } else {
    if (run.evaluation)
      eval::print(*run.evaluation, run.windows);
    if (run.choices)
      eval::print(*run.choices);
    if (!run.retrieval.empty())
      eval::print(run.retrieval);
    if (!run.sweep.empty())
      eval::print(run.sweep);
    if (run.tensors)
      eval::print(*run.tensors);
    if (json.contains("blame"))
      std::printf("\n%s", cli::spellBlame(json["blame"]).c_str());
  }
  return cli::flushOutput();
}

// Paths need not be UTF-8.
static std::string textOf(const Json &json) {
  return json.dump(1, ' ', /*ensure_ascii=*/false,
                   Json::error_handler_t::replace) +
         "\n";
}

static Status workOnGraph(const EvalOptions &options) {
  StatusOr<eval::GraphRun> run = eval::runGraph(options);
  if (!run.ok())
    return run.status();
  Json json = eval::describe(*run);
  if (!options.blame.empty()) {
    StatusOr<Json> blamed = eval::blame(*run);
    if (!blamed.ok())
      return blamed.status();
    json["blame"] = std::move(*blamed);
  }
  QOPT_RETURN_IF_ERROR(writeReport(options.report, textOf(json)));
  if (options.json) {
    QOPT_RETURN_IF_ERROR(cli::printJson(json));
  } else {
    eval::print(*run);
    if (json.contains("blame"))
      std::printf("\n%s", cli::spellBlame(json["blame"]).c_str());
  }
  QOPT_RETURN_IF_ERROR(cli::flushOutput());
  return eval::checkGates(*run);
}

static Status work(const EvalOptions &options) {
  QOPT_RETURN_IF_ERROR(eval::checkOptions(options));
  if (options.hasSamples())
    return workOnGraph(options);
  StatusOr<eval::Run> run = eval::runEvaluation(options);
  if (!run.ok())
    return run.status();
  Json json = describeRun(*run);
  if (!options.blame.empty()) {
    StatusOr<Json> blamed = eval::blame(*run);
    if (!blamed.ok())
      return blamed.status();
    json["blame"] = std::move(*blamed);
  }
  QOPT_RETURN_IF_ERROR(writeReport(options.report, textOf(json)));
  if (!options.html.empty())
    QOPT_RETURN_IF_ERROR(writeReport(options.html, eval::htmlReport(json)));
  QOPT_RETURN_IF_ERROR(printRun(*run, json));
  return run->evaluation ? checkGates(run->evaluation->all.figures, options)
                         : Status();
}

int main(int argc, char **argv) {
  CLI::App app("Measures how well a decoder artifact predicts text, and how "
               "close it, or a graph, is to a reference.\n",
               "qopt-eval");
  EvalOptions options;
  eval::addOptions(app, options);
  const std::string run = "qopt-eval model.qopt ", text = run + "--text ";
  cli::addExamples(
      app, {text + "valid.txt",
            text + "valid.txt --window 128 --windows 4 --save-logits saved.npy",
            run + "--tokens tokens.npy --reference logits.npy",
            text + "valid.txt --reference other.qopt --max-kl 20 --json",
            text + "tales=valid.txt --text prompts=prompt.txt --window 4",
            run + "--choices choices.jsonl --floor-chunk 1 --html eval.html",
            text + "valid.txt --reference model.qopt --sweep other.qopt "
                   "--html sweep.html",
            "qopt-eval other.qopt --text valid.txt --windows 16 --blame "
            "model.onnx",
            text + "valid.txt --windows 4 --reference other.qopt "
                   "--compare-tensors",
            text + "valid.txt --window 64 --retrieval --reference other.qopt",
            "qopt-eval encoder.qopt --inputs in.npz --reference encoder.qopt "
            "--max-error 0.01"});
  return cli::run(app, argc, argv, [&] { return work(options); });
}
