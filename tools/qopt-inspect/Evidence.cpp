// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tools/qopt-inspect/Evidence.h"

#include "lib/Evaluate/QualityGates.h"
#include "runtime/PrintableText.h"
#include "runtime/plan/EvidenceFormat.h"
#include "tools/cli/DescribeValidation.h"

#include <cstdio>

namespace qopt::inspect {

/// Null where there is none that can be read.
static Json precisionPlan(const plan::Plan &plan) {
  const flatbuffers::String *text = plan.manifest()->precision_plan();
  Json json = Json::parse(text ? text->str() : "", nullptr,
                          /*allow_exceptions=*/false);
  return json.is_object() ? json : Json(nullptr);
}

void describeEvidence(const plan::Plan &plan, Json &json) {
  json["precision_plan"] = precisionPlan(plan);
  json["validation"] = nullptr;
  if (const plan::Validation *validation = plan.manifest()->validation())
    json["validation"] =
        cli::describeValidation(runtime::toValidation(*validation));
}

/// A member as a terminal may have it; "?" where the file has none.
static std::string spellMember(const Json &json, const char *name) {
  if (!json.contains(name))
    return "?";
  const Json &member = json[name];
  return runtime::printable(member.is_string() ? member.get<std::string>()
                                               : member.dump());
}

/// What keys and values were like on the text of calibration, a line each.
static void printCaches(const Json &precision) {
  if (!precision.contains("caches") || !precision["caches"].is_array())
    return;
  for (const Json &cache : precision["caches"])
    for (const char *part : {"before_rotary", "statistics"}) {
      if (!cache.is_object() || !cache.contains(part) ||
          !cache[part].is_object())
        continue;
      const Json &seen = cache[part];
      std::printf("  %s%s: largest %s, rms %s, outlier channels %s\n",
                  spellMember(cache, "name").c_str(),
                  *part == 'b' ? " before rotary" : "",
                  spellMember(seen, "largest").c_str(),
                  spellMember(seen, "rms").c_str(),
                  spellMember(seen, "outliers").c_str());
    }
}

static void printPrecision(const Json &precision) {
  if (!precision.is_object())
    return;
  if (precision.contains("budget"))
    std::printf("formats chosen for %s, predicted KL %s\n",
                spellMember(precision, "budget").c_str(),
                spellMember(precision, "predicted_kl").c_str());
  if (!precision.contains("calibration"))
    return;
  const Json &calibration = precision["calibration"];
  std::printf("calibrated on %s, sha256 %s\n"
              "  at most %s tokens, algorithm %s, seed %s\n",
              spellMember(calibration, "text").c_str(),
              spellMember(calibration, "sha256").c_str(),
              spellMember(calibration, "tokens").c_str(),
              spellMember(calibration, "algorithm").c_str(),
              spellMember(calibration, "seed").c_str());
  if (calibration.contains("inputs"))
    std::printf("  inputs of layers: %s\n",
                spellMember(calibration, "inputs").c_str());
  // Samples of a graph have no window.
  std::string unit =
      calibration.contains("window")
          ? "windows of " + spellMember(calibration, "window") + " tokens"
          : "samples";
  if (calibration.contains("sources") && calibration["sources"].is_array())
    for (const Json &source : calibration["sources"])
      std::printf("  source %s: domain %s, slice %s, weight %s, %s %s, "
                  "sha256 %s\n",
                  spellMember(source, "file").c_str(),
                  spellMember(source, "domain").c_str(),
                  spellMember(source, "slice").c_str(),
                  spellMember(source, "weight").c_str(),
                  spellMember(source, "windows").c_str(), unit.c_str(),
                  spellMember(source, "sha256").c_str());
}

static void printTuning(const Json &precision) {
  if (!precision.is_object() || !precision.contains("tuning"))
    return;
  const Json &tuning = precision["tuning"];
  std::printf(
      "tuned in %s steps, kept that of step %s: KL %s before, %s after, "
      "on %s tokens that no step saw\n",
      spellMember(tuning, "steps").c_str(), spellMember(tuning, "kept").c_str(),
      spellMember(tuning, "kl_before").c_str(),
      spellMember(tuning, "kl_after").c_str(),
      spellMember(tuning, "tokens").c_str());
}

void printEvidence(const plan::Plan &plan) {
  Json precision = precisionPlan(plan);
  printPrecision(precision);
  printCaches(precision);
  printTuning(precision);
  const plan::Validation *validation = plan.manifest()->validation();
  if (!validation)
    return;
  ValidationSummary found = runtime::toValidation(*validation);
  found.device = runtime::printable(found.device);
  for (SliceSummary &slice : found.slices)
    slice.name = runtime::printable(slice.name);
  for (OutputSummary &output : found.outputs) {
    output.slice = runtime::printable(output.slice);
    output.output = runtime::printable(output.output);
  }
  for (GateSummary &gate : found.gates) {
    gate.slice = runtime::printable(gate.slice);
    gate.output = runtime::printable(gate.output);
  }
  std::fputs(eval::spellTable(found).c_str(), stdout);
  for (const ValidationText &text : found.texts)
    std::printf("  text %s: %s, sha256 %s\n",
                runtime::printable(text.name).c_str(),
                runtime::printable(text.file).c_str(),
                runtime::printable(text.sha256).c_str());
}

} // namespace qopt::inspect
