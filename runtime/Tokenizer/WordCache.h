// Ids of words seen before. Text repeats its words, so most lookups hit.
// Bounded: only short words, and when it is full it starts anew. Threads that
// meet here do not wait: who finds it locked computes.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_TOKENIZER_WORDCACHE_H
#define QOPT_RUNTIME_TOKENIZER_WORDCACHE_H

#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace qopt::runtime {

class WordCache {
public:
  /// Appends the ids of `word` if they are known.
  bool find(std::string_view word, std::vector<std::int32_t> &ids) {
    std::unique_lock<std::mutex> lock(mutex, std::try_to_lock);
    if (!lock || word.size() > longest)
      return false;
    auto found = words.find(word);
    if (found == words.end())
      return false;
    ids.insert(ids.end(), found->second.begin(), found->second.end());
    return true;
  }

  void insert(std::string_view word, const std::int32_t *first,
              const std::int32_t *last) {
    std::unique_lock<std::mutex> lock(mutex, std::try_to_lock);
    if (!lock || word.size() > longest)
      return;
    if (words.size() >= capacity)
      words.clear();
    words.emplace(word, std::vector<std::int32_t>(first, last));
  }

private:
  static constexpr std::size_t capacity = 10000, longest = 256; // words, bytes

  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view word) const {
      return std::hash<std::string_view>()(word);
    }
  };
  std::mutex mutex;
  std::unordered_map<std::string, std::vector<std::int32_t>, Hash,
                     std::equal_to<>>
      words;
};

} // namespace qopt::runtime

#endif // QOPT_RUNTIME_TOKENIZER_WORDCACHE_H
