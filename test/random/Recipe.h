// A random program before it is IR: nodes that compute rows of numbers for each
// token, and what is asked of the compiler and of the runs. A recipe can be
// changed and written again, which is how a difference is made small
// (Reducer.h).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TEST_RANDOM_RECIPE_H
#define QOPT_TEST_RANDOM_RECIPE_H

#include "Settings.h"

#include <cstdint>
#include <string>
#include <vector>

namespace qopt::programs {

enum class Kind : uint8_t {
  Input,      ///< of a graph: a tensor of the caller
  Embedding,  ///< of ids, or of positions
  Linear,     ///< inputs: x and perhaps a residual
  RmsNorm,    ///< of rows, or with `heads` of each head
  LayerNorm,  ///< likewise
  Activation, ///< a function of every element
  Gated,      ///< inputs: gate and up, or both in one
  Sum,
  Difference,
  Product,
  Scale,     ///< times a vector of a number for each column
  Softmax,   ///< of a row
  Slice,     ///< columns [offset, offset + width)
  Codes,     ///< to codes and back
  Rotary,    ///< of heads, by positions
  Attention, ///< inputs: queries, keys, values; in a decoder by its cache
};

/// The result is [tokens, width]. Which fields mean something the kind says.
struct Node {
  Kind kind = Kind::Input;
  std::vector<int> inputs = {}; ///< numbers of nodes ahead of this one
  int64_t width = 0;
  std::string format = {}; ///< of the weight, or of codes; empty: f32
  int function = 0;        ///< an index into `functions`
  bool bias = false;
  bool ofPositions = false; ///< rows are looked up by position
  bool interleaved = false; ///< pairs of a rotation
  int64_t rows = 0;         ///< of a table
  int64_t offset = 0;
  int64_t heads = 0, keyHeads = 0, rotated = 0;
  int64_t window = 0;
  float softcap = 0;
  bool slopes = false;
  bool causal = true; ///< of a graph

  int64_t headSize() const { return width / heads; }
  bool operator==(const Node &) const = default;
};

inline constexpr const char *functions[] = {
    "silu", "gelu_erf", "gelu_tanh", "gelu_quick", "relu", "tanh", "sigmoid"};

struct Recipe {
  uint64_t seed = 1; ///< of weights and inputs
  bool decoder = false;
  std::vector<Node> nodes; ///< the last one is the result
  /// Of a decoder: of its table and its head, a linear behind the last node.
  int64_t vocabulary = 0;
  std::string headFormat;
  Settings settings;
  bool operator==(const Recipe &) const = default;
};

/// The program as MLIR, with its settings (Settings.h) and all constants.
std::string write(const Recipe &recipe);

/// Whether widths, heads and formats of its nodes fit each other.
bool isValid(const Recipe &recipe);

/// Takes out nodes that the last one does not need.
void removeUnused(Recipe &recipe);

/// A random recipe for a target; the same for the same seed.
Recipe generate(uint64_t seed, Target target);

} // namespace qopt::programs

#endif // QOPT_TEST_RANDOM_RECIPE_H
