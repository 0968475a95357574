// qopt-bench: how fast a decoder artifact is here, and how close to the roof
// that the machine's memory sets.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Io/FileAccess.h"
#include "tools/cli/CommandLine.h"
#include "tools/cli/ModelFiles.h"
#include "tools/cli/OutputFiles.h"
#include "tools/cli/Progress.h"
#include "tools/qopt-bench/BytesPerStep.h"
#include "tools/qopt-bench/Measurement.h"
#include "tools/qopt-bench/ReadBandwidth.h"
#include "tools/qopt-bench/WorkloadMemory.h"

#include <algorithm>
#include <chrono>
#include <cstdarg>
#include <cstdio>
#include <optional>
#include <thread>

using namespace qopt;
using Json = nlohmann::ordered_json;

namespace {

struct BenchOptions {
  std::string model, format = "md", report;
  int threads = 0;
  bool trust = false, json = false;
  bench::Workload workload;
  int64_t bandwidthMebibytes = 1024;
};

struct Result {
  double loadSeconds = 0;
  size_t artifactBytes = 0, sessionBytes = 0;
  std::optional<bench::Speed> prefill, decode;
  bench::BytesPerStep bytes;
  double readBandwidth = 0; ///< bytes per second

  /// Of a step's reads to what the memory could give.
  double fraction(int64_t batch) const {
    return readBandwidth > 0 ? decode->tokensPerSecond / double(batch) *
                                   double(bytes.total()) / readBandwidth
                             : 0;
  }
};

} // namespace

/// Sets the sizes that were not given, and checks all. The last token that is
/// written takes no position.
static Status fitWorkload(const Artifact &artifact, bench::Workload &workload) {
  int64_t context = artifact.decoder().context;
  if (workload.prompt < 0)
    workload.prompt = std::min<int64_t>(512, context);
  if (workload.context < 0)
    workload.context =
        std::min<int64_t>(128, std::max<int64_t>(context / 2, 1));
  if (workload.tokens < 0) {
    if (workload.context >= context)
      return {StatusCode::Infeasible,
              "--context " + std::to_string(workload.context) +
                  " leaves no position for a token to measure, the model has " +
                  std::to_string(context) + "; take at most " +
                  std::to_string(context - 1) + ", or --tokens 0"};
    workload.tokens = std::min<int64_t>(64, context - workload.context);
  }
  int64_t longest =
      std::max(workload.prompt,
               workload.tokens ? workload.context + workload.tokens : 0);
  if (longest <= context)
    return {};
  return {StatusCode::Infeasible,
          "prompt, context and tokens need " + std::to_string(longest) +
              " positions, the model has " + std::to_string(context)};
}

static Status measure(Result &result, BenchOptions &options) {
  using Clock = std::chrono::steady_clock;
  bench::Workload &workload = options.workload;
  Clock::time_point start = Clock::now();
  StatusOr<std::shared_ptr<const Artifact>> artifact =
      cli::openArtifact(options.model, {options.trust});
  if (!artifact.ok())
    return artifact.status();
  result.loadSeconds =
      std::chrono::duration<double>(Clock::now() - start).count();
  if (!(*artifact)->isDecoder()) // the engine says what it is
    return Engine::create(*artifact, {}).status();
  QOPT_RETURN_IF_ERROR(fitWorkload(**artifact, workload));
  QOPT_RETURN_IF_ERROR(bench::checkMemory(**artifact, workload));
  EngineOptions engineOptions;
  engineOptions.cacheTokens =
      runtime::cachePositions(**artifact, bench::servedBatch(workload));
  engineOptions.threads = options.threads;
  engineOptions.maxSequences = workload.batch;
  engineOptions.maxQueue = workload.batch;
  StatusOr<std::unique_ptr<Engine>> engine =
      Engine::create(*artifact, engineOptions);
  if (!engine.ok())
    return engine.status();
  result.artifactBytes = (*artifact)->bytes();
  if (workload.prompt) {
    StatusOr<bench::Speed> speed = bench::measurePrefill(**engine, workload);
    if (!speed.ok())
      return speed.status();
    result.prefill = std::move(*speed);
  }
  if (workload.tokens) {
    StatusOr<bench::BytesPerStep> bytes = bench::bytesPerStep(
        **artifact, workload.context + workload.tokens / 2, workload.batch);
    if (!bytes.ok())
      return bytes.status();
    result.bytes = *bytes;
    bench::ReadBandwidth roof(size_t(options.bandwidthMebibytes) << 20,
                              options.threads);
    cli::Progress().show("read bandwidth");
    double before = roof.measure(5);
    StatusOr<bench::Speed> speed = bench::measureDecode(**engine, workload);
    if (!speed.ok())
      return speed.status();
    result.decode = std::move(*speed);
    result.readBandwidth = std::max(before, roof.measure(5));
  }
  result.sessionBytes = (*engine)->memory();
  return {};
}

