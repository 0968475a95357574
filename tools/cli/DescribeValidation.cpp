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
  for (const GateSummary &gate : validation.gates)
    json["gates"].push_back({{"option", gate.option},
                             {"slice", gate.slice},
                             {"limit", gate.limit},
                             {"value", gate.value},
                             {"met", gate.isMet()}});
  return json;
}

} // namespace qopt::cli
