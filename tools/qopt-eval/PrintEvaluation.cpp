// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tools/qopt-eval/PrintEvaluation.h"

#include <cmath>
#include <cstdio>

namespace qopt::eval {

using Json = nlohmann::ordered_json;

static constexpr const char *noInterval =
    "intervals are drawn from windows, and there is one";

static Json orNull(const std::optional<Interval> &interval,
                   double Interval::*bound, double (*spelt)(double)) {
  return interval ? Json(spelt(*interval.*bound)) : Json(nullptr);
}

static Json spellEstimate(const Estimate &estimate, double (*spelt)(double)) {
  return {{"mean", spelt(estimate.mean)},
          {"low", orNull(estimate.interval, &Interval::low, spelt)},
          {"high", orNull(estimate.interval, &Interval::high, spelt)}};
}

static Json spellPrediction(const Prediction &prediction) {
  const Estimate &nll = prediction.nll;
  double (*perplexity)(double) = std::exp;
  return {
      {"perplexity", perplexity(nll.mean)},
      {"perplexity_low", orNull(nll.interval, &Interval::low, perplexity)},
      {"perplexity_high", orNull(nll.interval, &Interval::high, perplexity)},
      {"nll", nll.mean}};
}

Json describe(const Evaluation &evaluation, const TokenWindows &windows,
              const EvaluationNames &names) {
  double tokens = double(windows.count() * windows.length());
  Json json = {{"tool", "qopt-eval"},
               {"model", names.model},
               {"windows", windows.count()},
               {"window_length", windows.length()}};
  json.update(spellPrediction(evaluation.model));
  if (!evaluation.model.nll.interval)
    json["no_interval"] = noInterval;
  json["tokens_per_second"] = tokens / evaluation.seconds;
  json["seed"] = names.seed;
  if (!evaluation.agreement)
    return json;
  const Agreement &agreement = *evaluation.agreement;
  json["reference"] = {{"model", names.reference}};
  json["reference"].update(spellPrediction(agreement.reference));
  json["kl"] =
      spellEstimate(agreement.divergence, [](double nats) { return nats; });
  json["kl"].update({{"median", agreement.median},
                     {"p99", agreement.p99},
                     {"max", agreement.most}});
  json["same_top1_percent"] = spellEstimate(
      agreement.sameTop, [](double share) { return 100 * share; });
  return json;
}

void print(const Evaluation &evaluation, const TokenWindows &windows) {
  auto interval = [](const Estimate &estimate, const char *format,
                     double (*spelt)(double)) {
    char text[96] = "";
    if (estimate.interval)
      std::snprintf(text, sizeof text, format, spelt(estimate.interval->low),
                    spelt(estimate.interval->high));
    return std::string(text);
  };
  auto perplexity = [&](const char *who, const Estimate &nll) {
    std::printf("%s perplexity %.4f%s\n", who, std::exp(nll.mean),
                interval(nll, " (95 %%: %.4f to %.4f)", std::exp).c_str());
  };
  std::printf("%lld window%s of %lld tokens\n", (long long)windows.count(),
              windows.count() == 1 ? "" : "s", (long long)windows.length());
  if (!evaluation.model.nll.interval)
    std::printf("no intervals: %s\n", noInterval);
  perplexity("model:    ", evaluation.model.nll);
  if (!evaluation.agreement)
    return;
  const Agreement &agreement = *evaluation.agreement;
  perplexity("reference:", agreement.reference.nll);
  std::printf(
      "KL(reference || model): mean %.3g%s, median %.3g, 99 %% %.3g, max %.3g "
      "nats\n",
      agreement.divergence.mean,
      interval(agreement.divergence, " (95 %%: %.3g to %.3g)",
               [](double nats) { return nats; })
          .c_str(),
      agreement.median, agreement.p99, agreement.most);
  std::printf(
      "same first choice: %.3f %%%s\n", 100 * agreement.sameTop.mean,
      interval(agreement.sameTop, " (95 %%: %.3f to %.3f)", [](double share) {
        return 100 * share;
      }).c_str());
}

} // namespace qopt::eval
