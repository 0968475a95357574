// qopt-run: writes text with a decoder artifact, or runs a graph artifact on
// arrays.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tools/cli/CommandLine.h"
#include "tools/cli/ModelFiles.h"
#include "tools/cli/OutputFiles.h"
#include "tools/qopt-run/GenerateText.h"
#include "tools/qopt-run/RunGraph.h"

#include <cmath>

using namespace qopt;

static constexpr const char *textGroup = "Text (decoder artifacts)";
static constexpr const char *samplingGroup =
    "Choice of tokens (decoder artifacts)";

/// Those of them that say how to go on behind the prompt.
static std::vector<CLI::Option *> addTextOptions(CLI::App &app,
                                                 run::RunOptions &options) {
  const char *group = textGroup;
  auto *prompt =
      app.add_option("--prompt", options.prompt, "the text to go on with");
  auto *file = app.add_option("--prompt-file", options.promptFile,
                              "the same, from a file or pipe; -: from "
                              "standard input");
  auto *tokens = app.add_option("--tokens", options.tokens,
                                "the same, as token ids: \"1,403,407\"");
  cli::mayBeEmpty(prompt); // the model's begin token alone
  for (auto *option : {prompt, file, tokens})
    option->group(group);
  prompt->excludes(file)->excludes(tokens);
  file->excludes(tokens);
  app.add_option("--tokenizer", options.tokenizer,
                 "tokenizer.json or its folder, instead of the artifact's own")
      ->group(group);
  auto *most = app.add_option("--max-tokens", options.maxTokens,
                              "most tokens to write [128]")
                   ->check(cli::between(1, INT64_MAX))
                   ->group(group);
  auto *ignore = app.add_flag("--ignore-end", options.ignoreEnd,
                              "go on after the model's end of text")
                     ->group(group);
  return {most, ignore};
}

static void addSamplingOptions(CLI::App &app, run::RunOptions &options) {
  SamplingOptions &sampling = options.sampling;
  const char *group = samplingGroup;
  app.add_flag("--sample", options.sample,
               "draw as the model's own files say, but for what is given here")
      ->group(group);
  app.add_option("--temperature", sampling.temperature,
                 "0: the most probable token; above: draw one [0]")
      ->group(group);
  app.add_option("--top-k", sampling.topK,
                 "from the k most probable; 0: all [0]")
      ->group(group);
  app.add_option("--top-p", sampling.topP,
                 "from the fewest that reach probability p [1]")
      ->group(group);
  app.add_option("--min-p", sampling.minP,
                 "from those p times as probable as the first [0]")
      ->group(group);
  app.add_option("--repetition-penalty", sampling.repetitionPenalty,
                 "above 1: repeat less [1]")
      ->group(group);
  app.add_option("--seed", sampling.seed,
                 "of the draws: same seed, same text [0]")
      ->check(cli::between(0, INT64_MAX))
      ->group(group);
}

static void addGraphOptions(CLI::App &app, run::RunOptions &options) {
  const char *group = "Arrays (graph artifacts, sources of encoder-decoders)";
  app.add_option("--inputs", options.inputs,
                 ".npz with the inputs by name and nothing else, or with "
                 "\"in.\" before the names of inputs; one input may be a "
                 ".npy; of an encoder-decoder what the text is written from")
      ->group(group);
  app.add_option("--function", options.function,
                 "which graph to run of a model of several files, as encoder; "
                 "qopt-inspect lists them")
      ->group(group);
  app.add_option("--outputs", options.outputs,
                 ".npz to write the outputs to; one output may be a .npy")
      ->group(group);
}

static Status work(const run::RunOptions &options) {
  QOPT_RETURN_IF_ERROR(
      cli::checkOutput("--outputs", options.outputs,
                       options.outputs.ends_with(".npy") ? cli::OutputKind::Npy
                                                         : cli::OutputKind::Npz,
                       {options.model, options.inputs, options.compare}));
  StatusOr<std::shared_ptr<const Artifact>> artifact =
      cli::openArtifact(options.model, {options.trust}, options.device);
  if (!artifact.ok())
    return artifact.status();
  return (*artifact)->isDecoder() ? run::generateText(*artifact, options)
                                  : run::runGraph(*artifact, options);
}

int main(int argc, char **argv) {
  CLI::App app("Writes text with a decoder artifact, or runs a graph artifact "
               "on arrays.\n",
               "qopt-run");
  run::RunOptions options;
  app.add_option("model", options.model,
                 "artifact, model.onnx (compiled for this run), or its folder")
      ->required();
  app.add_option("--threads", options.threads, "0: one for each processor [0]")
      ->check(cli::between(0, 1024));
  app.add_option(
      "--device", options.device,
      "where to run: host, cuda, cuda:N, emulator, cuda,synchronous or "
      "cuda:N,synchronous, which waits for each kernel, so that a failure "
      "names it, or emulator,schedules=N, which runs each kernel in N orders "
      "of warps and blocks and compares what they leave [what it was compiled "
      "for]");
  app.add_flag("--trust", options.trust,
               "skip the digests of weights and code: loads at once");
  app.add_flag("--json", options.json, "results as JSON on standard output");
  auto *compare = app.add_option(
      "--compare", options.compare,
      "an artifact or a .npz (names with or without \"out.\"): how "
      "far outputs, or logits of the prompt, are from it");
  app.add_option("--tolerance", options.tolerance,
                 "with --compare: fail if max abs exceeds this times the "
                 "largest expected value")
      ->needs("--compare")
      ->check(cli::realBetween(0, HUGE_VAL));
  std::vector<CLI::Option *> goingOn = addTextOptions(app, options);
  addSamplingOptions(app, options);
  addGraphOptions(app, options);
  cli::addExamples(
      app, {"qopt-run model.qopt --prompt \"Once upon a time\" --max-tokens 50",
            "qopt-run model.qopt --prompt-file prompt.txt --temperature 0.8 "
            "--top-p 0.9 --seed 7",
            "qopt-run model.qopt --prompt-file - < prompt.txt",
            "qopt-run model.qopt --tokens 1,403,407 --max-tokens 8 --json",
            "qopt-run encoder.qopt --inputs in.npz --outputs out.npz",
            "qopt-run encoder.qopt --inputs in.npz --compare expected.npz "
            "--tolerance 1e-4"});
  return cli::run(app, argc, argv, [&] {
    for (CLI::Option *option : app.get_options()) {
      bool samples = option->get_group() == samplingGroup;
      if (option->count() && (option->get_group() == textGroup || samples))
        options.textOptions.push_back(option->get_name());
      if (samples)
        goingOn.push_back(option);
    }
    for (const CLI::Option *option : goingOn)
      if (compare->count())
        QOPT_RETURN_IF_ERROR(cli::refuseGiven(
            {option}, "is for text that is written, and --compare writes "
                      "none"));
    return work(options);
  });
}