static Json describeSpeed(const bench::Speed &speed) {
  return {{"tokens_per_second", speed.tokensPerSecond},
          {"repeats", speed.repeats},
          {"p50_ms", 1e3 * speed.times.p50},
          {"p90_ms", 1e3 * speed.times.p90},
          {"p99_ms", 1e3 * speed.times.p99}};
}

static Json describe(const Result &result, const BenchOptions &options) {
  const bench::Workload &workload = options.workload;
  int threads = options.threads;
  if (threads == 0)
    threads = int(std::max(1u, std::thread::hardware_concurrency()));
  Json json = {{"tool", "qopt-bench"},
               {"model", options.model},
               {"threads", threads},
               {"batch", workload.batch},
               {"artifact_bytes", result.artifactBytes},
               {"load_seconds", result.loadSeconds},
               {"session_bytes", result.sessionBytes}};
  if (result.prefill) {
    json["prefill"] = {{"prompt", workload.prompt}};
    json["prefill"].update(describeSpeed(*result.prefill));
  }
  if (!result.decode)
    return json;
  json["decode"] = {{"context", workload.context}, {"tokens", workload.tokens}};
  json["decode"].update(describeSpeed(*result.decode));
  json["decode"].update(
      {{"weight_bytes_per_step", result.bytes.weights},
       {"cache_bytes_per_step", result.bytes.cache},
       {"bytes_per_token",
        double(result.bytes.total()) / double(workload.batch)},
       {"read_bandwidth_bytes_per_second", result.readBandwidth},
       {"read_bandwidth_fraction", result.fraction(workload.batch)}});
  return json;
}

[[gnu::format(printf, 2, 3)]]
static void appendRow(std::string &text, const char *format, ...) {
  char line[256];
  va_list values;
  va_start(values, format);
  std::vsnprintf(line, sizeof line, format, values);
  va_end(values);
  text += line;
}

static std::string spellMarkdown(const Result &result,
                                 const BenchOptions &options) {
  const bench::Workload &workload = options.workload;
  std::string text;
  text +=
      "| what | tokens/s | p50 ms | p90 ms | p99 ms |\n|---|---|---|---|---|\n";
  auto speed = [&](const char *what, int64_t size, const bench::Speed &speed) {
    appendRow(text, "| %s %lld, batch %lld | %.1f | %.3f | %.3f | %.3f |\n",
              what, (long long)size, (long long)workload.batch,
              speed.tokensPerSecond, 1e3 * speed.times.p50,
              1e3 * speed.times.p90, 1e3 * speed.times.p99);
  };
  if (result.prefill)
    speed("prefill", workload.prompt, *result.prefill);
  if (result.decode) {
    speed("decode at context", workload.context, *result.decode);
    appendRow(
        text,
        "\nA step reads %.2f MB of weights and %.2f MB of cache: %.1f %% "
        "of the read bandwidth measured beside it, %.1f GB/s%s.\n",
        1e-6 * double(result.bytes.weights), 1e-6 * double(result.bytes.cache),
        100 * result.fraction(workload.batch), 1e-9 * result.readBandwidth,
        result.fraction(workload.batch) > 1
            ? "; what it reads stays in the caches"
            : "");
  }
  appendRow(text,
            "\nArtifact %.2f MB, loaded in %.1f ms; working memory %.2f MB.\n",
            1e-6 * double(result.artifactBytes), 1e3 * result.loadSeconds,
            1e-6 * double(result.sessionBytes));
  return text;
}

