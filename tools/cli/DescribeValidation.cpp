// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tools/cli/DescribeValidation.h"

namespace qopt::cli {

using Json = nlohmann::ordered_json;

static Json describeSlice(const SliceSummary &slice) {
  return {{"name", slice.name},
          {"windows", slice.windows},
          {"predictions", slice.predictions},
          {"perplexity", slice.perplexity},
          {"reference_perplexity", slice.referencePerplexity},
          {"perplexity_increase_percent", slice.perplexityIncrease},
          {"kl",
           {{"mean", slice.divergence},
            {"low", slice.divergenceLow},
            {"high", slice.divergenceHigh},
            {"p99", slice.divergence99},
            {"max", slice.mostDivergence}}},
          {"same_top1_percent", slice.sameTop}};
}

static Json describeOutput(const OutputSummary &output) {
  Json json = {{"slice", output.slice},
               {"output", output.output},
               {"samples", output.samples},
               {"rows", output.rows},
               {"error",
                {{"mean", output.error},
                 {"low", output.errorLow},
                 {"high", output.errorHigh}}}};
  if (output.hasLogits) {
    json["kl"] = {{"mean", output.divergence},
                  {"low", output.divergenceLow},
                  {"high", output.divergenceHigh},
                  {"p99", output.divergence99},
                  {"max", output.mostDivergence}};
    json["same_top1_percent"] = output.sameTop;
  }
  return json;
}

Json describeValidation(const ValidationSummary &validation) {
  Json json = {{"device", validation.device},
               {"seed", validation.seed},
               {"texts", Json::array()},
               {"slices", Json::array()},
               {"gates", Json::array()}};
  for (const ValidationText &text : validation.texts)
    json["texts"].push_back(
        {{"name", text.name}, {"file", text.file}, {"sha256", text.sha256}});
  for (const SliceSummary &slice : validation.slices)
    json["slices"].push_back(describeSlice(slice));
  for (const OutputSummary &output : validation.outputs)
    json["outputs"].push_back(describeOutput(output));
  for (const GateSummary &gate : validation.gates) {
    Json entry = {{"option", gate.option}, {"slice", gate.slice}};
    if (!gate.output.empty())
      entry["output"] = gate.output;
    entry.update(
        {{"limit", gate.limit}, {"value", gate.value}, {"met", gate.isMet()}});
    json["gates"].push_back(std::move(entry));
  }
  return json;
}

} // namespace qopt::cli
