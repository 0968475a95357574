// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tools/cli/DescribeSteps.h"

namespace qopt::cli {

using Json = nlohmann::ordered_json;

static Json describe(const Prediction &predicted) {
  Json terms = Json::array();
  for (const PredictedTerm &term : predicted.terms) {
    Json json{
        {"name", term.name}, {"seconds", term.seconds}, {"why", term.why}};
    for (const PredictedPart &part : term.parts)
      json["parts"].push_back({{"launches", part.launches},
                               {"seconds", part.seconds},
                               {"why", part.why}});
    terms.push_back(std::move(json));
  }
  return {{"seconds", predicted.seconds},
          {"bytes", predicted.bytes},
          {"flops", predicted.flops},
          {"roof_part", predicted.roofPart},
          {"terms", std::move(terms)}};
}

static void describe(const StepLaunches &of, int64_t sequences, Json &json) {
  json["launches"] = of.launches;
  json["tokens_per_second"] = double(sequences) / of.predicted.seconds;
  json["predicted"] = describe(of.predicted);
}

Json describeSteps(const CompileSummary &summary) {
  Json steps = Json::array();
  for (const StepSummary &step : summary.steps) {
    Json json{{"architecture", step.architecture},
              {"part", step.part},
              {"sequences", step.sequences},
              {"context", step.context}};
    if (!step.digest.empty())
      json["sha256"] = step.digest;
    describe(step.greedy, step.sequences, json);
    if (step.sampling)
      describe(*step.sampling, step.sequences, json["sampling"]);
    steps.push_back(std::move(json));
  }
  return steps;
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
                               {"least_tokens", kernel.least},
                               {"launches", kernel.launches},
                               {"threads", kernel.threads},
                               {"registers", kernel.registers},
                               {"shared_bytes", kernel.sharedBytes},
                               {"code_bytes", kernel.codeBytes},
                               {"predicted_tokens", kernel.tokens},
                               {"predicted", describe(kernel.predicted)}});
  json["steps"] = describeSteps(summary);
}

} // namespace qopt::cli
