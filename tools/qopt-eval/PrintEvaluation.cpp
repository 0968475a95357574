// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tools/qopt-eval/PrintEvaluation.h"

#include "tools/qopt-eval/DescribeEvaluation.h"

#include <cmath>
#include <cstdio>

namespace qopt::eval {

std::string spellInterval(const Estimate &estimate, const char *format,
                          double (*spelt)(double)) {
  char text[96] = "";
  if (estimate.interval)
    std::snprintf(text, sizeof text, format, spelt(estimate.interval->low),
                  spelt(estimate.interval->high));
  return text;
}

static void printPrediction(const char *who, const Prediction &prediction) {
  const Estimate &error = prediction.calibration.error;
  std::printf(
      "%s perplexity %.4f%s, calibration error %.3f %%%s\n", who,
      std::exp(prediction.nll.value),
      spellInterval(prediction.nll, " (95 %%: %.4f to %.4f)", std::exp).c_str(),
      inPercent(error.value),
      spellInterval(error, " (95 %%: %.3f to %.3f)", inPercent).c_str());
}

static void printAgreement(const Agreement &agreement) {
  std::printf(
      "KL(reference || model): mean %.3g%s, median %.3g, 99 %% %.3g, 99.9 %% "
      "%.3g, max %.3g nats\n",
      agreement.divergence.value,
      spellInterval(agreement.divergence, " (95 %%: %.3g to %.3g)",
                    [](double nats) { return nats; })
          .c_str(),
      agreement.median, agreement.p99, agreement.p999, agreement.most);
  const Estimate &change = agreement.probabilityChange;
  std::printf(
      "same first choice: %.3f %%%s\n", inPercent(agreement.sameTop.value),
      spellInterval(agreement.sameTop, " (95 %%: %.3f to %.3f)", inPercent)
          .c_str());
  std::printf(
      "change of the true token's probability: RMS %.3g %%%s\n",
      inPercent(change.value),
      spellInterval(change, " (95 %%: %.3g to %.3g)", inPercent).c_str());
}

static void printSlices(const char *title, const std::vector<Slice> &slices) {
  if (slices.empty())
    return;
  bool compared = slices.front().figures.agreement.has_value();
  std::printf("\n%-24s %11s %10s %7s", title, "predictions", "perplexity",
              "ECE %");
  if (compared)
    std::printf(" %10s %9s %9s %8s %8s", "reference", "KL", "KL 99.9 %",
                "same %", "RMS dp %");
  std::printf("\n");
  for (const Slice &slice : slices) {
    const Figures &figures = slice.figures;
    std::printf("%-24s %11lld %10.4f %7.3f", slice.name.c_str(),
                (long long)figures.predictions,
                std::exp(figures.model.nll.value),
                inPercent(figures.model.calibration.error.value));
    if (figures.agreement)
      std::printf(" %10.4f %9.3g %9.3g %8.3f %8.3g",
                  std::exp(figures.agreement->reference.nll.value),
                  figures.agreement->divergence.value, figures.agreement->p999,
                  inPercent(figures.agreement->sameTop.value),
                  inPercent(figures.agreement->probabilityChange.value));
    std::printf("\n");
  }
}

void print(const Evaluation &evaluation, const TokenWindows &windows) {
  const Figures &figures = evaluation.all.figures;
  std::printf("%lld window%s of %lld tokens\n", (long long)windows.count(),
              windows.count() == 1 ? "" : "s", (long long)windows.length());
  if (!figures.model.nll.interval)
    std::printf("no intervals: %s\n", noInterval);
  printPrediction("model:    ", figures.model);
  if (figures.agreement) {
    printPrediction("reference:", figures.agreement->reference);
    printAgreement(*figures.agreement);
  }
  printSlices("domain", evaluation.domains);
  printSlices("tokens seen", evaluation.lengths);
}

} // namespace qopt::eval
