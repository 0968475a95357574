// The hash table of the vocabulary.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/Tokenizer/Vocabulary.h"

#include <algorithm>
#include <bit>
#include <functional>

namespace qopt::runtime {

static std::uint32_t hashOf(std::string_view token) {
  return static_cast<std::uint32_t>(std::hash<std::string_view>()(token));
}

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
    std::uint32_t hash = hashOf(entry.token);
    Slot &slot = slots[slotOf(entry.token, hash)];
    if (slot.index == 0) {
      tokens.push_back({static_cast<std::uint32_t>(texts.size()),
                        static_cast<std::uint32_t>(entry.token.size()), 0});
      texts += entry.token;
      slot = {hash, static_cast<std::uint32_t>(tokens.size())};
    } else {
      std::uint32_t &old = byId[tokens[slot.index - 1].id];
      if (old == slot.index)
        old = 0;
    }
    tokens[slot.index - 1].id = entry.id;
    byId[entry.id] = slot.index;
  }
}

std::size_t Vocabulary::slotOf(std::string_view token,
                               std::uint32_t hash) const {
  std::size_t mask = slots.size() - 1;
  std::size_t slot = hash & mask;
  while (slots[slot].index != 0 &&
         (slots[slot].hash != hash ||
          textOf(tokens[slots[slot].index - 1]) != token))
    slot = (slot + 1) & mask;
  return slot;
}

std::optional<std::uint32_t> Vocabulary::find(std::string_view token) const {
  if (slots.empty())
    return std::nullopt;
  std::uint32_t index = slots[slotOf(token, hashOf(token))].index;
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
