// qopt-compile: an ONNX model in, an artifact out. Arguments and what a person
// or a program reads of the result; the work is include/qopt/Compiler.h.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Codegen/RemoveTemporaryFolders.h"
#include "lib/Evaluate/QualityGates.h"
#include "lib/Tokens/NamedText.h"
#include "qopt/Compiler.h"
#include "tools/cli/CommandLine.h"
#include "tools/cli/DescribeBlame.h"
#include "tools/cli/DescribeCheck.h"
#include "tools/cli/DescribeSteps.h"
#include "tools/cli/DescribeValidation.h"
#include "tools/cli/EndingSignals.h"
#include "tools/cli/OutputFiles.h"
#include "tools/cli/Progress.h"
#include "tools/qopt-compile/PrintCheck.h"
#include "tools/qopt-compile/PrintReport.h"

#include <cmath>
#include <cstdio>
#include <map>

namespace qopt {
namespace {

struct Arguments {
  CompileOptions options;
  std::string emit = "artifact";
  std::string kind = "automatic";
  std::string target = "host";
  bool json = false, remarks = false, report = false, blame = false,
       check = false;
  /// Options that only some stages have a use for, and which.
  struct Use {
    CLI::Option *option;
    bool (*has)(TargetDevice target, Stage stage);
    const char *what;
  };
  std::vector<Use> uses;

