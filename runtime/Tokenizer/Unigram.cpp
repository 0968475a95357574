// The unigram language model (Kudo 2018): of all segmentations of a piece into
// tokens the one with the highest sum of log probabilities, found by Viterbi's
// algorithm over the ends of tokens.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/Tokenizer/Model.h"
#include "runtime/Tokenizer/Trie.h"
#include "runtime/Tokenizer/Utf8.h"
#include "runtime/Tokenizer/WordCache.h"

#include <algorithm>
#include <limits>

namespace qopt::runtime {

namespace {

/// The best way to reach a position of the piece.
struct Arrival {
  double score = 0;
  std::uint32_t begin = none; ///< where its last token begins
  std::int32_t id = 0;

  static constexpr std::uint32_t none = UINT32_MAX;

  void improve(double candidate, std::size_t from, std::int32_t token) {
    if (begin != none && candidate <= score)
      return;
    *this = {candidate, static_cast<std::uint32_t>(from), token};
  }
};

class Unigram : public Model {
public:
  Unigram(const std::vector<VocabularyEntry> &entries)
      : Model(Vocabulary(entries)) {
    scores.reserve(entries.size());
    for (const VocabularyEntry &entry : entries) {
      scores.push_back(entry.score);
      lowest = std::min(lowest, entry.score);
    }
    std::vector<std::pair<std::string_view, std::uint32_t>> texts;
    texts.reserve(entries.size());
    for (const VocabularyEntry &entry : entries)
      texts.push_back({entry.token, *words.find(entry.token)});
    trie = Trie(std::move(texts));
  }

  Status read(const Part &part) {
    std::uint32_t id = UINT32_MAX;
    QOPT_RETURN_IF_ERROR(part.readOptional("unk_id", id));
    if (id != UINT32_MAX && id >= scores.size())
      return Status(StatusCode::BadModel,
                    "tokenizer: " + part.title() + ": \"unk_id\" is " +
                        std::to_string(id) + ", but the vocabulary has " +
                        std::to_string(scores.size()) + " tokens");
    unknownId = id == UINT32_MAX ? -1 : static_cast<std::int32_t>(id);
    bool byteFallback = false;
    QOPT_RETURN_IF_ERROR(part.readOptional("byte_fallback", byteFallback));
    if (byteFallback)
      bytes = ByteTokens(words);
    return {};
  }

  Status encode(std::string_view piece,
                std::vector<std::int32_t> &ids) const override {
    if (cache.find(piece, ids))
      return {};
    std::size_t from = ids.size();
    std::vector<Arrival> arrivals;
    QOPT_RETURN_IF_ERROR(search(piece, arrivals));
    emit(piece, arrivals, ids);
    cache.insert(piece, ids.data() + from, ids.data() + ids.size());
    return {};
  }

private:
  Status search(std::string_view piece, std::vector<Arrival> &arrivals) const;
  void emit(std::string_view piece, const std::vector<Arrival> &arrivals,
            std::vector<std::int32_t> &ids) const;

  std::vector<double> scores;
  double lowest = std::numeric_limits<double>::infinity();
  Trie trie;
  ByteTokens bytes;
  std::int32_t unknownId = -1;
  mutable WordCache cache;
};

Status Unigram::search(std::string_view piece,
                       std::vector<Arrival> &arrivals) const {
  if (piece.size() >= Arrival::none)
    return Status(StatusCode::Unsupported,
                  "tokenizer: a text of 4 GiB or more");
  constexpr double unknownPenalty = 10;
  arrivals.assign(piece.size() + 1, {});
  for (std::size_t at = 0, length; at < piece.size(); at += length) {
    (void)firstCharacter(piece.substr(at), length);
    double here = arrivals[at].score;
    bool single = false; // is there a token for the one character?
    trie.search(piece.substr(at), [&](std::size_t bytes, std::uint32_t id) {
      arrivals[at + bytes].improve(here + scores[id], at,
                                   static_cast<std::int32_t>(id));
      single |= bytes == length;
    });
    if (single)
      continue;
    if (unknownId < 0)
      return Status(StatusCode::BadModel,
                    "tokenizer: the text has characters that the vocabulary "
                    "lacks, and the model has no \"unk_id\"");
    arrivals[at + length].improve(here + (lowest - unknownPenalty), at,
                                  unknownId);
  }
  return {};
}

/// Walks back along the best path; neighbouring unknown characters are one
/// token.
void Unigram::emit(std::string_view piece, const std::vector<Arrival> &arrivals,
                   std::vector<std::int32_t> &ids) const {
  std::vector<std::string_view> tokens; // last first
  bool joins = false;
  for (std::size_t end = piece.size(); end > 0; end = arrivals[end].begin) {
    const Arrival &arrival = arrivals[end];
    bool isUnknown = arrival.id == unknownId;
    std::size_t length = end - arrival.begin;
    if (isUnknown && joins)
      length += tokens.back().size();
    else
      tokens.emplace_back();
    tokens.back() = piece.substr(arrival.begin, length);
    joins = isUnknown;
  }
  for (auto token = tokens.rbegin(); token != tokens.rend(); ++token) {
    if (auto id = words.find(*token))
      ids.push_back(static_cast<std::int32_t>(*id));
    else if (!bytes.append(*token, ids))
      ids.push_back(unknownId);
  }
}

} // namespace

StatusOr<std::unique_ptr<Model>> makeUnigram(const Part &part,
                                             TokenizerFile &file) {
  auto unigram = std::make_unique<Unigram>(file.vocabulary);
  QOPT_RETURN_IF_ERROR(unigram->read(part));
  return StatusOr<std::unique_ptr<Model>>(std::move(unigram));
}

} // namespace qopt::runtime
