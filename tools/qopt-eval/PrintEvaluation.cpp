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

static std::string percent(const Estimate &estimate) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3g %%", inPercent(estimate.value));
  return text + spellInterval(estimate, " (95 %%: %.3g to %.3g)", inPercent);
}

static void printPrediction(const char *who, const Prediction &prediction) {
  std::printf(
      "%s perplexity %.4f%s, calibration error %s\n", who,
      std::exp(prediction.nll.value),
      spellInterval(prediction.nll, " (95 %%: %.4f to %.4f)", std::exp).c_str(),
      percent(prediction.calibration.error).c_str());
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
  std::printf(
      "same first choice: %.3f %%%s\n", inPercent(agreement.sameTop.value),
      spellInterval(agreement.sameTop, " (95 %%: %.3f to %.3f)", inPercent)
          .c_str());
  std::printf("change of the true token's probability: RMS %s\n",
              percent(agreement.probabilityChange).c_str());
}

/// What the size of steps alone makes of each figure.
static void printFloor(const Figures &floor, double nll) {
  const Agreement &agreement = *floor.agreement;
  std::printf("floor, the model against itself in other steps: KL mean %.3g, "
              "99.9 %% %.3g, max %.3g nats; same first choice %.3f %%; RMS "
              "%.3g %%; perplexity %+.3g\n",
              agreement.divergence.value, agreement.p999, agreement.most,
              inPercent(agreement.sameTop.value),
              inPercent(agreement.probabilityChange.value),
              std::exp(floor.model.nll.value) - std::exp(nll));
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
  if (slices.front().floor)
    std::printf(" %9s %9s", "floor KL", "floor dp %");
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
    if (slice.floor)
      std::printf(" %9.3g %9.3g", slice.floor->agreement->divergence.value,
                  inPercent(slice.floor->agreement->probabilityChange.value));
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
  if (evaluation.all.floor)
    printFloor(*evaluation.all.floor, figures.model.nll.value);
  printSlices("domain", evaluation.domains);
  printSlices("tokens seen", evaluation.lengths);
}

void print(const ChoiceFigures &choices) {
  std::printf("%lld question%s: right %s\n", (long long)choices.questions,
              choices.questions == 1 ? "" : "s",
              percent(choices.accuracy).c_str());
  auto beside = [](const char *who, const ChoiceAgreement &agreement) {
    std::printf("%s right %s, flips %s, other choices %s\n", who,
                percent(agreement.accuracy).c_str(),
                percent(agreement.flips).c_str(),
                percent(agreement.changes).c_str());
  };
  if (choices.agreement)
    beside("reference:", *choices.agreement);
  if (choices.floor)
    beside("floor, the model itself in other steps:", *choices.floor);
}

void print(const std::vector<RetrievalDepth> &depths) {
  auto side = [](const RetrievalSide &side) {
    std::printf(" %8.3f %8.2f %8.3f", inPercent(side.probability.value),
                side.rank.value, inPercent(side.found.value));
  };
  auto beside = [&](const std::optional<RetrievalAgreement> &agreement) {
    if (!agreement)
      return;
    side(agreement->side);
    std::printf(" %+8.3f", inPercent(agreement->change.value));
  };
  auto titles = [](const char *who) {
    std::printf(" %8s %8s %8s", (std::string(who) + "p %").c_str(), "rank",
                "found %");
  };
  std::printf("\n%-10s", "needle at");
  titles("");
  for (const auto *other : {depths[0].reference ? "ref. " : nullptr,
                            depths[0].floor ? "floor " : nullptr})
    if (other) {
      titles(other);
      std::printf(" %8s", "change");
    }
  std::printf("\n");
  for (const RetrievalDepth &depth : depths) {
    std::string name =
        depth.percent ? std::to_string(*depth.percent) + " %" : "nowhere";
    std::printf("%-10s", name.c_str());
    side(depth.model);
    beside(depth.reference);
    beside(depth.floor);
    std::printf("\n");
  }
}

} // namespace qopt::eval
