// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tools/qopt-run/GenerateText.h"

#include "lib/Io/FileAccess.h"
#include "qopt/Engine.h"
#include "tools/cli/CommandLine.h"
#include "tools/cli/ModelFiles.h"
#include "tools/cli/Progress.h"
#include "tools/qopt-run/CompareTensors.h"
#include "tools/qopt-run/RunGraph.h"

#include <cstdio>
#include <cstring>

namespace qopt::run {
namespace {

/// What a continuation starts from.
struct Prompt {
  std::vector<int32_t> tokens;
  std::vector<Tensor> source; ///< of an encoder-decoder
  std::optional<Tokenizer> tokenizer;
};

const char *spell(FinishReason reason) {
  switch (reason) {
  case FinishReason::EndToken:
    return "end";
  case FinishReason::Length:
    return "length";
  case FinishReason::Context:
    return "context";
  default:
    return "cancelled";
  }
}

/// Prints text as it becomes certain, or the ids where there is no tokenizer.
class TokenPrinter {
public:
  explicit TokenPrinter(const std::optional<Tokenizer> &tokenizer) {
    if (tokenizer)
      stream.emplace(*tokenizer);
  }
  void push(int32_t token) {
    write(stream ? stream->push(token) : std::to_string(token) + " ");
  }
  void finish() { write((stream ? stream->finish() : "") + "\n"); }

private:
  static void write(const std::string &text) {
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fflush(stdout);
  }
  std::optional<TokenStream> stream;
};

double rate(size_t count, double seconds) {
  return seconds > 0 ? double(count) / seconds : 0;
}

} // namespace

/// What an encoder-decoder encodes: the arrays of --inputs, by name.
static StatusOr<std::vector<Tensor>> readSource(const Artifact &artifact,
                                                const RunOptions &options) {
  std::vector<Tensor> source;
  if (options.inputs.empty())
    return source; // the engine says where it lacks
  StatusOr<std::vector<Tensor>> arrays = readArrays(options.inputs);
  if (!arrays.ok())
    return arrays.status();
  StatusOr<std::vector<TensorView>> inputs =
      chooseInputs(artifact, *arrays, options.inputs);
  if (!inputs.ok())
    return inputs.status();
  for (const TensorView &input : *inputs) {
    source.emplace_back(input.name, input.type, input.shape);
    if (source.back().elements())
      std::memcpy(source.back().data(), input.data, source.back().bytes());
  }
  return source;
}

static StatusOr<Prompt> readPrompt(const Artifact &artifact,
                                   const RunOptions &options) {
  Prompt prompt;
  StatusOr<std::optional<Tokenizer>> tokenizer =
      cli::openTokenizer(artifact, options.tokenizer);
  if (!tokenizer.ok())
    return tokenizer.status();
  prompt.tokenizer = std::move(*tokenizer);
  StatusOr<std::vector<int32_t>> tokens = std::vector<int32_t>();
  if (options.tokens) {
    tokens = cli::parseTokens(*options.tokens);
  } else if (options.prompt || options.promptFile) {
    if (!prompt.tokenizer)
      return Status(StatusCode::InvalidArgument,
                    "artifact '" + artifact.path() +
                        "' has no tokenizer; give --tokenizer tokenizer.json, "
                        "or the prompt as --tokens");
    StatusOr<std::string> text = options.promptFile
                                     ? io::readTextOrPipe(*options.promptFile)
                                     : StatusOr<std::string>(*options.prompt);
    if (!text.ok())
      return text.status();
    tokens = prompt.tokenizer->encodeWhole(*text);
  } else if (!artifact.decoder().source) {
    return Status(StatusCode::InvalidArgument,
                  "artifact '" + artifact.path() +
                      "' writes text: give --prompt, --prompt-file or "
                      "--tokens");
  }
  if (!tokens.ok())
    return tokens.status();
  if (tokens->empty() && artifact.decoder().beginToken >= 0)
    tokens->push_back(artifact.decoder().beginToken);
  if (tokens->empty())
    return Status(StatusCode::InvalidArgument,
                  "the prompt has no tokens and the model no begin token");
  prompt.tokens = std::move(*tokens);
  StatusOr<std::vector<Tensor>> source = readSource(artifact, options);
  if (!source.ok())
    return source.status();
  prompt.source = std::move(*source);
  return prompt;
}

static StatusOr<std::unique_ptr<Engine>>
createEngine(std::shared_ptr<const Artifact> artifact,
             const RunOptions &options) {
  EngineOptions engine;
  engine.threads = options.threads;
  engine.device = options.device;
  engine.maxSequences = 1;
  return Engine::create(std::move(artifact), engine);
}

/// Logits [tokens, vocabulary] of the prompt.
static StatusOr<Tensor> promptLogits(std::shared_ptr<const Artifact> artifact,
                                     const Prompt &prompt,
                                     const RunOptions &options) {
  Tensor logits(
      "logits", DType::F32,
      {int64_t(prompt.tokens.size()), artifact->decoder().vocabulary});
  StatusOr<std::unique_ptr<Engine>> engine =
      createEngine(std::move(artifact), options);
  if (!engine.ok())
    return engine.status();
  int64_t columns = logits.shape()[1];
  Status status = (*engine)->evaluate(
      prompt.tokens,
      [&](int64_t first, std::span<const float> rows) {
        std::memcpy(logits.as<float>() + first * columns, rows.data(),
                    rows.size_bytes());
        return Status();
      },
      /*chunk=*/0, prompt.source);
  if (!status.ok())
    return status;
  return logits;
}

static Status compareLogits(std::shared_ptr<const Artifact> artifact,
                            const Prompt &prompt, const RunOptions &options) {
  StatusOr<Tensor> logits = promptLogits(std::move(artifact), prompt, options);
  if (!logits.ok())
    return logits.status();
  std::vector<Tensor> expected;
  if (isArrayFile(options.compare)) {
    StatusOr<std::vector<Tensor>> read = readArrays(options.compare);
    if (!read.ok())
      return read.status();
    expected = std::move(*read);
  } else {
    StatusOr<std::shared_ptr<const Artifact>> other =
        cli::openArtifact(options.compare, {options.trust});
    if (!other.ok())
      return other.status();
    RunOptions there = options;
    there.device.clear(); // it may be compiled for another
    StatusOr<Tensor> theirs = promptLogits(*other, prompt, there);
    if (!theirs.ok())
      return theirs.status();
    expected.push_back(std::move(*theirs));
  }
  return compareTensors({*logits}, expected, options);
}

static Status printResult(const Prompt &prompt, const GenerateResult &result,
                          const RunOptions &options) {
  double prefill = rate(prompt.tokens.size(), result.prefillSeconds);
  double decode = result.tokens.empty()
                      ? 0
                      : rate(result.tokens.size() - 1, result.decodeSeconds);
  if (!options.json) {
    char line[160];
    std::snprintf(line, sizeof line,
                  "%zu prompt tokens at %.0f tokens/s, %zu new at %.0f "
                  "tokens/s, finish: %s",
                  prompt.tokens.size(), prefill, result.tokens.size(), decode,
                  spell(result.finish));
    cli::note(line);
    return cli::flushOutput();
  }
  nlohmann::ordered_json json = {{"text", nullptr}};
  if (prompt.tokenizer) {
    std::vector<int32_t> all = prompt.tokens;
    all.insert(all.end(), result.tokens.begin(), result.tokens.end());
    json["text"] = prompt.tokenizer->decode(all);
  }
  json["tokens"] = result.tokens;
  json["prompt_tokens"] = prompt.tokens.size();
  json["finish"] = spell(result.finish);
  json["seed"] = options.sampling.seed;
  json["prefill_tokens_per_second"] = prefill;
  json["decode_tokens_per_second"] = decode;
  return cli::printJson(json);
}

/// The most probable token is no draw.
static Status refuseDraws(const RunOptions &options) {
  if (options.sampling.temperature != 0)
    return {};
  for (const std::string &given : options.textOptions)
    for (const char *draws : {"--top-k", "--top-p", "--min-p", "--seed"})
      if (given == draws)
        return {StatusCode::InvalidArgument,
                given + " is for tokens that are drawn, and --temperature is "
                        "0, which takes the most probable one; leave it out, "
                        "or give a temperature above 0"};
  return {};
}

/// What the model's files say, but for what was given.
static StatusOr<SamplingOptions> samplingOf(const Artifact &artifact,
                                            const RunOptions &options) {
  if (!options.sample)
    return options.sampling;
  SamplingOptions sampling = artifact.decoder().sampling;
  if (sampling == SamplingOptions())
    return Status(StatusCode::InvalidArgument,
                  "--sample: the files beside the model of artifact '" +
                      artifact.path() +
                      "' do not say how tokens are drawn; give --temperature "
                      "instead");
  const SamplingOptions &given = options.sampling;
  for (const std::string &name : options.textOptions) {
    if (name == "--temperature")
      sampling.temperature = given.temperature;
    if (name == "--top-k")
      sampling.topK = given.topK;
    if (name == "--top-p")
      sampling.topP = given.topP;
    if (name == "--min-p")
      sampling.minP = given.minP;
    if (name == "--repetition-penalty")
      sampling.repetitionPenalty = given.repetitionPenalty;
  }
  sampling.seed = given.seed;
  return sampling;
}

Status generateText(std::shared_ptr<const Artifact> artifact,
                    const RunOptions &asked) {
  RunOptions options = asked;
  bool encodes = artifact->decoder().source > 0;
  if ((!options.inputs.empty() && !encodes) || !options.outputs.empty() ||
      !options.function.empty())
    return {StatusCode::InvalidArgument,
            "artifact '" + artifact->path() + "' writes text and takes no " +
                (encodes ? "" : "--inputs, ") +
                "--outputs or --function; compile the model with --as graph "
                "for its tensors"};
  QOPT_RETURN_IF_ERROR(checkSampling(options.sampling));
  auto sampling = samplingOf(*artifact, options);
  if (!sampling.ok())
    return sampling.status();
  options.sampling = *sampling;
  QOPT_RETURN_IF_ERROR(refuseDraws(options));
  StatusOr<Prompt> prompt = readPrompt(*artifact, options);
  if (!prompt.ok())
    return prompt.status();
  if (!options.compare.empty())
    return compareLogits(artifact, *prompt, options);
  StatusOr<std::unique_ptr<Engine>> engine = createEngine(artifact, options);
  if (!engine.ok())
    return engine.status();
  TokenPrinter printer(prompt->tokenizer);
  Request request{prompt->tokens, options.maxTokens, options.sampling,
                  options.ignoreEnd, prompt->source};
  bool begun = false;
  StatusOr<GenerateResult> result =
      (*engine)->generate(request, [&](int32_t token) {
        if (options.json)
          return true;
        if (!begun)
          for (int32_t given : prompt->tokens)
            printer.push(given);
        begun = true;
        printer.push(token);
        return !std::ferror(stdout);
      });
  if (!result.ok())
    return result.status();
  if (!options.json)
    printer.finish();
  return printResult(*prompt, *result, options);
}

} // namespace qopt::run
