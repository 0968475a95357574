// Building the trie breadth first from the sorted texts: a node is a range of
// texts with a shared beginning.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/Tokenizer/Trie.h"

#include <algorithm>

namespace qopt::runtime {

Trie::Trie(std::vector<std::pair<std::string_view, std::uint32_t>> texts) {
  std::sort(texts.begin(), texts.end());
  struct Range {
    std::size_t begin, end, depth;
  };
  std::vector<Range> ranges = {{0, texts.size(), 0}};
  nodes.emplace_back();
  for (std::size_t node = 0; node < ranges.size(); ++node) {
    auto [begin, end, depth] = ranges[node];
    while (begin < end && texts[begin].first.size() == depth) {
      if (depth > 0 && nodes[node].value == none)
        nodes[node].value = texts[begin].second;
      ++begin;
    }
    nodes[node].children = static_cast<std::uint32_t>(nodes.size());
    while (begin < end) {
      char byte = texts[begin].first[depth];
      std::size_t next = begin;
      while (next < end && texts[next].first[depth] == byte)
        ++next;
      nodes[node].count++;
      nodes.emplace_back().byte = static_cast<unsigned char>(byte);
      ranges.push_back({begin, next, depth + 1});
      begin = next;
    }
  }
  firstLevel.assign(256, none);
  for (std::uint32_t i = 0; i < nodes[0].count; ++i)
    firstLevel[nodes[1 + i].byte] = 1 + i;
}

std::uint32_t Trie::child(std::uint32_t node, unsigned char byte) const {
  if (nodes.empty())
    return none;
  if (node == 0)
    return firstLevel[byte];
  auto begin = nodes.begin() + nodes[node].children;
  auto end = begin + nodes[node].count;
  auto found = std::lower_bound(
      begin, end, byte,
      [](const Node &child, unsigned char b) { return child.byte < b; });
  if (found == end || found->byte != byte)
    return none;
  return static_cast<std::uint32_t>(found - nodes.begin());
}

} // namespace qopt::runtime
