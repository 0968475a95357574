// Byte pair encoding (Sennrich et al. 2016): a word begins as its characters;
// of all neighbours that merge, those with the lowest rank merge first, the
// leftmost first among equals. A heap holds the candidates, so a word of n
// characters takes n log n steps.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/Tokenizer/MergeTable.h"
#include "runtime/Tokenizer/Model.h"
#include "runtime/Tokenizer/Utf8.h"
#include "runtime/Tokenizer/WordCache.h"

#include <algorithm>

namespace qopt::runtime {

namespace {

class Bpe : public Model {
public:
  explicit Bpe(Vocabulary vocabulary) : Model(std::move(vocabulary)) {}

  Status read(const Part &part);
  Status
  addMerges(const std::vector<std::pair<std::string, std::string>> &pairs);

  Status encode(std::string_view piece,
                std::vector<std::int32_t> &ids) const override;

private:
  /// The ids of the single characters, or of what stands for them.
  Status symbols(std::string_view piece, std::vector<std::int32_t> &ids) const;
  void merge(std::vector<std::int32_t> &ids, std::size_t from) const;

  std::string prefix, suffix, unknown;
  std::int32_t unknownId = -1; ///< -1: the vocabulary lacks it
  bool fuseUnknown = false, byteFallback = false, ignoreMerges = false;
  ByteTokens bytes;
  MergeTable merges;
  mutable WordCache cache;
};

Status Bpe::read(const Part &part) {
  if (const nlohmann::json *dropout = part.find("dropout");
      dropout && !(dropout->is_number() && dropout->get<double>() == 0))
    return Status(StatusCode::Unsupported,
                  "tokenizer: " + part.title() +
                      ": \"dropout\" makes the ids random and is not "
                      "supported; set it to null");
  QOPT_RETURN_IF_ERROR(part.readOptional("unk_token", unknown));
  QOPT_RETURN_IF_ERROR(part.readAffix("continuing_subword_prefix", prefix));
  QOPT_RETURN_IF_ERROR(part.readAffix("end_of_word_suffix", suffix));
  QOPT_RETURN_IF_ERROR(part.readOptional("fuse_unk", fuseUnknown));
  QOPT_RETURN_IF_ERROR(part.readOptional("byte_fallback", byteFallback));
  QOPT_RETURN_IF_ERROR(part.readOptional("ignore_merges", ignoreMerges));
  if (auto id = words.find(unknown); id && !unknown.empty())
    unknownId = static_cast<std::int32_t>(*id);
  if (byteFallback)
    bytes = ByteTokens(words);
  return {};
}

Status missing(std::size_t rank,
               const std::pair<std::string, std::string> &pair,
               const std::string &token) {
  std::string spelt = "(\"" + pair.first;
  spelt += "\", \"" + pair.second;
  return Status(StatusCode::BadModel, "tokenizer: merge " +
                                          std::to_string(rank) + " " + spelt +
                                          "\") needs the token \"" + token +
                                          "\", which the vocabulary lacks");
}

Status
Bpe::addMerges(const std::vector<std::pair<std::string, std::string>> &pairs) {
  merges = MergeTable(pairs.size());
  std::string joined;
  for (std::size_t rank = 0; rank < pairs.size(); ++rank) {
    const auto &[left, right] = pairs[rank];
    joined = left;
    joined.append(right, std::min(prefix.size(), right.size()));
    auto leftId = words.find(left), rightId = words.find(right);
    auto joinedId = words.find(joined);
    if (!leftId || !rightId || !joinedId)
      return missing(rank, pairs[rank],
                     !leftId    ? left
                     : !rightId ? right
                                : joined);
    merges.insert(
        static_cast<std::int32_t>(*leftId), static_cast<std::int32_t>(*rightId),
        static_cast<std::uint32_t>(rank), static_cast<std::int32_t>(*joinedId));
  }
  return {};
}

Status Bpe::encode(std::string_view piece,
                   std::vector<std::int32_t> &ids) const {
  if (ignoreMerges) {
    if (auto id = words.find(piece)) {
      ids.push_back(static_cast<std::int32_t>(*id));
      return {};
    }
  }
  if (cache.find(piece, ids))
    return {};
  if (piece.size() > INT32_MAX)
    return Status(StatusCode::Unsupported,
                  "tokenizer: a text of 2 GiB or more");
  std::size_t from = ids.size();
  QOPT_RETURN_IF_ERROR(symbols(piece, ids));
  merge(ids, from);
  cache.insert(piece, ids.data() + from, ids.data() + ids.size());
  return {};
}

Status Bpe::symbols(std::string_view piece,
                    std::vector<std::int32_t> &ids) const {
  // An unknown token waits until a known character follows; bytes of the
  // fallback overtake it, as in the reference.
  bool waiting = false;
  std::string spelt;
  for (std::size_t at = 0, length; at < piece.size(); at += length) {
    (void)firstCharacter(piece.substr(at), length);
    std::string_view character = piece.substr(at, length);
    bool first = at == 0, last = at + length == piece.size();
    if ((!first && !prefix.empty()) || (last && !suffix.empty())) {
      spelt.clear();
      spelt.append(first ? "" : prefix).append(character);
      spelt.append(last ? suffix : "");
      character = spelt;
    }
    if (auto id = words.find(character)) {
      if (waiting)
        ids.push_back(unknownId);
      waiting = false;
      ids.push_back(static_cast<std::int32_t>(*id));
      continue;
    }
    if (byteFallback && bytes.append(character, ids))
      continue;
    if (unknown.empty()) // without an unknown token such a character vanishes
      continue;
    if (unknownId < 0)
      return Status(StatusCode::BadModel, "tokenizer: the unknown token \"" +
                                              unknown +
                                              "\" is not in the vocabulary");
    if (waiting && !fuseUnknown)
      ids.push_back(unknownId);
    waiting = true;
  }
  if (waiting)
    ids.push_back(unknownId);
  return {};
}

/// The symbols of a word as a linked list within an array; a merged symbol
/// leaves the list.
struct Symbol {
  std::int32_t id;
  std::int32_t previous, next; ///< -1: none
  bool merged = false;
};

struct Candidate {
  std::uint32_t rank;
  std::int32_t position;
  std::int32_t result;

