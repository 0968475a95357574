// Fewer nodes first, then fewer runs, simpler settings and formats, smaller
// sizes; again from the start until nothing more can go.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Reducer.h"

#include <set>

namespace qopt::programs {

namespace {

class Reducer {
public:
  Reducer(Recipe recipe, const std::function<bool(const Recipe &)> &goesWrong,
          int tries)
      : best(std::move(recipe)), goesWrong(goesWrong), tries(tries) {}

  Recipe run() {
    bool smaller = true;
    while (smaller && tries > 0) {
      smaller = cutTail();
      smaller |= dropNodes();
      smaller |= dropRuns();
      smaller |= simplify();
      smaller |= shrinkWidths();
    }
    return best;
  }

private:
  /// Keeps a changed recipe that is valid and goes wrong.
  bool attempt(Recipe recipe) {
    if (recipe == best || tries <= 0 || !isValid(recipe))
      return false;
    --tries;
    if (!goesWrong(recipe))
      return false;
    best = std::move(recipe);
    return true;
  }
  /// The same of one that `change` makes of the best.
  template <typename Change> bool attemptChange(Change change) {
    Recipe recipe = best;
    change(recipe);
    return attempt(std::move(recipe));
  }

  bool cutTail();
  bool dropNodes();
  bool dropRuns();
  bool simplify();
  bool simplifyNode(size_t index);
  bool shrinkWidths();

  Recipe best;
  const std::function<bool(const Recipe &)> &goesWrong;
  int tries;
};

} // namespace

/// An earlier node is the result.
bool Reducer::cutTail() {
  for (size_t count = 1; count < best.nodes.size(); ++count)
    if (attemptChange([&](Recipe &recipe) {
          recipe.nodes.resize(count);
          removeUnused(recipe);
          if (recipe.decoder)
            recipe.headFormat.clear();
        }))
      return true;
  return false;
}

/// What reads a node reads one of its inputs.
bool Reducer::dropNodes() {
  bool any = false;
  for (size_t i = best.nodes.size(); i-- > 0;) {
    if (i >= best.nodes.size())
      continue;
    for (int input : std::vector<int>(best.nodes[i].inputs))
      if (attemptChange([&](Recipe &recipe) {
            for (Node &node : recipe.nodes)
              for (int &other : node.inputs)
                if (other == int(i))
                  other = input;
            if (i + 1 == recipe.nodes.size())
              recipe.nodes.resize(size_t(input) + 1);
            removeUnused(recipe);
          })) {
        any = true;
        break;
      }
  }
  return any;
}

bool Reducer::dropRuns() {
  bool any = false;
  auto &runs = best.settings.runs;
  for (size_t i = runs.size(); i-- > 0;)
    any |= attemptChange([&](Recipe &recipe) {
      recipe.settings.runs.erase(recipe.settings.runs.begin() + int64_t(i));
    });
  for (size_t i = 0; i < runs.size(); ++i)
    for (size_t j = 0; j < runs[i].size(); ++j)
      for (int64_t count :
           {int64_t(0), int64_t(1), runs[i][j] / 2, runs[i][j] - 1})
        if (count >= (best.decoder ? 0 : 1) && count < runs[i][j] &&
            attemptChange(
                [&](Recipe &recipe) { recipe.settings.runs[i][j] = count; })) {
          any = true;
          break;
        }
  return any;
}

bool Reducer::simplify() {
  bool any = false;
  auto set = [&](auto change) { any |= attemptChange(change); };
  set([](Recipe &recipe) { recipe.settings.sumOrder.clear(); });
  set([](Recipe &recipe) { recipe.settings.cache.clear(); });
  set([](Recipe &recipe) {
    std::string &cache = recipe.settings.cache;
    cache = cache.substr(0, cache.find(",recent"));
  });
  set([](Recipe &recipe) {
    if (recipe.settings.target == Target::Host)
      recipe.settings.activations = "f32";
    else if (recipe.settings.activations != "f16")
      recipe.settings.activations =
          recipe.settings.activations == "bf16,int8" ? "bf16" : "f16";
  });
  set([](Recipe &recipe) { recipe.headFormat.clear(); });
  set([](Recipe &recipe) {
    recipe.vocabulary = recipe.decoder ? 8 : 0;
    for (Node &node : recipe.nodes)
      if (node.kind == Kind::Embedding && !node.ofPositions)
        node.rows = 8;
  });
  for (size_t i = 0; i < best.nodes.size(); ++i)
    any |= simplifyNode(i);
  return any;
}

/// One thing less that a node does.
bool Reducer::simplifyNode(size_t index) {
  bool any = false;
  auto set = [&](auto change) {
    any |= attemptChange([&](Recipe &recipe) { change(recipe.nodes[index]); });
  };
  set([](Node &node) {
    if (node.kind != Kind::Codes)
      node.format.clear();
  });
  set([](Node &node) { node.bias = false; });
  set([](Node &node) { node.window = 0; });
  set([](Node &node) { node.softcap = 0; });
  set([](Node &node) { node.slopes = false; });
  set([](Node &node) { node.interleaved = false; });
  set([](Node &node) { node.function = 4; }); // relu
  set([](Node &node) {
    if (node.kind == Kind::Linear && node.inputs.size() > 1)
      node.inputs.pop_back();
  });
  set([](Node &node) {
    if (node.kind == Kind::RmsNorm || node.kind == Kind::LayerNorm)
      node.heads = 0;
  });
  if (any && index < best.nodes.size()) {
    Recipe recipe = best;
    removeUnused(recipe);
    attempt(std::move(recipe));
  }
  return any;
}

/// All nodes of one width at once, as they depend on each other.
bool Reducer::shrinkWidths() {
  bool any = false;
  std::set<int64_t> widths;
  for (const Node &node : best.nodes)
    widths.insert(node.width);
  for (int64_t width : widths)
    for (int64_t smaller : {int64_t(1), int64_t(8), int64_t(16), int64_t(32),
                            width / 2, width - 16, width - 1})
      if (smaller > 0 && smaller < width && attemptChange([&](Recipe &recipe) {
            for (Node &node : recipe.nodes)
              if (node.width == width)
                node.width = smaller;
          })) {
        any = true;
        break;
      }
  return any;
}

Recipe reduce(const Recipe &recipe,
              const std::function<bool(const Recipe &)> &goesWrong, int tries) {
  return Reducer(recipe, goesWrong, tries).run();
}

} // namespace qopt::programs
