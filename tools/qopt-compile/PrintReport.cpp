// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tools/qopt-compile/PrintReport.h"

#include <cstdio>

namespace qopt {

using Json = nlohmann::ordered_json;

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
      std::printf("%s%9.2f us  %s: %s\n", indent, term.seconds * 1e6,
                  term.name.c_str(), term.why.c_str());
}

static void printPrediction(const KernelSummary &kernel) {
  const Prediction &predicted = kernel.predicted;
  std::printf("%s: %s %s, %s\n", kernel.symbol.c_str(), kernel.family.c_str(),
              kernel.schedule.c_str(), kernel.why.c_str());
  std::printf("  %lld launches a step; with %lld tokens %.3f MB, %.3f Mflop, "
              "%.2f us, %.1f %% of the roof\n",
              (long long)kernel.launches, (long long)kernel.tokens,
              predicted.bytes / 1e6, predicted.flops / 1e6,
              predicted.seconds * 1e6, predicted.roofPart * 100);
  printTerms(predicted, "    ");
}

void printReport(const CompileSummary &summary) {
  for (const KernelSummary &kernel : summary.kernels)
    printPrediction(kernel);
  for (const StepSummary &step : summary.steps) {
    const Prediction &predicted = step.predicted;
    std::printf("decode step on %s (%s), 1 sequence of %lld positions: "
                "predicted %.0f tokens/s, %.1f us, %.1f %% of the roof; "
                "%lld launches, %.3f MB\n",
                step.architecture.c_str(), step.part.c_str(),
                (long long)step.context, 1 / predicted.seconds,
                predicted.seconds * 1e6, predicted.roofPart * 100,
                (long long)step.launches, predicted.bytes / 1e6);
    printTerms(predicted, "  ");
  }
}

static Json describe(const Prediction &predicted) {
  Json terms = Json::array();
  for (const PredictedTerm &term : predicted.terms)
    terms.push_back(
        {{"name", term.name}, {"seconds", term.seconds}, {"why", term.why}});
  return {{"seconds", predicted.seconds},
          {"bytes", predicted.bytes},
          {"flops", predicted.flops},
          {"roof_part", predicted.roofPart},
          {"terms", std::move(terms)}};
}

void describeKernels(const CompileSummary &summary, Json &json) {
  json["kernels"] = Json::array();
  for (const KernelSummary &kernel : summary.kernels)
    json["kernels"].push_back({{"architecture", kernel.architecture},
                               {"symbol", kernel.symbol},
                               {"family", kernel.family},
                               {"schedule", kernel.schedule},
                               {"why", kernel.why},
                               {"most_tokens", kernel.most},
                               {"launches", kernel.launches},
                               {"threads", kernel.threads},
                               {"registers", kernel.registers},
                               {"shared_bytes", kernel.sharedBytes},
                               {"code_bytes", kernel.codeBytes},
                               {"predicted_tokens", kernel.tokens},
                               {"predicted", describe(kernel.predicted)}});
  json["steps"] = Json::array();
  for (const StepSummary &step : summary.steps)
    json["steps"].push_back({{"architecture", step.architecture},
                             {"part", step.part},
                             {"sequences", 1},
                             {"context", step.context},
                             {"launches", step.launches},
                             {"tokens_per_second", 1 / step.predicted.seconds},
                             {"predicted", describe(step.predicted)}});
}

} // namespace qopt
