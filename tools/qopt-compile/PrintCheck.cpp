// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tools/qopt-compile/PrintCheck.h"

#include "lib/Target/Magnitude.h"
#include "tools/cli/DescribeCheck.h"
#include "tools/qopt-compile/PrintReport.h"

#include <cstdio>

namespace qopt {

using cli::FormatSum;
using cli::isDecoder;
using target::spellQuantity;
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
  for (const FormatSum &sum : cli::formatsOf(check))
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
              spellQuantity(double(cli::servingBytes(check)), "B").c_str());
  if (isDecoder(check))
    std::printf(", %lld sequence%s of %lld positions\n", (long long)check.batch,
                check.batch == 1 ? "" : "s", (long long)check.context);
  else // known where there are samples of its inputs
    std::printf("%s\n", check.serving.size() > 1
                            ? ""
                            : ", and what the sizes of its inputs need");
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

static void printProblems(const CheckSummary &check) {
  std::printf("problems%s\n", check.problems.empty() ? ": none" : "");
  for (const CheckProblem &problem : check.problems)
    std::printf("  %s%s%s%s\n", cli::placeOf(problem).c_str(),
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

} // namespace qopt
