// What a compilation found when it asked which layers lose most: the same model
// again and again, each time with other weights as the file has them.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_BLAMESUMMARY_H
#define QOPT_BLAMESUMMARY_H

#include <cstdint>
#include <string>
#include <vector>

namespace qopt {

/// A layer with its weights restored to the file's own formats (of a GPU's
/// artifact in 16 bits at most), all others as they are in the model; linears
/// of restored weights read what they did, not quantized.
struct LayerBlame {
  std::string name;                 ///< of its weights: what they begin with
  std::vector<std::string> weights; ///< those that are quantized
  std::vector<std::string> formats; ///< of each
  double divergence = 0;            ///< mean KL(unquantized || restored), nats
  double recovered = 0;             ///< the model's own divergence minus that
  int64_t place = 0;                ///< in the model's order, from 0
  /// The divergence with this layer and those ahead of it as they are in the
  /// model, and those behind it restored.
  double added = 0;
};

struct BlameSummary {
  /// Of a graph every divergence is its loss instead: the mean over outputs of
  /// the KL of a row, or of half of the error (OutputSummary). There is no
  /// perplexity, and no floor: the same model gives the same outputs.
  bool isOfGraph = false;
  std::string device;    ///< what the models ran on, for people
  double divergence = 0; ///< mean KL(unquantized || model) in nats
  double perplexity = 0; ///< the model's
  /// Of a graph: the root of the mean square of its outputs' elements, the mean
  /// over outputs; tells models apart.
  double outputSize = 0;
  /// The divergence with the weights of all layers restored: what activations,
  /// cache and arithmetic lose.
  double restored = 0;
  /// The model's divergence from itself in other steps: differences below it
  /// say nothing.
  double floor = 0;
  std::vector<LayerBlame> layers; ///< the most recovered first
};

} // namespace qopt

#endif // QOPT_BLAMESUMMARY_H
