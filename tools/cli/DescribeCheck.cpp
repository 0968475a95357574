// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tools/cli/DescribeCheck.h"

#include "tools/cli/DescribeSteps.h"
#include "tools/cli/ExitCode.h"

#include <algorithm>

namespace qopt::cli {

using Json = nlohmann::ordered_json;

std::vector<FormatSum> formatsOf(const CheckSummary &check) {
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

uint64_t servingBytes(const CheckSummary &check) {
  uint64_t bytes = 0;
  for (const ServingPart &part : check.serving)
    bytes += part.bytes;
  return bytes;
}

bool isDecoder(const CheckSummary &check) {
  return check.compilation.kind == ModelKind::Decoder;
}

std::string placeOf(const CheckProblem &problem) {
  if (problem.node.empty())
    return "";
  return "node \"" + problem.node + "\" (" + problem.op + ", " +
         (problem.domain.empty() ? "opset" : problem.domain) + " " +
         std::to_string(problem.opset) + "): ";
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
    problems.push_back({{"exit_code", int(exitCodeOf(problem.code))},
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

} // namespace qopt::cli
