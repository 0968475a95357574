// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tools/qopt-eval/DescribeEvaluation.h"

#include <cmath>

namespace qopt::eval {

using Json = nlohmann::ordered_json;

double inPercent(double share) { return 100 * share; }

static Json orNull(const std::optional<Interval> &interval,
                   double Interval::*bound, double (*spelt)(double)) {
  return interval ? Json(spelt(*interval.*bound)) : Json(nullptr);
}

Json describe(const char *name, const Estimate &estimate,
              double (*spelt)(double)) {
  return {{name, spelt(estimate.value)},
          {"low", orNull(estimate.interval, &Interval::low, spelt)},
          {"high", orNull(estimate.interval, &Interval::high, spelt)}};
}

static Json describeCalibration(const Calibration &calibration) {
  Json json = describe("expected", calibration.error, inPercent);
  Json bins = Json::array();
  for (const CalibrationBin &bin : calibration.bins)
    bins.push_back({{"count", bin.count},
                    {"confidence", bin.confidence},
                    {"accuracy", bin.accuracy}});
  json["bins"] = bins;
  return json;
}

static Json describePrediction(const Prediction &prediction) {
  const Estimate &nll = prediction.nll;
  double (*perplexity)(double) = std::exp;
  return {
      {"perplexity", perplexity(nll.value)},
      {"perplexity_low", orNull(nll.interval, &Interval::low, perplexity)},
      {"perplexity_high", orNull(nll.interval, &Interval::high, perplexity)},
      {"nll", nll.value},
      {"calibration_error_percent",
       describeCalibration(prediction.calibration)}};
}

static Json describeFigures(const Figures &figures) {
  Json json = describePrediction(figures.model);
  if (!figures.agreement)
    return json;
  const Agreement &agreement = *figures.agreement;
  json["reference"] = describePrediction(agreement.reference);
  json["kl"] = describe("mean", agreement.divergence);
  json["kl"].update({{"median", agreement.median},
                     {"p99", agreement.p99},
                     {"p999", agreement.p999},
                     {"max", agreement.most}});
  json["same_top1_percent"] = describe("mean", agreement.sameTop, inPercent);
  json["probability_change_percent"] =
      describe("rms", agreement.probabilityChange, inPercent);
  return json;
}

static Json describeSlice(const Slice &slice) {
  Json json = describeFigures(slice.figures);
  if (slice.floor)
    json["floor"] = describeFigures(*slice.floor);
  return json;
}

static void describeSlices(const char *kind, const std::vector<Slice> &slices,
                           Json &json) {
  for (const Slice &slice : slices) {
    Json entry = {{"name", slice.name},
                  {"windows", slice.figures.windows},
                  {"predictions", slice.figures.predictions}};
    entry.update(describeSlice(slice));
    json[kind].push_back(entry);
  }
}

void describe(const Evaluation &evaluation, const TokenWindows &windows,
              Json &json) {
  double tokens = double(windows.count() * windows.length());
  json["windows"] = windows.count();
  json["window_length"] = windows.length();
  json.update(describeSlice(evaluation.all));
  if (!evaluation.all.figures.model.nll.interval)
    json["no_interval"] = noInterval;
  json["tokens_per_second"] = tokens / evaluation.seconds;
  describeSlices("domains", evaluation.domains, json);
  describeSlices("lengths", evaluation.lengths, json);
}

static Json describeAgreement(const ChoiceAgreement &agreement) {
  return {{"accuracy_percent", describe("mean", agreement.accuracy, inPercent)},
          {"flips_percent", describe("mean", agreement.flips, inPercent)},
          {"changes_percent", describe("mean", agreement.changes, inPercent)}};
}

void describe(const ChoiceFigures &choices, Json &json) {
  Json &found = json["choices"];
  found = {{"questions", choices.questions},
           {"accuracy_percent", describe("mean", choices.accuracy, inPercent)}};
  if (choices.agreement)
    found["reference"] = describeAgreement(*choices.agreement);
  if (choices.floor)
    found["floor"] = describeAgreement(*choices.floor);
}

static Json describeSide(const RetrievalSide &side) {
  return {
      {"probability_percent", describe("mean", side.probability, inPercent)},
      {"rank", describe("mean", side.rank)},
      {"found_percent", describe("mean", side.found, inPercent)}};
}

static Json describeAgreement(const RetrievalAgreement &agreement) {
  Json json = describeSide(agreement.side);
  json["change_percent"] = describe("mean", agreement.change, inPercent);
  return json;
}

void describe(const std::vector<RetrievalDepth> &depths, Json &json) {
  for (const RetrievalDepth &depth : depths) {
    Json entry = {{"depth_percent", nullptr}};
    if (depth.percent)
      entry["depth_percent"] = *depth.percent;
    entry.update(describeSide(depth.model));
    if (depth.reference)
      entry["reference"] = describeAgreement(*depth.reference);
    if (depth.floor)
      entry["floor"] = describeAgreement(*depth.floor);
    json["retrieval"].push_back(entry);
  }
}

} // namespace qopt::eval
