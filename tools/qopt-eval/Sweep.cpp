// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tools/qopt-eval/Sweep.h"

#include "runtime/LoadedModel.h"
#include "runtime/PrintableText.h"
#include "tools/qopt-eval/DescribeEvaluation.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdio>

namespace qopt::eval {

using Json = nlohmann::ordered_json;

namespace {

struct StoredSize {
  double bytes = 0, elements = 0;
  void add(const plan::WeightRecord &weight) {
    bytes += double(weight.bytes());
    elements += double(weight.rows()) * double(weight.columns());
  }
  double bits() const { return elements > 0 ? 8 * bytes / elements : 0; }
};

} // namespace

double bitsPerWeight(const Artifact &artifact) {
  StoredSize all;
  if (const auto *weights = artifact.model()->plan().manifest()->weights())
    for (const plan::WeightRecord *weight : *weights)
      all.add(*weight);
  return all.bits();
}

/// "model.layers.3" of "model.layers.3.mlp.up_proj.weight".
static std::string layerOf(const std::string &name) {
  auto isDigit = [](char c) { return std::isdigit(uint8_t(c)) != 0; };
  size_t at = 0;
  while (at < name.size() && !isDigit(name[at]))
    ++at;
  while (at < name.size() && isDigit(name[at]))
    ++at;
  return name.substr(0, at);
}

Json describeBits(const Artifact &artifact) {
  std::vector<std::pair<std::string, StoredSize>> layers;
  if (const auto *weights = artifact.model()->plan().manifest()->weights())
    for (const plan::WeightRecord *weight : *weights) {
      std::string layer = layerOf(weight->name() ? weight->name()->str() : "");
      auto found =
          std::find_if(layers.begin(), layers.end(),
                       [&](const auto &entry) { return entry.first == layer; });
      if (found == layers.end())
        found = layers.insert(layers.end(), {layer, {}});
      found->second.add(*weight);
    }
  Json json = Json::array();
  for (const auto &[name, size] : layers)
    json.push_back({{"name", name},
                    {"bits", size.bits()},
                    {"parameters", uint64_t(size.elements)}});
  return json;
}

void describe(const std::vector<SweepPoint> &sweep, Json &json) {
  for (const SweepPoint &point : sweep) {
    const Agreement &agreement = *point.figures.agreement;
    Json entry = {{"model", point.model},
                  {"bits", point.bits},
                  {"bytes", point.bytes},
                  {"perplexity", std::exp(point.figures.model.nll.value)}};
    entry["kl"] = describe("mean", agreement.divergence);
    entry["same_top1_percent"] = describe("mean", agreement.sameTop, inPercent);
    json["sweep"].push_back(entry);
  }
}

void print(const std::vector<SweepPoint> &sweep) {
  std::printf("\n%-36s %8s %10s %10s %10s %8s\n", "by bits of a weight", "bits",
              "MB", "KL", "perplexity", "same %");
  for (const SweepPoint &point : sweep)
    std::printf("%-36s %8.3f %10.2f %10.3g %10.4f %8.3f\n",
                runtime::printable(point.model).c_str(), point.bits,
                double(point.bytes) / 1e6,
                point.figures.agreement->divergence.value,
                std::exp(point.figures.model.nll.value),
                inPercent(point.figures.agreement->sameTop.value));
}

} // namespace qopt::eval
