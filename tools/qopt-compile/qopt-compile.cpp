// qopt-compile: an ONNX model in, an artifact out. Arguments and what a person
// or a program reads of the result; the work is include/qopt/Compiler.h.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "qopt/Compiler.h"
#include "tools/cli/CommandLine.h"
#include "tools/cli/Progress.h"

#include <cstdio>
#include <map>

namespace qopt {
namespace {

struct Arguments {
  CompileOptions options;
  std::string emit = "artifact";
  std::string kind = "automatic";
  std::string target = "host";
  bool json = false, remarks = false;
  std::vector<CLI::Option *> ofArtifacts; ///< those that --emit has no use for
};

const std::map<std::string, ModelKind> kinds = {
    {"automatic", ModelKind::Automatic},
    {"decoder", ModelKind::Decoder},
    {"graph", ModelKind::Graph}};

const std::map<std::string, TargetDevice> targetNames = {
    {"host", TargetDevice::Host}, {"cuda", TargetDevice::Cuda}};

void declare(CLI::App &app, Arguments &arguments) {
  CompileOptions &o = arguments.options;
  app.add_option("model", o.model, "model.onnx, or the folder that holds it")
      ->required();
  app.add_option("-o,--output", o.output, "the artifact to write");
  std::vector<std::string> stages;
  for (const StageName &stage : stageNames)
    stages.push_back(stage.name);
  app.add_option("--emit", arguments.emit,
                 "print the result of a stage instead of writing an artifact")
      ->check(CLI::IsMember(stages));
  app.add_option("--as", arguments.kind,
                 "what the model is compiled as; automatic: a decoder where it "
                 "is one")
      ->check(CLI::IsMember(kinds));
  app.add_option("--weights", o.weights,
                 "format of weights: f32 f16 bf16 int8 int8_g128 int4_g32 "
                 "int4_asym_g64 …; default: as in the file");
  app.add_option("--lm-head", o.lmHead,
                 "format of the head; default: --weights");
  app.add_option("--embedding", o.embedding,
                 "format of the token embedding; default: as in the file");
  app.add_option("--format", o.formats,
                 "format of single weights: name=FORMAT or re:PATTERN=FORMAT; "
                 "the first match wins");
  app.add_option("--activations", o.activations,
  auto *tokenizer =
      app.add_option("--tokenizer", o.tokenizer,
                     "tokenizer.json; default: the one beside the model");
  auto *context =
      app.add_option("--context", o.context,
                     "longest sequence; default and limit: as the model says")
          ->check(cli::between(1, longestContext));
  auto *cpu = app.add_option("--cpu", o.cpu, "processor of generated code")
                  ->capture_default_str();
  auto *threads = app.add_option("--threads", o.threads,
                                 "for writing weights; default: all processors")
                      ->check(cli::between(1, mostThreads));
  auto *strict = app.add_flag(
      "--strict", o.strict, "an error where an operation has no kernel family");
