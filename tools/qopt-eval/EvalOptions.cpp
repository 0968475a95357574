// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tools/qopt-eval/EvalOptions.h"

#include "lib/Tokens/NamedText.h"
#include "tools/cli/OutputFiles.h"

#include <cmath>
#include <tuple>

namespace qopt::eval {

/// The paths of inputs whose names differ.
static Status addPaths(const std::string &option,
                       const std::vector<std::string> &inputs,
                       std::vector<std::string> &paths) {
  StatusOr<std::vector<NamedText>> named = splitNames(option, inputs);
  if (!named.ok())
    return named.status();
  for (const NamedText &input : *named)
    paths.push_back(input.path);
  return {};
}

/// Options of decoders, where a graph is evaluated.
static Status checkGraphUses(const EvalOptions &options) {
  if (options.reference.empty())
    return {StatusCode::InvalidArgument,
            "--inputs compares the outputs of a graph with a reference; give "
            "an artifact or saved outputs (.npz) as --reference"};
  const std::pair<const char *, bool> ofDecoders[] = {
      {"--text", !options.texts.empty()},
      {"--tokens", !options.tokens.empty()},
      {"--choices", !options.choices.empty()},
      {"--retrieval", options.retrieval},
      {"--tokenizer", !options.tokenizer.empty()},
      {"--window", options.window.has_value()},
      {"--windows", options.windows != INT64_MAX},
      {"--chunk", options.chunk != 0},
      {"--floor-chunk", options.floorChunk != 0},
      {"--save-logits", !options.saveLogits.empty()},
      {"--sweep", !options.sweep.empty()},
      {"--compare-tensors", options.compareTensors},
      {"--html", !options.html.empty()},
      {"--max-perplexity", options.mostPerplexity.has_value()}};
  for (const auto &[name, given] : ofDecoders)
    if (given)
      return {StatusCode::InvalidArgument,
              std::string(name) +
                  " is for decoders, and --inputs for graphs; leave one out"};
  return {};
}

/// Options that nothing would come of.
static Status checkUses(const EvalOptions &options) {
  if (options.hasSamples())
    return checkGraphUses(options);
  if (options.mostError)
    return {StatusCode::InvalidArgument,
            "--max-error is of the outputs of a graph; give its --inputs, or "
            "leave it out"};
  if (options.floorChunk && options.floorChunk == options.chunk)
    return {StatusCode::InvalidArgument,
            "--floor-chunk is --chunk, and the same steps give the same "
            "figures; expected another number"};
  const char *running = !options.choices.empty() ? "--choices"
                        : options.retrieval      ? "--retrieval"
                        : options.compareTensors ? "--compare-tensors"
                                                 : nullptr;
  if (running && options.savedReference())
    return {StatusCode::InvalidArgument, "--reference '" + options.reference +
                                             "' has logits of windows; " +
                                             running + " expects an artifact"};
  if (!options.tokenizer.empty() && options.texts.empty() &&
      options.choices.empty())
    return {StatusCode::InvalidArgument,
            "--tokenizer is for --text or --choices, and there is neither; "
            "leave it out"};
  if (options.hasText())
    return {};
  const std::pair<const char *, bool> ofWindows[] = {
      {"--window", options.window.has_value()},
      {"--windows", options.windows != INT64_MAX},
      {"--retrieval", options.retrieval},
      {"--save-logits", !options.saveLogits.empty()},
      {"--blame", !options.blame.empty()},
      {"--sweep", !options.sweep.empty()},
      {"--compare-tensors", options.compareTensors},
      {"--max-perplexity", options.mostPerplexity.has_value()},
      {"--max-kl", options.mostDivergence.has_value()},
      {"--min-same-top1", options.leastSameTop.has_value()}};
  for (const auto &[name, given] : ofWindows)
    if (given)
      return {StatusCode::InvalidArgument,
              std::string(name) +
                  " is for --text or --tokens, and there is neither; leave it "
                  "out"};
  return {};
}

Status checkOptions(const EvalOptions &options) {
  if (!options.hasText() && !options.hasSamples() && options.choices.empty())
    return {StatusCode::InvalidArgument,
            "give what to evaluate on: --text or --tokens, or --choices; of a "
            "graph --inputs"};
  QOPT_RETURN_IF_ERROR(checkUses(options));
  std::vector<std::string> read = {options.model,     options.tokenizer,
                                   options.reference, options.choices,
                                   options.blame,     options.calibrate};
  read.insert(read.end(), options.sweep.begin(), options.sweep.end());
  QOPT_RETURN_IF_ERROR(addPaths("--text", options.texts, read));
  QOPT_RETURN_IF_ERROR(addPaths("--tokens", options.tokens, read));
  QOPT_RETURN_IF_ERROR(addPaths("--inputs", options.inputs, read));
  const std::tuple<const char *, std::string, cli::OutputKind> outputs[] = {
      {"--save-logits", options.saveLogits, cli::OutputKind::Npy},
      {"--report", options.report, cli::OutputKind::EvalReport},
      {"--html", options.html, cli::OutputKind::EvalPage}};
  for (const auto &[option, path, kind] : outputs) {
    QOPT_RETURN_IF_ERROR(cli::checkOutput(option, path, kind, read));
    for (const auto &[other, otherPath, otherKind] : outputs) {
      if (otherKind == kind)
        break;
      QOPT_RETURN_IF_ERROR(
          cli::checkOutputsDiffer(other, otherPath, option, path));
    }
  }
  return {};
}

static void addInputs(CLI::App &app, EvalOptions &options) {
  app.add_option("model", options.model,
                 "artifact, model.onnx (compiled for this run), or its folder")
      ->required();
  auto *text = app.add_option("--text", options.texts,
                              "text file or pipe; -: standard input; NAME=PATH "
                              "names a domain, and several have figures each");
  cli::oneValueEach(text);
  auto *tokens = app.add_option(
      "--tokens", options.tokens,
      ".npy of token ids: i32 [windows, length], or [tokens]; or NAME=PATH");
  cli::oneValueEach(tokens);
  tokens->excludes(text);
  cli::oneValueEach(app.add_option(
      "--inputs", options.inputs,
      "of a graph: .npz with an array for each input, samples along the first "
      "axis; its outputs are compared with --reference; or NAME=PATH"));
  app.add_option("--choices", options.choices,
                 "JSON lines {\"context\": …, \"options\": […], \"answer\": "
                 "index}, texts or lists of token ids");
  app.add_flag("--retrieval", options.retrieval,
               "hide tokens of each window in another at 10 to 90 % of it, and "
               "ask for them at its end");
  app.add_option("--tokenizer", options.tokenizer,
                 "tokenizer.json or its folder, instead of the artifact's own");
  app.add_option("--device", options.device,
                 "where to run: host, cuda, cuda:N, emulator, or one of those "
                 "that qopt-run --help describes [what it was compiled for]");
  app.add_option("--window", options.window,
                 "tokens of a window [512, or the context if that is less]")
      ->check(cli::between(2, INT64_MAX));
  app.add_option("--windows", options.windows, "most windows of a text [all]")
      ->check(cli::between(1, INT64_MAX));
  app.add_option("--chunk", options.chunk,
                 "most tokens of a step of the model: 1 decodes token by token "
                 "from the "
                 "cache [what 16 MB of logits allow]")
      ->check(cli::between(1, INT64_MAX));
  app.add_option("--floor-chunk", options.floorChunk,
                 "run again in steps of this many tokens: how far the model is "
                 "from itself stands beside each figure")
      ->check(cli::between(1, INT64_MAX));
  app.add_flag("--begin-each", options.beginEach,
               "with --text: each window starts with the model's begin token")
      ->needs(text);
}

void addOptions(CLI::App &app, EvalOptions &options) {
  addInputs(app, options);
  auto *reference = app.add_option("--reference", options.reference,
                                   "artifact or saved logits to compare with; "
                                   "of a graph saved outputs (.npz)");
  app.add_option("--save-logits", options.saveLogits,
                 ".npy for all logits, f32 [windows, length, vocabulary]");
  cli::oneValueEach(
      app.add_option("--sweep", options.sweep,
                     "another artifact of the same model: its KL beside its "
                     "bits in one table and plot with the model's")
          ->needs(reference));
  app.add_flag("--compare-tensors", options.compareTensors,
               "compare what each step of the model writes with the "
               "reference's: relative error in order of execution, on the host")
      ->needs(reference);
  auto *blame = app.add_option(
      "--blame", options.blame,
      "model.onnx that the artifact was compiled from, or its folder: rank its "
      "layers by how much closer to the unquantized model it would be with "
      "each one's weights as the file has them; takes two evaluations a "
      "layer");
  app.add_option("--calibrate", options.calibrate,
                 "with --blame: the text that the artifact was calibrated on")
      ->needs(blame);
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
  app.add_option("--max-error", options.mostError,
                 "fail if the square of an error of a graph's output, beside "
                 "that of the output, is above this")
      ->check(cli::realBetween(0, HUGE_VAL))
      ->needs(reference);
  app.add_option("--seed", options.seed, "of the intervals [0]")
      ->check(cli::between(0, INT64_MAX));
  app.add_option("--threads", options.threads, "0: one for each processor [0]")
      ->check(cli::between(0, 1024));
  app.add_flag("--trust", options.trust,
               "skip the digests of weights and code");
  app.add_flag("--json", options.json, "results as JSON on standard output");
  app.add_option("--report", options.report, "file for the same JSON");
  app.add_option("--html", options.html,
                 "file for the same as a page with tables and plots");
}

} // namespace qopt::eval
