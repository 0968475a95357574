// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tools/qopt-compile/PrintCheck.h"

#include "lib/Target/Magnitude.h"
#include "tools/cli/ExitCode.h"
#include "tools/qopt-compile/PrintReport.h"

#include <algorithm>
#include <cstdio>

namespace qopt {

using target::spellQuantity;
using Json = nlohmann::ordered_json;

namespace {
/// Weights of one format.
struct FormatSum {
  std::string format;
  int64_t weights = 0, elements = 0;
  uint64_t bytes = 0;
};
} // namespace

static std::vector<FormatSum> formatsOf(const CheckSummary &check) {
  std::vector<FormatSum> sums;
  for (const WeightSummary &weight : check.compilation.weights) {
    auto known =
        std::find_if(sums.begin(), sums.end(), [&](const FormatSum &sum) {
          return sum.format == weight.format;
        });
    if (known == sums.end())
      known = sums.insert(known, {weight.format});
    ++known->weights;
    known->elements += weight.rows * weight.columns;
    known->bytes += weight.bytes;
  }
  return sums;
}

static uint64_t servingBytes(const CheckSummary &check) {
  uint64_t bytes = 0;
  for (const ServingPart &part : check.serving)
    bytes += part.bytes;
  return bytes;
}

static bool isDecoder(const CheckSummary &check) {
  return check.compilation.kind == ModelKind::Decoder;
}

static void printModel(const CheckSummary &check) {
  std::printf("model\n  %s%s",
              check.family.empty() ? "" : (check.family + ", ").c_str(),
              !check.isRaised    ? "not raised: see the problems"
              : isDecoder(check) ? "decoder"
                                 : "graph");
  if (check.isRaised)
    std::printf(", raised %lld of %lld layers, %lld generic kernels",
                (long long)check.compilation.raisedLayers,
                (long long)check.compilation.layers,
                (long long)check.compilation.genericKernels);
  std::printf("\n");
  for (const std::string &reason : check.unraised)
    std::printf("  %s\n", reason.c_str());
}

static void printOperators(const CheckSummary &check) {
  std::printf("operators\n  %-13s %5s %6s %6s %7s %8s  %s\n", "domain", "opset",
              "nodes", "family", "generic", "absorbed", "operator");
  auto known = [&](int64_t number) {
    return check.isComplete ? std::to_string(number) : "?";
  };
  for (const OperatorCheck &op : check.operators)
    std::printf("  %-13s %5lld %6lld %6s %7s %8s  %s%s\n",
                op.domain.empty() ? "ai.onnx" : op.domain.c_str(),
                (long long)op.opset, (long long)op.nodes,
                known(op.families).c_str(), known(op.generic).c_str(),
                known(op.absorbed).c_str(), op.op.c_str(),
                op.isSupported ? "" : ": not supported");
}

static void printFormats(const CheckSummary &check) {
  std::printf("formats of weights\n");
  for (const FormatSum &sum : formatsOf(check))
    std::printf("  %s: %lld weights, %s, %.2f bits\n", sum.format.c_str(),
                (long long)sum.weights,
                spellQuantity(double(sum.bytes), "B").c_str(),
                8.0 * double(sum.bytes) / double(sum.elements));
}

static void printMemory(const CheckSummary &check, bool gpu) {
  std::printf(
      "memory\n  artifact: %llu bytes (%s)\n"
      "  compiling, at its peak: about %s\n",
      (unsigned long long)check.compilation.artifactBytes,
      spellQuantity(double(check.compilation.artifactBytes), "B").c_str(),
      spellQuantity(double(check.compileBytes), "B").c_str());
  std::printf("  serving, %s memory: %s", gpu ? "device" : "host",
              spellQuantity(double(servingBytes(check)), "B").c_str());
  if (isDecoder(check))
    std::printf(", %lld sequence%s of %lld positions\n", (long long)check.batch,
                check.batch == 1 ? "" : "s", (long long)check.context);
  else
    std::printf(", and what the sizes of its inputs need\n");
  for (const ServingPart &part : check.serving)
    if (part.bytes)
      std::printf("    %s: %s\n", part.what.c_str(),
                  spellQuantity(double(part.bytes), "B").c_str());
}

static void printSpeed(const CheckSummary &check) {
  std::printf("speed\n");
  if (check.compilation.steps.empty())
    std::printf("  it is not predicted%s\n",
                isDecoder(check) ? "" : " of a graph");
  printSteps(check.compilation, "  ");
}

static void printMissed(const CheckSummary &check) {
  std::printf("lost fusions%s\n", check.missed.empty() ? ": none" : "");
  for (const MissedFusion &missed : check.missed)
    std::printf("  %lld x %s: %s (first: \"%s\")\n", (long long)missed.places,
                missed.what.c_str(), missed.reason.c_str(),
                missed.first.c_str());
}

/// `node "x" (Softmax, opset 13)`, as errors name it.
static std::string placeOf(const CheckProblem &problem) {
  if (problem.node.empty())
    return "";
  return "node \"" + problem.node + "\" (" + problem.op + ", " +
         (problem.domain.empty() ? "opset" : problem.domain) + " " +
         std::to_string(problem.opset) + "): ";
}

static void printProblems(const CheckSummary &check) {
  std::printf("problems%s\n", check.problems.empty() ? ": none" : "");
  for (const CheckProblem &problem : check.problems)
    std::printf("  %s%s%s%s\n", placeOf(problem).c_str(),
                problem.reason.c_str(), problem.nextStep.empty() ? "" : "; ",
                problem.nextStep.c_str());
  for (const std::string &option : check.unchecked)
    std::printf("  not checked, for that needs the weights: %s\n",
                option.c_str());
}

void printCheck(const CheckSummary &check, const CompileOptions &options) {
  bool gpu = options.target == TargetDevice::Cuda;
  printModel(check);
  printOperators(check);
  if (check.isComplete) {
    printFormats(check);
    printMemory(check, gpu);
    printSpeed(check);
  }
  printMissed(check);
  printProblems(check);
}

static Json describeOperators(const CheckSummary &check) {
  Json operators = Json::array();
  for (const OperatorCheck &op : check.operators) {
    Json json{{"operator", op.op},
              {"domain", op.domain},
              {"opset", op.opset},
              {"nodes", op.nodes},
              {"supported", op.isSupported}};
    if (check.isComplete) {
      json["family"] = op.families;
      json["generic"] = op.generic;
      json["absorbed"] = op.absorbed;
    }
    operators.push_back(std::move(json));
  }
  return operators;
}

static Json describeFormats(const CheckSummary &check) {
  Json formats = Json::array();
  for (const FormatSum &sum : formatsOf(check))
    formats.push_back({{"format", sum.format},
                       {"weights", sum.weights},
                       {"elements", sum.elements},
                       {"bytes", sum.bytes}});
  return formats;
}

static Json describeMemory(const CheckSummary &check) {
  Json parts = Json::array();
  for (const ServingPart &part : check.serving)
    parts.push_back({{"what", part.what}, {"bytes", part.bytes}});
  return {{"artifact_bytes", check.compilation.artifactBytes},
          {"compile_peak_bytes", check.compileBytes},
          {"serving_bytes", servingBytes(check)},
          {"serving_parts", std::move(parts)},
          {"batch", check.batch},
          {"context", check.context}};
}

static Json describeProblems(const CheckSummary &check) {
  Json problems = Json::array();
  for (const CheckProblem &problem : check.problems)
    problems.push_back({{"exit_code", int(cli::exitCodeOf(problem.code))},
                        {"node", problem.node},
                        {"operator", problem.op},
                        {"domain", problem.domain},
                        {"opset", problem.opset},
                        {"reason", problem.reason},
                        {"next_step", problem.nextStep}});
  return problems;
}

static Json describeModel(const CheckSummary &check) {
  Json model{{"family", check.family}};
  if (check.isRaised) {
    model["kind"] = isDecoder(check) ? "decoder" : "graph";
    model["layers"] = check.compilation.layers;
    model["raised_layers"] = check.compilation.raisedLayers;
    model["generic_kernels"] = check.compilation.genericKernels;
  }
  model["not_raised"] = check.unraised;
  return model;
}

Json describeCheck(const CheckSummary &check, const CompileOptions &options) {
  bool gpu = options.target == TargetDevice::Cuda;
  Json json{{"schema", "qopt-check-1"},
            {"target", gpu ? "cuda" : "host"},
            {"complete", check.isComplete},
            {"model", describeModel(check)},
            {"operators", describeOperators(check)}};
  if (check.isComplete) {
    json["formats"] = describeFormats(check);
    json["memory"] = describeMemory(check);
    json["steps"] = describeSteps(check.compilation);
  }
  json["lost_fusions"] = Json::array();
  for (const MissedFusion &missed : check.missed)
    json["lost_fusions"].push_back({{"what", missed.what},
                                    {"reason", missed.reason},
                                    {"places", missed.places},
                                    {"first", missed.first}});
  json["absent_files"] = Json::array();
  for (const AbsentFile &absent : check.absent)
    json["absent_files"].push_back({{"file", absent.file},
                                    {"bytes", absent.bytes},
                                    {"tensors", absent.tensors}});
  json["warnings"] = check.compilation.warnings;
  json["unchecked"] = check.unchecked;
  json["problems"] = describeProblems(check);
  return json;
}

Status statusOf(const CheckSummary &check) {
  if (check.problems.empty())
    return Status();
  const CheckProblem &first = check.problems.front();
  std::string text = placeOf(first) + first.reason;
  if (!first.nextStep.empty())
    text += "; " + first.nextStep;
  size_t others = check.problems.size() - 1;
  if (others)
    text += "\n  and " + std::to_string(others) + " more";
  return Status(first.code, text);
}

} // namespace qopt
