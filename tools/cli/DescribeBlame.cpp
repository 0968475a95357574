// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tools/cli/DescribeBlame.h"

#include "runtime/PrintableText.h"

#include <cmath>
#include <cstdio>
#include <set>

namespace qopt::cli {

using Json = nlohmann::ordered_json;

Json describeBlame(const BlameSummary &blame) {
  Json json = {{"device", blame.device},
               {"kl", blame.divergence},
               {"kl_restored", blame.restored},
               {"kl_floor", blame.floor}};
  if (blame.isOfGraph)
    json["output_size"] = blame.outputSize;
  else
    json["perplexity"] = blame.perplexity;
  json["layers"] = Json::array();
  for (const LayerBlame &layer : blame.layers) {
    Json weights = Json::array();
    for (size_t i = 0; i < layer.weights.size(); ++i)
      weights.push_back(
          {{"name", layer.weights[i]}, {"format", layer.formats[i]}});
    json["layers"].push_back({{"name", layer.name},
                              {"place", layer.place},
                              {"kl_recovered", layer.recovered},
                              {"kl", layer.divergence},
                              {"kl_added", layer.added},
                              {"weights", weights}});
  }
  return json;
}

/// The formats of a layer's weights, each once.
static std::string formatsOf(const Json &layer) {
  std::set<std::string> formats;
  for (const Json &weight : layer["weights"])
    formats.insert(weight["format"].get<std::string>());
  std::string text;
  for (const std::string &format : formats)
    text += (text.empty() ? "" : " ") + format;
  return text;
}

std::string spellBlame(const Json &blame) {
  char line[200];
  double divergence = blame["kl"].get<double>(),
         rest = blame["kl_restored"].get<double>(),
         floor = blame["kl_floor"].get<double>();
  if (blame.contains("perplexity"))
    std::snprintf(line, sizeof line,
                  "KL(unquantized || model) %.4g nats, %.4g with all weights "
                  "restored; floor, the model against itself in other steps, "
                  "%.2g\n",
                  divergence, rest, floor);
  else
    std::snprintf(line, sizeof line,
                  "loss %.4g, the mean over outputs of the KL of a row of "
                  "logits or half of the error; %.4g with all weights "
                  "restored; below it stands that for KL\n",
                  divergence, rest);
  std::string text = line;
  std::snprintf(line, sizeof line, "%-40s %12s %8s %12s %12s  %s\n",
                "layer, restored to the file's weights", "KL recovered",
                "share %", "KL left", "up to it", "formats");
  text += line;
  for (const Json &layer : blame["layers"]) {
    double recovered = layer["kl_recovered"].get<double>();
    double share =
        divergence > rest ? 100 * recovered / (divergence - rest) : 0;
    std::string name = runtime::printable(layer["name"].get<std::string>());
    std::snprintf(line, sizeof line, "%12.4g %8.1f %12.4g %12.4g  ", recovered,
                  share, layer["kl"].get<double>(),
                  layer["kl_added"].get<double>());
    name.resize(std::max<size_t>(name.size(), 40), ' ');
    text += name + " " + line + runtime::printable(formatsOf(layer)) +
            (std::abs(recovered) <= floor ? ", within the floor\n" : "\n");
  }
  return text + "up to it: KL with the layer and those ahead of it as they "
                "are, those behind it restored\n";
}

} // namespace qopt::cli