  void useOnly(CLI::Option *option, bool (*has)(TargetDevice, Stage),
               const char *what) {
    uses.push_back({option, has, what});
  }
};

bool ofMeanings(TargetDevice, Stage stage) { return stage >= Stage::Raised; }
bool ofFormats(TargetDevice, Stage stage) { return stage >= Stage::Quantized; }
bool ofArtifacts(TargetDevice, Stage stage) { return stage == Stage::Artifact; }
bool ofHostArtifacts(TargetDevice target, Stage stage) {
  return target == TargetDevice::Host && stage == Stage::Artifact;
}
bool ofSchedules(TargetDevice, Stage stage) {
  return stage >= Stage::Scheduled;
}
bool ofGpuSchedules(TargetDevice target, Stage stage) {
  return target == TargetDevice::Cuda && stage >= Stage::Scheduled;
}
bool ofGpuKernels(TargetDevice target, Stage stage) {
  return target == TargetDevice::Cuda &&
         (stage == Stage::Kernels || stage == Stage::Artifact);
}
bool ofSummaries(TargetDevice target, Stage stage) {
  return stage == Stage::Artifact || ofGpuKernels(target, stage);
}

const std::map<std::string, ModelKind> kinds = {
    {"automatic", ModelKind::Automatic},
    {"decoder", ModelKind::Decoder},
    {"graph", ModelKind::Graph}};

const std::map<std::string, TargetDevice> targetNames = {
    {"host", TargetDevice::Host}, {"cuda", TargetDevice::Cuda}};

const char *const forArtifacts = "for artifacts";
const char *const forFormats = "for the stages from quantized on";

/// The model, what is made of it, and where that goes.
void declareModel(CLI::App &app, Arguments &arguments) {
  CompileOptions &o = arguments.options;
  app.add_option("model", o.model,
                 "model.onnx, or the folder that holds it or the "
                 "files of an encoder-decoder")
      ->required();
  app.add_option("-o,--output", o.output,
                 "the artifact to write [NAME.qopt in the current folder, of "
                 "the model's or its folder's name]");
  std::vector<std::string> stages;
  for (const StageName &stage : stageNames)
    stages.push_back(stage.name);
  app.add_option("--emit", arguments.emit,
                 "print the result of a stage instead of writing an artifact")
      ->check(CLI::IsMember(stages));
  auto *as =
      app.add_option("--as", arguments.kind,
                     "what the model is compiled as; automatic: a decoder "
                     "where it is one")
          ->check(CLI::IsMember(kinds));
  arguments.useOnly(as, ofMeanings, "for the stages from qopt on");
  cli::oneValueEach(app.add_option(
      "--input", o.inputs,
      "NAME=VALUE: an input of one boolean or integer that is a constant of "
      "the artifact; of an If on it the branch is compiled that the value "
      "takes, without inputs that only the other one reads: "
      "use_cache_branch=true"));
}

/// An option that the stages from quantized on have a use for.
template <typename Value>
CLI::Option *addFormatOption(CLI::App &app, Arguments &arguments,
                             const char *name, Value &value, const char *what) {
  auto *option = app.add_option(name, value, what);
  arguments.useOnly(option, ofFormats, forFormats);
  return option;
}

/// How many bits weights, activations and caches get.
void declareFormats(CLI::App &app, Arguments &arguments) {
  CompileOptions &o = arguments.options;
  auto add = [&](const char *name, auto &value, const char *what) {
    return addFormatOption(app, arguments, name, value, what);
  };
  add("--weights", o.weights,
      "format of weights: f32 f16 bf16 int8 int8_g128 int4_g32 "
      "int4_asym_g64 int3_g128 int4_g32_s6 lut4_g128 "
      "mxfp4 nf4_g64 fp8_e4m3 …; default: as in the file");
  add("--lm-head", o.lmHead, "format of the head; default: --weights");
  add("--embedding", o.embedding,
      "format of the token embedding; default: that of the head where one "
      "weight is both, else as in the file");
  cli::oneValueEach(
      add("--format", o.formats,
          "format of single weights: name=FORMAT or re:PATTERN=FORMAT; the "
          "first match wins"));
  add("--activations", o.activations,
      "what linears read: f32 [host], f16 or bf16, which on the host rounds "
      "where a GPU does; int8 or fp8_e4m3 [host]: with a scale a token, of "
      "weights that are the same with a scale a row, and f32 (GPU: f16) "
      "elsewhere, or bf16,int8; int8_g32_sf32 [host]: with a scale for 32 "
      "columns, of all integer weights; default: that on the host, f16 on a "
      "GPU");
  cli::oneValueEach(
      add("--activation-format", o.activationFormats,
          "of what the linears of single weights read, beside --activations: "
          "name=FORMAT or re:PATTERN=FORMAT with f32, int8_g32_sf32, int8 or "
          "fp8_e4m3 [GPU: f16 or int8]; the first match wins"));
  add("--kv", o.cache,
      "format of keys and values in a decoder's cache, or KEY,VALUE: f32 f16 "
      "bf16 int8 int4 fp8_e4m3 [GPU: not f32], int8_g32, int4_asym_g32_zf, "
      "int3_asym_g32_zf, int2_asym_g32_zf, … (keys: a scale a channel for 32 "
      "positions, values: a position for 32 channels), and "
      ",recent=32,first=16 (latest and first positions in f16), "
      ",before_rotary (keys ahead of their rotation) [host]; "
      "default: as in the model");
  cli::oneValueEach(
      add("--kv-format", o.cacheFormats,
          "format of the keys or values of single layers, beside --kv: "
          "cache.LAYER.key=FORMAT, cache.LAYER.value=FORMAT or "
          "re:PATTERN=FORMAT; layers count from 0, the first match wins; "
          ",recent=32,first=16 behind it are of the layer's keys and values, "
          "0 for none, ,before_rotary of its keys [host]"));
}

/// How formats and codes are chosen by what they do.
void declareCalibration(CLI::App &app, Arguments &arguments) {
  CompileOptions &o = arguments.options;
  auto add = [&](const char *name, auto &value, const char *what) {
    return addFormatOption(app, arguments, name, value, what);
  };
  auto *calibrate = add(
      "--calibrate", o.calibrate,
      "a text file, token ids as .npy [windows, length], for a graph its "
      "inputs as .npz, samples along the first axis, or a manifest of such "
      "(.json: docs/quantization.md): weights are quantized by what they do "
      "when the model reads it, layer by layer; default: each is rounded by "
      "itself");
  app.add_option(
      "--algorithm", o.algorithm,
      "how codes are chosen: rtn, clip (ranges with the least error) "
      "or hqq (fractional zero points); with --calibrate also awq, "
      "gptq, kronecker, or best: for each weight the one that does "
      "best on held-out text; default: best with a text, rtn "
      "without");
  app.add_option("--calibrate-tokens", o.calibrateTokens,
                 "of the text of --calibrate, or the ids of its samples: at "
                 "most so many, spread over it")
      ->capture_default_str()
      ->check(cli::between(1, int64_t(1) << 32))
      ->needs(calibrate);
  add("--calibrate-inputs", o.calibrateInputs,
      "what each layer reads while its weights are rounded: quantized, what "
      "the "
      "layers ahead make with their codes, or original, what they make as the "
      "file has them; default: quantized")
      ->needs(calibrate);
  add("--tune", o.tune,
      "behind all that so many steps of gradient descent on the KL divergence "
      "from the unquantized model, over scales and weights of norms, with "
      "codes "
      "as they are; what is best on held-out text is kept, or none")
      ->check(cli::between(0, mostTuneSteps));
  add("--store", o.store,
      "a folder in which the work of --calibrate is kept, so that a run that "
      "was ended goes on; default: qopt/calibration in the user's cache")
      ->needs(calibrate);
}

/// Under what formats are chosen, and the plan of all.
void declareBudgets(CLI::App &app, Arguments &arguments) {
  CompileOptions &o = arguments.options;
  auto add = [&](const char *name, auto &value, const char *what) {
    return addFormatOption(app, arguments, name, value, what);
  };
  auto *calibrate = app.get_option("--calibrate");
  add("--bits", o.bits,
      "at most so many stored bits a weight: each weight gets the candidate "
      "with which all together do least harm on the text of --calibrate")
      ->check(cli::realBetween(1, 32))
      ->needs(calibrate);
  add("--max-size", o.maxSize, "the same for the artifact: 1.2GB, 900MiB")
      ->needs(calibrate);
  add("--max-memory", o.maxMemory,
      "the same for what a decoder takes in memory, weights, cache and "
      "steps, with sequences as long as --context, or a graph with samples "
      "of --calibrate: 8GB")
      ->needs(calibrate);
  add("--batch", o.batch,
      "with --max-memory, --max-latency or --check: sequences, or samples of a "
      "graph, that are served at once")
      ->check(cli::between(1, 1 << 16));
  add("--max-latency", o.maxLatency,
      "the same for the predicted time of a decode step of --batch sequences, "
      "at --context or, without it, at most 1024 positions, on the slowest GPU "
      "of --arch or on the host of --host-rates: 2.1ms, 800us")
      ->needs(calibrate);
  add("--host-rates", o.hostRates,
      "for --max-latency and --check on the host: what its kernels take, as "
      "bench/describe_host prints it; default: of an EPYC with 1 thread");
  add("--candidates", o.candidates,
      "formats that these budgets choose from; default: those that the target "
      "has fast kernels for")
      ->delimiter(',');
  add("--kv-candidates", o.cacheCandidates,
      "with --max-memory or --max-latency and without --kv: formats that the "
      "keys and values of each layer are chosen from, each perhaps with "
      ",recent=32,first=16, which a layer's keys and values have alike; "
      "default: int4_asym_g32_zf, int4, int8 and f16")
      ->delimiter(',')
      ->needs(calibrate);
  add("--moves", o.moves,
      "behind the choice, exchange the formats of so many pairs of weights or "
      "caches within these budgets, measure each as KL on text that no "
      "algorithm saw, and keep what lowers it")
      ->check(cli::between(0, mostMoves))
      ->needs(calibrate);
  add("--plan", o.plan,
      "a file of --save-plan: the format of every weight, and what it was "
      "calibrated on");
  add("--save-plan", o.savePlan,
      "write the format of every weight, its cost, and what others would have "
      "cost, as JSON");
}

/// What the result must be worth.
void declareGates(CLI::App &app, Arguments &arguments) {
  CompileOptions &o = arguments.options;
  auto add = [&](const char *name, auto &value, const char *what) {
    auto *option = app.add_option(name, value, what);
    arguments.useOnly(option, ofArtifacts, forArtifacts);
    return option;
  };
  cli::oneValueEach(
      add("--validate", o.validate,
          "text file or token ids (.npy), of a graph its inputs (.npz), or "
          "NAME=PATH: measure the artifact on it beside the "
          "unquantized model, on the host; several are measured together and "
          "each, at most 65536 tokens of each; default where a limit is given: "
          "the windows or samples of --calibrate that are held out"));
  add("--max-kl", o.mostDivergence,
      "write nothing if the mean KL divergence, in nats, is above this on any "
      "text; of a graph, of any output that is called logits")
      ->check(cli::realBetween(0, HUGE_VAL));
  add("--max-perplexity-increase", o.mostPerplexityIncrease,
      "the same for perplexity: percent above the unquantized model's")
      ->check(cli::realBetween(0, HUGE_VAL));
  add("--min-top1", o.leastSameTop,
      "the same if fewer percent of first choices are the unquantized model's")
      ->check(cli::realBetween(0, 100));
  add("--max-error", o.mostError,
      "the same for the outputs of a graph: the square of an output's error "
      "beside the square of the output, 0.01")
      ->check(cli::realBetween(0, HUGE_VAL));
  auto *keep = app.add_flag("--keep", o.keep,
                            "write the artifact that misses a limit, too; the "
                            "exit code says it");
  arguments.useOnly(keep, ofArtifacts, forArtifacts);
  auto *blame = app.add_flag(
      "--blame", arguments.blame,
      "write nothing, but tell of each layer how much closer to the "
      "unquantized model the artifact would be with that layer's weights as "
      "the file has them, on the texts of --validate");
  arguments.useOnly(blame, ofArtifacts, forArtifacts);
  auto *check = app.add_flag(
      "--check", arguments.check,
      "write nothing and read no weight, but tell what would be compiled: "
      "operators, formats, bytes on disk and in memory, predicted speed, and "
      "every problem; external data may be missing");
  check->excludes(blame);
  arguments.useOnly(check, ofArtifacts, forArtifacts);
}

/// What runs it, and how long its sequences are; the option of the target.
CLI::Option *declareTarget(CLI::App &app, Arguments &arguments) {
  CompileOptions &o = arguments.options;
  auto *target = app.add_option("--target", arguments.target,
                                "what it runs on: host or cuda [host]")
                     ->check(CLI::IsMember(targetNames));
  auto *arch =
      app.add_option("--arch", o.architectures,
                     "with --target cuda: GPUs that machine code is made for")
          ->capture_default_str();
  arguments.useOnly(arch, ofGpuSchedules,
                    "for --target cuda and its stages from scheduled on");
  auto *order = app.add_option(
      "--sum-order", o.sumOrder,
      "on the host: sum in the order of the kernels of a GPU, sm_90a, to "
      "compare results with its; slow, with --activations f16 or bf16");
  arguments.useOnly(order, ofSchedules, "for the stages from scheduled on");
  auto *tokenizer =
      app.add_option("--tokenizer", o.tokenizer,
                     "tokenizer.json; default: the one beside the model");
  arguments.useOnly(tokenizer, ofArtifacts, forArtifacts);
  auto *context =
      app.add_option("--context", o.context,
                     "longest sequence; default and limit: as the model says, "
                     "else 2048")
          ->check(cli::between(1, longestContext));
  arguments.useOnly(context, ofMeanings, "for the stages from qopt on");
  auto *cpu = app.add_option("--cpu", o.cpu, "processor of generated code")
                  ->capture_default_str();
  arguments.useOnly(cpu, ofHostArtifacts, "for artifacts of the host");
  return target;
}

/// How the compiler works, and what it says of it.
void declareWork(CLI::App &app, Arguments &arguments) {
  CompileOptions &o = arguments.options;
  app.add_option("--threads", o.threads,
                 "that the compiler has at once; default: all processors")
      ->check(cli::between(1, mostThreads));
  auto *strict = app.add_flag(
      "--strict", o.strict, "an error where an operation has no kernel family");
  arguments.useOnly(strict, ofArtifacts, forArtifacts);
  app.add_flag("--remarks", arguments.remarks,
               "print why what was done or not done");
  auto *json =
      app.add_flag("--json", arguments.json, "print the summary as JSON");
  arguments.useOnly(json, ofSummaries,
                    "for artifacts, and for the kernels of GPUs");
  auto *report = app.add_flag(
      "--report", arguments.report,
      "with --target cuda: print what each kernel and a decode step are "
      "predicted to take, and why");
  arguments.useOnly(report, ofGpuKernels,
                    "for --target cuda, its artifacts and its stage kernels");
}

void declare(CLI::App &app, Arguments &arguments) {
  declareModel(app, arguments);
  declareFormats(app, arguments);
  declareCalibration(app, arguments);
  declareBudgets(app, arguments);
  declareGates(app, arguments);
  CLI::Option *target = declareTarget(app, arguments);
  declareWork(app, arguments);
  // Behind the options that are for a target: they say more.
  arguments.useOnly(target, ofFormats, forFormats);
  cli::addExamples(
      app, {"qopt-compile model.onnx -o model.qopt",
            "qopt-compile model.onnx --weights int4_g32 --lm-head int8 -o "
            "model.qopt",
            "qopt-compile model.onnx --format 're:.*down_proj=int8' --weights "
            "int4_g64 -o model.qopt",
            "qopt-compile model.onnx --bits 4.25 --calibrate text.txt -o "
            "model.qopt",
            "qopt-compile model.onnx --weights int8 --validate text.txt "
            "--max-kl 0.05 --min-top1 90 -o model.qopt",
            "qopt-compile model.onnx --weights int4_g32 --validate text.txt "
            "--blame",
            "qopt-compile model.onnx --weights int4_g32 --target cuda --check",
            "qopt-compile encoder.onnx --as graph -o encoder.qopt",
            "qopt-compile model.onnx --emit qopt",
            "qopt-compile model.onnx --target cuda --weights int4_g32 --emit "
            "kernels --report"});
}

Status printSummary(const CompileSummary &s, const Arguments &arguments) {
  double bits = s.parameters ? 8.0 * s.weightBytes / s.parameters : 0;
  bool decoder = s.kind == ModelKind::Decoder;
  if (arguments.json) {
    nlohmann::ordered_json json;
    json["output"] = s.output;
    json["kind"] = decoder ? "decoder" : "graph";
    json["layers"] = s.layers;
    json["raised_layers"] = s.raisedLayers;
    json["generic_kernels"] = s.genericKernels;
    json["parameters"] = s.parameters;
    json["weight_bytes"] = s.weightBytes;
    json["bits_per_weight"] = bits;
    json["artifact_bytes"] = s.artifactBytes;
    json["remarks"] = s.remarks;
    json["warnings"] = s.warnings;
    if (!s.kernels.empty())
      cli::describeKernels(s, json);
    if (s.validation)
      json["validation"] = cli::describeValidation(*s.validation);
    for (const WeightSummary &weight : s.weights)
      json["weights"].push_back({{"name", weight.name},
                                 {"format", weight.format},
                                 {"rows", weight.rows},
                                 {"columns", weight.columns},
                                 {"bytes", weight.bytes}});
    return cli::printJson(json);
  }
  std::printf("%s: %s, raised %lld of %lld layers, %lld generic kernels\n",
              s.output.c_str(), decoder ? "decoder" : "graph",
              static_cast<long long>(s.raisedLayers),
              static_cast<long long>(s.layers),
              static_cast<long long>(s.genericKernels));
  std::printf("%.1f M weights at %.2f bits (%.1f MB), artifact %.1f MB\n",
              s.parameters / 1e6, bits, s.weightBytes / 1e6,
              s.artifactBytes / 1e6);
  if (s.validation)
    std::fputs(eval::spellTable(*s.validation).c_str(), stdout);
  if (arguments.report)
    printReport(s);
  return cli::flushOutput();
}

void printMessages(const CompileSummary &summary, bool remarks) {
  for (const std::string &warning : summary.warnings)
    std::fprintf(stderr, "warning: %s\n", warning.c_str());
  if (remarks)
    for (const std::string &remark : summary.remarks)
      std::fprintf(stderr, "remark: %s\n", remark.c_str());
}

Status printStage(const Arguments &arguments, Stage stage) {
  CompileSummary summary;
  StatusOr<std::string> text = emitStage(arguments.options, stage, &summary);
  if (!text.ok())
    return text.status();
  printMessages(summary, arguments.remarks);
  std::fputs(text->c_str(), stdout);
  return cli::flushOutput();
}

/// The stage kernels of a GPU: no text of the IR, but what is known of them.
Status printGpuKernels(const Arguments &arguments) {
  StatusOr<CompileSummary> summary = describeKernels(arguments.options);
  if (!summary.ok())
    return summary.status();
  printMessages(*summary, arguments.remarks);
  if (arguments.json) {
    nlohmann::ordered_json json;
    cli::describeKernels(*summary, json);
    json["remarks"] = summary->remarks;
    json["warnings"] = summary->warnings;
    return cli::printJson(json);
  }
  printKernels(*summary);
  if (arguments.report)
    printReport(*summary);
  return cli::flushOutput();
}

/// One error for an option that would do nothing.
Status checkUses(const Arguments &arguments, Stage stage) {
  for (const Arguments::Use &use : arguments.uses)
    if (use.option->count() && !use.has(arguments.options.target, stage))
      return Status(StatusCode::InvalidArgument,
                    use.option->get_name() + " is " + use.what + "; --target " +
                        arguments.target + " --emit " + arguments.emit +
                        " has no use for it, leave it out");
  return Status();
}

void printNotice(const std::string &message) {
  std::fprintf(stderr, "%s\n", message.c_str());
}

Status printBlame(const Arguments &arguments) {
  const CompileOptions &o = arguments.options;
  StatusOr<BlameSummary> found = [&] {
    cli::Progress progress;
    return blame(
        o,
        [&](const std::string &what, double done) {
          progress.show(what, done);
        },
        printNotice);
  }();
  if (!found.ok())
    return found.status();
  nlohmann::ordered_json json = cli::describeBlame(*found);
  if (arguments.json)
    return cli::printJson({{"blame", json}});
  std::fputs(cli::spellBlame(json).c_str(), stdout);
  return cli::flushOutput();
}

Status printCheck(const Arguments &arguments) {
  const CompileOptions &o = arguments.options;
  for (const auto &[option, isGiven] : {std::pair("-o", !o.output.empty()),
                                        {"--save-plan", !o.savePlan.empty()},
                                        {"--keep", o.keep}})
    if (isGiven)
      return Status(StatusCode::InvalidArgument,
                    std::string("--check writes nothing; leave out ") + option);
  StatusOr<CheckSummary> found = check(o);
  if (!found.ok())
    return found.status();
  printMessages(found->compilation, arguments.remarks);
  if (arguments.json) {
    QOPT_RETURN_IF_ERROR(cli::printJson(cli::describeCheck(*found, o)));
  } else {
    printCheck(*found, o);
    if (arguments.report)
      printReport(found->compilation);
    QOPT_RETURN_IF_ERROR(cli::flushOutput());
  }
  return cli::statusOf(*found);
}

Status work(Arguments &arguments) {
  arguments.options.kind = kinds.at(arguments.kind);
  arguments.options.target = targetNames.at(arguments.target);
  Stage stage = Stage::Artifact;
  for (const StageName &name : stageNames)
    if (arguments.emit == name.name)
      stage = name.stage;
  QOPT_RETURN_IF_ERROR(checkUses(arguments, stage));
  if (stage != Stage::Artifact && !arguments.options.output.empty())
    return Status(StatusCode::InvalidArgument,
                  "--emit prints to standard output; leave out -o");
  if (stage == Stage::Kernels && arguments.options.target == TargetDevice::Cuda)
    return printGpuKernels(arguments);
  if (stage != Stage::Artifact)
    return printStage(arguments, stage);
  if (arguments.blame)
    return printBlame(arguments);
  if (arguments.check)
    return printCheck(arguments);
  const CompileOptions &o = arguments.options;
  std::vector<std::string> read = {o.model, o.calibrate};
  for (const std::string &text : o.validate)
    read.push_back(splitName(text).path);
  QOPT_RETURN_IF_ERROR(
      cli::checkOutput("--save-plan", o.savePlan, cli::OutputKind::Plan, read));
  QOPT_RETURN_IF_ERROR(
      cli::checkOutputsDiffer("-o", o.output, "--save-plan", o.savePlan));
  StatusOr<CompileSummary> summary = [&] {
    cli::Progress progress;
    return compile(
        arguments.options,
        [&](const std::string &what, double done) {
          progress.show(what, done);
        },
        printNotice);
  }();
  if (!summary.ok())
    return summary.status();
  printMessages(*summary, arguments.remarks);
  return printSummary(*summary, arguments);
}

} // namespace
} // namespace qopt

int main(int argc, char **argv) {
  CLI::App app("Compiles a transformer in ONNX into one artifact.",
               "qopt-compile");
  qopt::cli::cleanBeforeEnding(qopt::codegen::removeTemporaryFolders);
  qopt::Arguments arguments;
  qopt::declare(app, arguments);
  return qopt::cli::run(app, argc, argv, [&] { return qopt::work(arguments); });
}
