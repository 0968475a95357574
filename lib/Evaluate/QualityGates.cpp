// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Evaluate/QualityGates.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>

namespace qopt::eval {

static double sixDigits(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", value);
  return std::strtod(text, nullptr);
}

static SliceSummary summarizeSlice(const Slice &slice) {
  const Figures &figures = slice.figures;
  const Agreement &agreement = *figures.agreement;
  const Estimate &divergence = agreement.divergence;
  double nll = figures.model.nll.value;
  double reference = agreement.reference.nll.value;
  Interval interval = divergence.interval.value_or(
      Interval{divergence.value, divergence.value});
  SliceSummary summary;
  summary.name = slice.name;
  summary.windows = figures.windows;
  summary.predictions = figures.predictions;
  summary.perplexity = sixDigits(std::exp(nll));
  summary.referencePerplexity = sixDigits(std::exp(reference));
  summary.perplexityIncrease = sixDigits(100 * std::expm1(nll - reference));
  summary.divergence = sixDigits(divergence.value);
  summary.divergenceLow = sixDigits(interval.low);
  summary.divergenceHigh = sixDigits(interval.high);
  summary.divergence99 = sixDigits(agreement.p99);
  summary.mostDivergence = sixDigits(agreement.most);
  summary.sameTop = sixDigits(100 * agreement.sameTop.value);
  return summary;
}

std::vector<SliceSummary> summarizeSlices(const Evaluation &evaluation) {
  std::vector<SliceSummary> slices{summarizeSlice(evaluation.all)};
  for (const Slice &domain : evaluation.domains)
    slices.push_back(summarizeSlice(domain));
  return slices;
}

std::vector<GateSummary> applyLimits(const QualityLimits &limits,
                                     const std::vector<SliceSummary> &slices) {
  std::vector<GateSummary> gates;
  auto apply = [&](const char *option, const std::optional<double> &limit,
                   double SliceSummary::*figure) {
    if (!limit)
      return;
    for (const SliceSummary &slice : slices)
      gates.push_back({option, slice.name, *limit, slice.*figure});
  };
  apply("max-kl", limits.mostDivergence, &SliceSummary::divergence);
  apply("max-perplexity-increase", limits.mostPerplexityIncrease,
        &SliceSummary::perplexityIncrease);
  apply("min-top1", limits.leastSameTop, &SliceSummary::sameTop);
  return gates;
}

template <typename... Values>
static void addLine(std::string &text, const char *format, Values... values) {
  char line[256];
  std::snprintf(line, sizeof line, format, values...);
  text += line;
}

std::string spellTable(const ValidationSummary &validation) {
  size_t longest = 5;
  for (const SliceSummary &slice : validation.slices)
    longest = std::max(longest, slice.name.size());
  int width = int(std::min<size_t>(longest, 60));
  std::string text = "measured on " + validation.device + "\n";
  addLine(text, "  %-*s %8s %11s %11s %10s %9s %23s %8s\n", width, "slice",
          "windows", "perplexity", "unquantized", "increase %", "mean KL",
          "95 % interval", "top-1 %");
  for (const SliceSummary &slice : validation.slices) {
    addLine(text, "  %-*.60s %8lld %11.5g %11.5g %10.3g %9.4g", width,
            slice.name.c_str(), (long long)slice.windows, slice.perplexity,
            slice.referencePerplexity, slice.perplexityIncrease,
            slice.divergence);
    if (slice.windows > 1)
      addLine(text, " %11.4g %11.4g", slice.divergenceLow,
              slice.divergenceHigh);
    else // there is nothing to draw an interval from
      addLine(text, " %23s", "-");
    addLine(text, " %8.4g\n", slice.sameTop);
  }
  if (!validation.gates.empty())
    addLine(text, "  %-*s %24s %12s %12s\n", width, "slice", "gate", "limit",
            "value");
  for (const GateSummary &gate : validation.gates)
    addLine(text, "  %-*.60s %24s %12.6g %12.6g  %s\n", width,
            gate.slice.c_str(), gate.option.c_str(), gate.limit, gate.value,
            gate.isMet() ? "met" : "missed");
  return text;
}

} // namespace qopt::eval
