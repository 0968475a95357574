// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tools/qopt-compile/PrintReport.h"

#include "lib/Target/Magnitude.h"

#include <cstdio>
#include <functional>

namespace qopt {

using target::spellNumber;
using target::spellQuantity;
using target::spellTime;

/// "any" or the most tokens of a launch.
static std::string spellMost(const KernelSummary &kernel) {
  return kernel.most ? std::to_string(kernel.most) : "any";
}

/// A number that an assembler gives, or "-".
static std::string assembled(int64_t number) {
  return number ? std::to_string(number) : "-";
}

void printKernels(const CompileSummary &summary) {
  std::printf("%-7s %8s %6s %7s %9s %7s %6s  %s\n", "arch", "launches",
              "tokens", "threads", "registers", "shared", "code",
              "kernel: family schedule");
  for (const KernelSummary &kernel : summary.kernels)
    std::printf("%-7s %8lld %6s %7lld %9s %7lld %6s  %s: %s %s\n",
                kernel.architecture.c_str(), (long long)kernel.launches,
                spellMost(kernel).c_str(), (long long)kernel.threads,
                assembled(kernel.registers).c_str(),
                (long long)kernel.sharedBytes,
                assembled(kernel.codeBytes).c_str(), kernel.symbol.c_str(),
                kernel.family.c_str(), kernel.schedule.c_str());
}

static void printTerms(const Prediction &predicted, const char *indent) {
  for (const PredictedTerm &term : predicted.terms)
    if (term.seconds > 0)
      std::printf("%s%9s  %s: %s\n", indent, spellTime(term.seconds).c_str(),
                  term.name.c_str(), term.why.c_str());
}

static void printPrediction(const KernelSummary &kernel) {
  const Prediction &predicted = kernel.predicted;
  std::printf("%s: %s %s, %s\n", kernel.symbol.c_str(), kernel.family.c_str(),
              kernel.schedule.c_str(), kernel.why.c_str());
  std::printf("  launched %lld times in a step of %lld token%s; with %lld "
              "token%s %s, %s, %s, %s %% of the roof\n",
              (long long)kernel.launches, (long long)kernel.least,
              kernel.least == 1 ? "" : "s", (long long)kernel.tokens,
              kernel.tokens == 1 ? "" : "s",
              spellQuantity(predicted.bytes, "B").c_str(),
              spellQuantity(predicted.flops, "flop").c_str(),
              spellTime(predicted.seconds).c_str(),
              spellNumber(predicted.roofPart * 100).c_str());
  printTerms(predicted, "    ");
}

using StepVisitor =
    std::function<void(const char *how, const StepLaunches &launches)>;

/// Calls `visit` for each way in which a step can choose its token.
static void forEachChoice(const StepSummary &step, const StepVisitor &visit) {
  visit(step.sampling ? "greedy" : "to the logits", step.greedy);
  if (step.sampling)
    visit("sampling", *step.sampling);
}

static void printStep(const StepSummary &step, const char *how,
                      const StepLaunches &of) {
  const Prediction &predicted = of.predicted;
  std::printf(
      "decode step on %s (%s), %lld sequence%s of %lld positions, %s: "
      "predicted %.0f tokens/s, %s, %s %% of the roof; "
      "%lld launches, %s\n",
      step.architecture.c_str(), step.part.c_str(), (long long)step.sequences,
      step.sequences == 1 ? "" : "s", (long long)step.context, how,
      double(step.sequences) / predicted.seconds,
      spellTime(predicted.seconds).c_str(),
      spellNumber(predicted.roofPart * 100).c_str(), (long long)of.launches,
      spellQuantity(predicted.bytes, "B").c_str());
}

void printSteps(const CompileSummary &summary, const char *indent) {
  for (const StepSummary &step : summary.steps)
    forEachChoice(step, [&](const char *how, const StepLaunches &of) {
      std::printf("%s", indent);
      printStep(step, how, of);
    });
}

void printReport(const CompileSummary &summary) {
  for (const KernelSummary &kernel : summary.kernels)
    printPrediction(kernel);
  for (const StepSummary &step : summary.steps)
    forEachChoice(step, [&](const char *how, const StepLaunches &of) {
      printStep(step, how, of);
      printTerms(of.predicted, "  ");
    });
}

} // namespace qopt