  bool
  operator<(const Candidate &other) const { // the heap's top is the largest
    return rank != other.rank ? rank > other.rank : position > other.position;
  }
};

void Bpe::merge(std::vector<std::int32_t> &ids, std::size_t from) const {
  auto count = static_cast<std::int32_t>(ids.size() - from);
  if (count < 2)
    return;
  std::vector<Symbol> list(count);
  std::vector<Candidate> heap;
  auto consider = [&](std::int32_t left, std::int32_t right) {
    if (const auto *found = merges.find(list[left].id, list[right].id)) {
      heap.push_back({found->rank, left, found->result});
      std::push_heap(heap.begin(), heap.end());
    }
  };
  for (std::int32_t i = 0; i < count; ++i)
    list[i] = {ids[from + i], i - 1, i + 1 < count ? i + 1 : -1};
  for (std::int32_t i = 0; i + 1 < count; ++i)
    consider(i, i + 1);
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end());
    Candidate top = heap.back();
    heap.pop_back();
    Symbol &left = list[top.position];
    if (left.merged || left.next < 0)
      continue;
    Symbol &right = list[left.next];
    const auto *found = merges.find(left.id, right.id);
    if (!found || found->result != top.result) // an older neighbourhood
      continue;
    left.id = top.result;
    left.next = right.next;
    right.merged = true;
    if (left.next >= 0)
      list[left.next].previous = top.position;
    if (left.previous >= 0)
      consider(left.previous, top.position);
    if (left.next >= 0)
      consider(top.position, left.next);
  }
  ids.resize(from);
  for (const Symbol &symbol : list)
    if (!symbol.merged)
      ids.push_back(symbol.id);
}

} // namespace

StatusOr<std::unique_ptr<Model>> makeBpe(const Part &part,
                                         TokenizerFile &file) {
  auto bpe = std::make_unique<Bpe>(Vocabulary(file.vocabulary));
  QOPT_RETURN_IF_ERROR(bpe->read(part));
  QOPT_RETURN_IF_ERROR(bpe->addMerges(file.merges));
  return StatusOr<std::unique_ptr<Model>>(std::move(bpe));
}

} // namespace qopt::runtime
