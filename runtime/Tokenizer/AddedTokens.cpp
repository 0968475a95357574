// Reading the list and cutting texts: leftmost, longest token first.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/Tokenizer/AddedTokens.h"
#include "runtime/Tokenizer/Unicode.h"
#include "runtime/Tokenizer/Utf8.h"

#include <algorithm>

namespace qopt::runtime {

using nlohmann::json;

StatusOr<AddedTokens> AddedTokens::read(const Part &file,
                                        const Vocabulary &vocabulary,
                                        const Normalizer *normalizer) {
  AddedTokens added;
  const json *list = file.find("added_tokens");
  if (!list)
    return added;
  if (!list->is_array())
    return file.wrong("added_tokens", "a list");
  for (const json &spec : *list)
    QOPT_RETURN_IF_ERROR(added.add(spec, vocabulary, normalizer));
  added.buildTries();
  return added;
}

Status AddedTokens::add(const json &spec, const Vocabulary &vocabulary,
                        const Normalizer *normalizer) {
  Part part(spec, "added token " + std::to_string(tokens.size()));
  Token token;
  QOPT_RETURN_IF_ERROR(part.read("content", token.content));
  QOPT_RETURN_IF_ERROR(part.readOptional("special", token.special));
  QOPT_RETURN_IF_ERROR(part.readOptional("normalized", token.normalized));
  QOPT_RETURN_IF_ERROR(part.readOptional("single_word", token.singleWord));
  QOPT_RETURN_IF_ERROR(part.readOptional("lstrip", token.stripLeft));
  QOPT_RETURN_IF_ERROR(part.readOptional("rstrip", token.stripRight));
  if (token.content.empty())
    return {};
  if (token.special)
    specials.insert(token.content);

  if (auto known = find(token.content)) {
    token.id = *known;
  } else if (auto id = vocabulary.find(token.content)) {
    token.id = static_cast<std::int32_t>(*id);
  } else {
    token.id = std::max(end, static_cast<std::int32_t>(vocabulary.size()));
  }
  end = std::max(end, token.id + 1);
  NormalizedText text(token.content);
  if (token.normalized && normalizer)
    QOPT_RETURN_IF_ERROR(normalizer->apply(text));
  token.spelling = std::move(text.text);

  auto [entry, isNew] = byContent.try_emplace(token.content, tokens.size());
  byId[token.id] = entry->second;
  if (isNew)
    tokens.push_back(std::move(token));
  else
    tokens[entry->second] = std::move(token);
  return {};
}

void AddedTokens::buildTries() {
  std::vector<std::pair<std::string_view, std::uint32_t>> texts[2];
  for (std::size_t i = 0; i < tokens.size(); ++i)
    texts[tokens[i].normalized].push_back(
        {tokens[i].spelling, static_cast<std::uint32_t>(i)});
  plain = Trie(std::move(texts[0]));
  normalized = Trie(std::move(texts[1]));
}

std::optional<std::int32_t> AddedTokens::find(std::string_view content) const {
  auto found = byContent.find(std::string(content));
  if (found == byContent.end())
    return std::nullopt;
  return tokens[found->second].id;
}

const AddedTokens::Token *AddedTokens::token(std::int32_t id) const {
  auto found = byId.find(id);
  return found == byId.end() ? nullptr : &tokens[found->second];
}

/// The last character of valid, not empty `text`.
static char32_t lastCharacter(std::string_view text, std::size_t &length) {
  std::size_t at = text.size() - 1;
  while (at > 0 && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80)
    --at;
  return firstCharacter(text.substr(at), length);
}

static bool touchesWord(std::string_view before, std::string_view after) {
  std::size_t length;
  return (!before.empty() && isWordCharacter(lastCharacter(before, length))) ||
         (!after.empty() && isWordCharacter(firstCharacter(after, length)));
}

std::vector<Segment> AddedTokens::cut(std::string_view text,
                                      Stage stage) const {
  const Trie &trie = stage == Stage::BeforeNormalization ? plain : normalized;
  std::vector<Segment> segments;
  std::size_t done = 0; // where the last segment ends
  for (std::size_t at = 0; !trie.empty() && at < text.size();) {
    std::size_t matched = 0;
    const Token *token = nullptr;
    trie.search(text.substr(at), [&](std::size_t length, std::uint32_t index) {
      matched = length;
      token = &tokens[index];
    });
    if (!token) {
      ++at;
      continue;
    }
    std::size_t begin = at, end = at + matched;
    at = end;
    if (token->singleWord &&
        touchesWord(text.substr(0, begin), text.substr(end)))
      continue;
    std::size_t length;
    while (token->stripLeft && begin > done &&
           isWhitespace(lastCharacter(text.substr(0, begin), length)))
      begin -= length;
    // What the token before took on its right is space: not to be read again.
    if (token->stripRight)
      end = std::max(end, done);
    while (token->stripRight && end < text.size() &&
           isWhitespace(firstCharacter(text.substr(end), length)))
      end += length;
    begin = std::max(begin, done);
    if (done < begin)
      segments.push_back({done, begin, -1});
    segments.push_back({begin, std::max(begin, end), token->id});
    done = std::max(done, end);
  }
  if (done < text.size())
    segments.push_back({done, text.size(), -1});
  return segments;
}

} // namespace qopt::runtime
