// The hash table of the vocabulary.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/Tokenizer/Vocabulary.h"

#include <algorithm>
#include <bit>
#include <functional>

namespace qopt::runtime {

Vocabulary::Vocabulary(const std::vector<VocabularyEntry> &entries) {
  std::size_t bytes = 0;
  std::uint32_t end = 0;
  for (const VocabularyEntry &entry : entries) {
    bytes += entry.token.size();
    end = std::max(end, entry.id + 1);
    maximum = std::max(maximum, entry.token.size());
  }
  texts.reserve(bytes);
  tokens.reserve(entries.size());
  byId.resize(end);
  slots.resize(std::bit_ceil(entries.size() * 2 + 1));
  for (const VocabularyEntry &entry : entries) {
    std::uint32_t &slot = slots[slotOf(entry.token)];
    if (slot == 0) {
      tokens.push_back({static_cast<std::uint32_t>(texts.size()),
                        static_cast<std::uint32_t>(entry.token.size()), 0});
      texts += entry.token;
      slot = static_cast<std::uint32_t>(tokens.size());
    } else {
      std::uint32_t &old = byId[tokens[slot - 1].id];
      if (old == slot)
        old = 0;
    }
    tokens[slot - 1].id = entry.id;
    byId[entry.id] = slot;
  }
}

std::size_t Vocabulary::slotOf(std::string_view token) const {
  std::size_t mask = slots.size() - 1;
  std::size_t slot = std::hash<std::string_view>()(token) & mask;
  while (slots[slot] != 0 && textOf(tokens[slots[slot] - 1]) != token)
    slot = (slot + 1) & mask;
  return slot;
}

std::optional<std::uint32_t> Vocabulary::find(std::string_view token) const {
  if (slots.empty())
    return std::nullopt;
  std::uint32_t index = slots[slotOf(token)];
  if (index == 0)
    return std::nullopt;
  return tokens[index - 1].id;
}

std::optional<std::string_view> Vocabulary::token(std::uint32_t id) const {
  if (id >= byId.size() || byId[id] == 0)
    return std::nullopt;
  return textOf(tokens[byId[id] - 1]);
}

} // namespace qopt::runtime
