// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Recipe.h"
#include "lib/Quant/Storage.h"

#include <algorithm>
#include <numeric>

namespace qopt::programs {

static bool isFormatOf(const std::string &text, int64_t columns) {
  if (text.empty())
    return true;
  auto format = quant::parseFormat(text);
  return format.ok() && quant::groupFault(*format, columns).empty();
}

static bool haveHeads(const Node &node) {
  return node.heads > 0 && node.width % node.heads == 0;
}

/// Whether a node fits the nodes that it reads.
static bool isValidNode(const Node &node, const std::vector<Node> &nodes) {
  auto width = [&](size_t input) {
    return nodes[size_t(node.inputs[input])].width;
  };
  auto has = [&](size_t least, size_t most) {
    return node.inputs.size() >= least && node.inputs.size() <= most;
  };
  bool same = std::all_of(node.inputs.begin(), node.inputs.end(), [&](int x) {
    return nodes[size_t(x)].width == node.width;
  });
  switch (node.kind) {
  case Kind::Input:
    return has(0, 0);
  case Kind::Embedding:
    return has(0, 0) && node.rows > 0 && isFormatOf(node.format, node.width);
  case Kind::Linear:
    return has(1, 2) && (node.inputs.size() < 2 || width(1) == node.width) &&
           isFormatOf(node.format, width(0));
  case Kind::RmsNorm:
  case Kind::LayerNorm:
    return has(1, 1) && same && (!node.heads || haveHeads(node));
  case Kind::Activation:
  case Kind::Scale:
  case Kind::Softmax:
    return has(1, 1) && same;
  case Kind::Codes:
    return has(1, 1) && same && isFormatOf(node.format, node.width);
  case Kind::Gated:
    return has(1, 2) &&
           (node.inputs.size() == 2 ? same : width(0) == 2 * node.width);
  case Kind::Sum:
  case Kind::Difference:
  case Kind::Product:
    return has(2, 2) && same;
  case Kind::Slice:
    return has(1, 1) && node.offset + node.width <= width(0);
  case Kind::Rotary:
    return has(1, 1) && same && haveHeads(node) && node.rotated > 0 &&
           node.rotated % 2 == 0 && node.rotated <= node.headSize();
  case Kind::Attention:
    return has(3, 3) && haveHeads(node) && node.keyHeads > 0 &&
           node.heads % node.keyHeads == 0 && width(0) == node.width &&
           width(1) == node.keyHeads * node.headSize() && width(2) == width(1);
  }
  return false;
}

/// One cache has one number of heads and one size of them.
static bool agree(const std::vector<Node> &nodes) {
  const Node *first = nullptr;
  for (const Node &node : nodes) {
    if (node.kind != Kind::Attention)
      continue;
    if (!first)
      first = &node;
    if (node.keyHeads != first->keyHeads ||
        node.headSize() != first->headSize())
      return false;
  }
  return true;
}

bool isValid(const Recipe &recipe) {
  for (size_t i = 0; i < recipe.nodes.size(); ++i) {
    const Node &node = recipe.nodes[i];
    bool isAhead = std::all_of(node.inputs.begin(), node.inputs.end(),
                               [&](int x) { return x >= 0 && x < int(i); });
    if (node.width < 1 || !isAhead || !isValidNode(node, recipe.nodes))
      return false;
    // Raising leaves a decoder no operators, and takes its tokens from ids.
    if (recipe.decoder &&
        (node.kind == Kind::Input || node.kind == Kind::Softmax))
      return false;
  }
  if (recipe.nodes.empty() || recipe.settings.runs.empty())
    return false;
  for (const std::vector<int64_t> &run : recipe.settings.runs)
    if (std::accumulate(run.begin(), run.end(), int64_t(0)) < 1)
      return false;
  return !recipe.decoder ||
         (recipe.vocabulary > 0 && agree(recipe.nodes) &&
          isFormatOf(recipe.headFormat, recipe.nodes.back().width));
}

void removeUnused(Recipe &recipe) {
  std::vector<Node> &nodes = recipe.nodes;
  std::vector<bool> used(nodes.size(), false);
  used.back() = true;
  for (size_t i = nodes.size(); i-- > 0;)
    if (used[i])
      for (int input : nodes[i].inputs)
        used[size_t(input)] = true;
  std::vector<int> places(nodes.size());
  std::vector<Node> kept;
  for (size_t i = 0; i < nodes.size(); ++i) {
    if (!used[i])
      continue;
    for (int &input : nodes[i].inputs)
      input = places[size_t(input)];
    places[i] = int(kept.size());
    kept.push_back(std::move(nodes[i]));
  }
  nodes = std::move(kept);
}

} // namespace qopt::programs
