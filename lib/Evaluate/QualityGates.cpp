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

static OutputSummary summarizeOutput(const std::string &slice,
                                     const OutputFigures &figures) {
  auto intervalOf = [](const Estimate &estimate) {
    return estimate.interval.value_or(Interval{estimate.value, estimate.value});
  };
  OutputSummary summary;
  summary.slice = slice;
  summary.output = figures.name;
  summary.samples = figures.samples;
  summary.rows = figures.rows;
  summary.error = sixDigits(figures.error.value);
  summary.errorLow = sixDigits(intervalOf(figures.error).low);
  summary.errorHigh = sixDigits(intervalOf(figures.error).high);
  if (!figures.rowAgreement)
    return summary;
  const RowAgreement &rows = *figures.rowAgreement;
  summary.hasLogits = true;
  summary.divergence = sixDigits(rows.divergence.value);
  summary.divergenceLow = sixDigits(intervalOf(rows.divergence).low);
  summary.divergenceHigh = sixDigits(intervalOf(rows.divergence).high);
  summary.divergence99 = sixDigits(rows.p99);
  summary.mostDivergence = sixDigits(rows.most);
  summary.sameTop = sixDigits(100 * rows.sameTop.value);
  return summary;
}

std::vector<OutputSummary> summarizeOutputs(const GraphEvaluation &evaluation) {
  std::vector<OutputSummary> outputs;
  auto add = [&](const GraphSlice &slice) {
    for (const OutputFigures &figures : slice.outputs)
      outputs.push_back(summarizeOutput(slice.name, figures));
  };
  add(evaluation.all);
  for (const GraphSlice &file : evaluation.files)
    add(file);
  return outputs;
}

std::vector<GateSummary>
applyLimits(const QualityLimits &limits,
            const std::vector<OutputSummary> &outputs) {
  std::vector<GateSummary> gates;
  auto apply = [&](const char *option, const std::optional<double> &limit,
                   double OutputSummary::*figure, bool isOfLogits) {
    for (const OutputSummary &output : outputs)
      if (limit && (output.hasLogits || !isOfLogits))
        gates.push_back(
            {option, output.slice, *limit, output.*figure, output.output});
  };
  apply("max-error", limits.mostError, &OutputSummary::error, false);
  apply("max-kl", limits.mostDivergence, &OutputSummary::divergence, true);
  apply("min-top1", limits.leastSameTop, &OutputSummary::sameTop, true);
  return gates;
}

template <typename... Values>
static void addLine(std::string &text, const char *format, Values... values) {
  char line[256];
  std::snprintf(line, sizeof line, format, values...);
  text += line;
}

/// Of the first column.
template <typename Lines, typename NameOf>
static int widthOf(const Lines &lines, NameOf nameOf) {
  size_t longest = 5;
  for (const auto &line : lines)
    longest = std::max(longest, nameOf(line).size());
  return int(std::min<size_t>(longest, 60));
}

static void addInterval(std::string &text, int64_t units, double low,
                        double high) {
  if (units > 1)
    addLine(text, " %11.4g %11.4g", low, high);
  else // there is nothing to draw an interval from
    addLine(text, " %23s", "-");
}

static void addSlices(std::string &text,
                      const std::vector<SliceSummary> &slices, int width) {
  addLine(text, "  %-*s %8s %11s %11s %10s %9s %23s %8s\n", width, "slice",
          "windows", "perplexity", "unquantized", "increase %", "mean KL",
          "95 % interval", "top-1 %");
  for (const SliceSummary &slice : slices) {
    addLine(text, "  %-*.60s %8lld %11.5g %11.5g %10.3g %9.4g", width,
            slice.name.c_str(), (long long)slice.windows, slice.perplexity,
            slice.referencePerplexity, slice.perplexityIncrease,
            slice.divergence);
    addInterval(text, slice.windows, slice.divergenceLow, slice.divergenceHigh);
    addLine(text, " %8.4g\n", slice.sameTop);
  }
}

/// As a person reads it: "all: logits".
static std::string spellOutput(const std::string &slice,
                               const std::string &output) {
  return output.empty() ? slice : slice + ": " + output;
}

static void addOutputs(std::string &text,
                       const std::vector<OutputSummary> &outputs, int width) {
  addLine(text, "  %-*s %8s %8s %9s %23s %8s %9s %23s %8s\n", width, "output",
          "samples", "rows", "error", "95 % interval", "SNR dB", "mean KL",
          "95 % interval", "top-1 %");
  for (const OutputSummary &output : outputs) {
    addLine(text, "  %-*.60s %8lld %8lld %9.4g", width,
            spellOutput(output.slice, output.output).c_str(),
            (long long)output.samples, (long long)output.rows, output.error);
    addInterval(text, output.samples, output.errorLow, output.errorHigh);
    addLine(text, " %8.4g", -10 * std::log10(output.error));
    if (output.hasLogits) {
      addLine(text, " %9.4g", output.divergence);
      addInterval(text, output.samples, output.divergenceLow,
                  output.divergenceHigh);
      addLine(text, " %8.4g\n", output.sameTop);
    } else {
      addLine(text, " %9s %23s %8s\n", "-", "-", "-");
    }
  }
}

std::string spellTable(const ValidationSummary &validation) {
  bool isOfGraph = !validation.outputs.empty();
  int width =
      std::max(widthOf(validation.slices,
                       [](const SliceSummary &slice) { return slice.name; }),
               widthOf(validation.outputs, [](const OutputSummary &output) {
                 return spellOutput(output.slice, output.output);
               }));
  std::string text = "measured on " + validation.device + "\n";
  if (isOfGraph)
    addOutputs(text, validation.outputs, width);
  else
    addSlices(text, validation.slices, width);
  if (!validation.gates.empty())
    addLine(text, "  %-*s %24s %12s %12s\n", width,
            isOfGraph ? "output" : "slice", "gate", "limit", "value");
  for (const GateSummary &gate : validation.gates)
    addLine(text, "  %-*.60s %24s %12.6g %12.6g  %s\n", width,
            spellOutput(gate.slice, gate.output).c_str(), gate.option.c_str(),
            gate.limit, gate.value, gate.isMet() ? "met" : "missed");
  return text;
}

} // namespace qopt::eval
