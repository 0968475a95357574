// The merges of a BPE vocabulary: from a pair of tokens to the rank of their
// merge and the token that results. Open addressing on the 64-bit pair.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_TOKENIZER_MERGETABLE_H
#define QOPT_RUNTIME_TOKENIZER_MERGETABLE_H

#include <bit>
#include <cstdint>
#include <vector>

namespace qopt::runtime {

class MergeTable {
public:
  struct Merge {
    std::uint64_t pair;
    std::uint32_t rank;
    std::int32_t result;
  };

  MergeTable() : MergeTable(0) {}
  explicit MergeTable(std::size_t count)
      : slots(std::bit_ceil(count * 2 + 1), {empty, 0, 0}) {}

  /// A pair that is there already gets the new rank and result.
  void insert(std::int32_t left, std::int32_t right, std::uint32_t rank,
              std::int32_t result) {
    std::uint64_t pair = pairOf(left, right);
    slots[slotOf(pair)] = {pair, rank, result};
  }
  /// Null where the pair does not merge.
  const Merge *find(std::int32_t left, std::int32_t right) const {
    const Merge &merge = slots[slotOf(pairOf(left, right))];
    return merge.pair == empty ? nullptr : &merge;
  }

private:
  static constexpr std::uint64_t empty = UINT64_MAX; // ids are positive

  static std::uint64_t pairOf(std::int32_t left, std::int32_t right) {
    return static_cast<std::uint64_t>(left) << 32 |
           static_cast<std::uint32_t>(right);
  }
  std::size_t slotOf(std::uint64_t pair) const {
    std::size_t mask = slots.size() - 1;
    std::uint64_t hash = pair * 0x9E3779B97F4A7C15u;
    std::size_t slot = (hash ^ hash >> 32) & mask;
    while (slots[slot].pair != empty && slots[slot].pair != pair)
      slot = (slot + 1) & mask;
    return slot;
  }

  std::vector<Merge> slots;
};

} // namespace qopt::runtime

#endif // QOPT_RUNTIME_TOKENIZER_MERGETABLE_H