static std::string spellCsv(const Result &result, const BenchOptions &options) {
  std::string text = "what,size,batch,tokens_per_second,p50_ms,p90_ms,p99_ms,"
                     "bytes_per_token,read_bandwidth_fraction\n";
  const bench::Workload &workload = options.workload;
  auto row = [&](const char *what, int64_t size, const bench::Speed &speed) {
    appendRow(text, "%s,%lld,%lld,%.3f,%.4f,%.4f,%.4f,", what, (long long)size,
              (long long)workload.batch, speed.tokensPerSecond,
              1e3 * speed.times.p50, 1e3 * speed.times.p90,
              1e3 * speed.times.p99);
  };
  if (result.prefill) {
    row("prefill", workload.prompt, *result.prefill);
    text += ",\n";
  }
  if (result.decode) {
    row("decode", workload.context, *result.decode);
    appendRow(text, "%.0f,%.4f\n",
              double(result.bytes.total()) / double(workload.batch),
              result.fraction(workload.batch));
  }
  return text;
}

static Status work(BenchOptions &options) {
  Result result;
  if (options.workload.prompt == 0 && options.workload.tokens == 0)
    return {StatusCode::InvalidArgument,
            "nothing to measure: --prompt and --tokens are both 0"};
  QOPT_RETURN_IF_ERROR(cli::checkOutput("--report", options.report,
                                        cli::OutputKind::BenchReport,
                                        {options.model}));
  QOPT_RETURN_IF_ERROR(measure(result, options));
  std::string text = options.format == "json"
                         ? describe(result, options).dump() + "\n"
                     : options.format == "csv" ? spellCsv(result, options)
                                               : spellMarkdown(result, options);
  if (!options.report.empty()) {
    auto file = io::FileWriter::create(options.report);
    if (!file.ok())
      return file.status();
    QOPT_RETURN_IF_ERROR((*file)->append(text));
    QOPT_RETURN_IF_ERROR((*file)->finish());
  }
  std::fputs(text.c_str(), stdout);
  return cli::flushOutput();
}

int main(int argc, char **argv) {
  CLI::App app("Measures how fast a decoder artifact reads prompts and writes "
               "tokens here, beside the read bandwidth of the memory.\n",
               "qopt-bench");
  BenchOptions options;
  bench::Workload &workload = options.workload;
  app.add_option("model", options.model,
                 "decoder artifact, model.onnx (compiled for this run), or its "
                 "folder")
      ->required();
  app.add_option("--threads", options.threads, "0: one for each processor [0]")
      ->check(cli::between(0, 1024));
  auto number = [&](const char *name, int64_t &value, const char *what,
                    int64_t least) {
    return app.add_option(name, value, what)
        ->check(cli::between(least, 1 << 24));
  };
  number("--prompt", workload.prompt,
         "prompt to measure; 0: none [512 or what fits]", 0);
  auto *context =
      number("--context", workload.context,
             "positions before the first measured token [128 or what fits]", 1);
  number("--tokens", workload.tokens,
         "tokens to write in each repeat; 0: none [64 or what fits]", 0);
  number("--batch", workload.batch, "sequences at once [1]", 1);
  number("--repeats", workload.repeats,
         "measurements, after one that is not counted [5]", 1);
  auto *bandwidth = number("--bandwidth-mib", options.bandwidthMebibytes,
                           "buffer for the read bandwidth, in MiB [1024]", 1);
  app.add_option("--seed", workload.seed, "of the random prompts [0]")
      ->check(cli::between(0, INT64_MAX));
  auto *format =
      app.add_option("--format", options.format, "md, csv or json [md]")
          ->check(CLI::IsMember({"md", "csv", "json"}));
  app.add_flag_callback(
         "--json", [&] { options.format = "json"; }, "as --format json")
      ->excludes(format);
  app.add_option("--report", options.report, "file for the same text");
  app.add_flag("--trust", options.trust,
               "skip the digests of weights and code");
  cli::addExamples(app, {"qopt-bench model.qopt --prompt 128 --tokens 32",
                         "qopt-bench model.qopt --prompt 0 --context 64 "
                         "--tokens 16 --threads 1",
                         "qopt-bench model.qopt --prompt 32 --context 32 "
                         "--batch 4 --json"});
  return cli::run(app, argc, argv, [&] {
    if (workload.tokens == 0)
      QOPT_RETURN_IF_ERROR(cli::refuseGiven(
          {context, bandwidth}, "is for tokens that are written, and --tokens "
                                "is 0"));
    return work(options);
  });
}
