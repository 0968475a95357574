// All texts of a set that begin at a position: the search of Unigram pieces and
// of added tokens. Nodes lie in one array; the children of a node are
// neighbours, sorted by byte.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_TOKENIZER_TRIE_H
#define QOPT_RUNTIME_TOKENIZER_TRIE_H

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace qopt::runtime {

class Trie {
public:
  static constexpr std::uint32_t none = UINT32_MAX;

  Trie() = default;
  /// Texts and their values (below `none`); of equal texts the lowest value
  /// counts, an empty text is left out.
  explicit Trie(std::vector<std::pair<std::string_view, std::uint32_t>> texts);

  bool empty() const { return nodes.size() <= 1; }

  /// Calls `found(length, value)` for each text of the set that `text` begins
  /// with, shortest first.
  template <typename Found>
  void search(std::string_view text, Found found) const {
    std::uint32_t node = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
      node = child(node, static_cast<unsigned char>(text[i]));
      if (node == none)
        return;
      if (nodes[node].value != none)
        found(i + 1, nodes[node].value);
    }
  }

private:
  struct Node {
    std::uint32_t children = 0; ///< index of the first
    std::uint16_t count = 0;
    unsigned char byte = 0;
    std::uint32_t value = none;
  };
  std::uint32_t child(std::uint32_t node, unsigned char byte) const;

  std::vector<Node> nodes;               ///< the root first
  std::vector<std::uint32_t> firstLevel; ///< the root's children by byte
};

} // namespace qopt::runtime

#endif // QOPT_RUNTIME_TOKENIZER_TRIE_H
