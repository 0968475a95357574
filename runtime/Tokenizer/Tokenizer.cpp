// The stages in their order: added tokens, normalizer, pre-tokenizer, model,
// post-processor; and the way back.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "qopt/Tokenizer.h"
#include "runtime/Tokenizer/AddedTokens.h"
#include "runtime/Tokenizer/Decoder.h"
#include "runtime/Tokenizer/Lengths.h"
#include "runtime/Tokenizer/Model.h"
#include "runtime/Tokenizer/PostProcessor.h"
#include "runtime/Tokenizer/PreTokenizer.h"
#include "runtime/Tokenizer/Utf8.h"

#include <algorithm>
#include <new>

namespace qopt {

using namespace runtime;

/// What of a text is encoded: as much as the file says, or all.
enum class Extent { AsTheFileSays, Whole };

struct Tokenizer::State {
  std::unique_ptr<Normalizer> normalizer;     ///< null: none
  std::unique_ptr<PreTokenizer> preTokenizer; ///< null: none
  std::unique_ptr<Model> model;
  AddedTokens added;
  Surroundings surroundings;
  std::optional<Truncation> truncation;
  std::optional<Padding> padding;
  std::vector<DecodeStepMaker> decoder;

  Status read(std::string_view json);
  Status readLengths(const Part &top);
  /// BadModel where an id that is put around a text is none of a token.
  Status checkPutIds() const;
  std::int32_t idEnd() const;
  StatusOr<std::vector<std::int32_t>>
  encode(std::string_view text, SpecialTokens special, Extent extent) const;
  Status encode(std::string_view text, std::vector<std::int32_t> &ids) const;
  Status encodePart(Pieces pieces, std::vector<std::int32_t> &ids) const;
  /// The token that decoding starts from, unless it is left out.
  std::optional<std::string_view> spelling(std::int32_t id,
                                           SpecialTokens special) const;
};

Status Tokenizer::State::read(std::string_view json) {
  StatusOr<TokenizerFile> file = readTokenizerFile(json);
  if (!file)
    return file.status();
  Part top(file->tree, "file");
  if (const auto *spec = top.find("normalizer")) {
    auto made = makeNormalizer(*spec);
    if (!made)
      return made.status();
    normalizer = std::move(*made);
  }
  if (const auto *spec = top.find("pre_tokenizer")) {
    auto made = makePreTokenizer(*spec);
    if (!made)
      return made.status();
    preTokenizer = std::move(*made);
  }
  if (const auto *spec = top.find("post_processor")) {
    auto made = readPostProcessor(*spec);
    if (!made)
      return made.status();
    surroundings = std::move(*made);
  }
  auto steps = readDecoder(top.find("decoder"));
  if (!steps)
    return steps.status();
  decoder = std::move(*steps);
  auto made = makeModel(*file);
  if (!made)
    return made.status();
  model = std::move(*made);
  auto tokens = AddedTokens::read(top, model->vocabulary(), normalizer.get());
  if (!tokens)
    return tokens.status();
  added = std::move(*tokens);
  QOPT_RETURN_IF_ERROR(readLengths(top));
  return checkPutIds();
}

std::int32_t Tokenizer::State::idEnd() const {
  auto end = static_cast<std::int32_t>(model->vocabulary().idEnd());
  for (const auto &token : added.all())
    end = std::max(end, token.id + 1);
  return end;
}

Status Tokenizer::State::checkPutIds() const {
  std::int32_t end = idEnd();
  auto check = [end](const char *part, std::int32_t id) {
    if (id < end)
      return Status();
    return Status(StatusCode::BadModel,
                  std::string("tokenizer: ") + part + " has the id " +
                      std::to_string(id) +
                      "; expected that of a token, below " +
                      std::to_string(end));
  };
  for (const auto *ids : {&surroundings.before, &surroundings.behind})
    for (std::int32_t id : *ids)
      QOPT_RETURN_IF_ERROR(check("post_processor", id));
  return padding ? check("padding", padding->padId()) : Status();
}

Status Tokenizer::State::readLengths(const Part &top) {
  if (const auto *spec = top.find("truncation")) {
    auto read = Truncation::read(*spec);
    if (!read)
      return read.status();
    truncation = *read;
  }
  if (const auto *spec = top.find("padding")) {
    auto read = Padding::read(*spec);
    if (!read)
      return read.status();
    padding = *read;
  }
  return {};
}

Status Tokenizer::State::encode(std::string_view text,
                                std::vector<std::int32_t> &ids) const {
  using Stage = AddedTokens::Stage;
  for (Segment raw : added.cut(text, Stage::BeforeNormalization)) {
    if (raw.id >= 0) {
      ids.push_back(raw.id);
      continue;
    }
    NormalizedText part(
        std::string(text.substr(raw.begin, raw.end - raw.begin)));
    if (raw.begin == 0)
      (void)firstCharacter(part.text, part.start);
    if (normalizer)
      QOPT_RETURN_IF_ERROR(normalizer->apply(part));
    for (Segment segment : added.cut(part.text, Stage::AfterNormalization)) {
      std::string_view view = std::string_view(part.text).substr(
          segment.begin, segment.end - segment.begin);
      if (segment.id >= 0)
        ids.push_back(segment.id);
      else
        QOPT_RETURN_IF_ERROR(
            encodePart({std::string(view),
                        {{0, view.size(),
                          part.start - std::min(part.start, segment.begin)}},
                        part.limit},
                       ids));
    }
  }
  return {};
}

Status Tokenizer::State::encodePart(Pieces pieces,
                                    std::vector<std::int32_t> &ids) const {
  if (preTokenizer)
    QOPT_RETURN_IF_ERROR(preTokenizer->apply(pieces));
  for (const Piece &piece : pieces.pieces)
    if (piece.begin < piece.end)
      QOPT_RETURN_IF_ERROR(model->encode(pieces.view(piece), ids));
  return {};
}

std::optional<std::string_view>
Tokenizer::State::spelling(std::int32_t id, SpecialTokens special) const {
  if (id < 0)
    return std::nullopt;
  std::optional<std::string_view> token;
  if (const auto *extra = added.token(id))
    token = extra->spelling;
  else
    token = model->vocabulary().token(static_cast<std::uint32_t>(id));
  if (token && special == SpecialTokens::Exclude && added.isSpecial(*token))
    return std::nullopt;
  return token;
}

Tokenizer::Tokenizer(std::shared_ptr<const State> state)
    : state(std::move(state)) {}

StatusOr<Tokenizer> Tokenizer::create(std::string_view json) {
  try {
    auto state = std::make_shared<State>();
    QOPT_RETURN_IF_ERROR(state->read(json));
    return Tokenizer(std::move(state));
  } catch (const std::bad_alloc &) {
    return Status(StatusCode::OutOfResources,
                  "tokenizer: not enough memory to read it");
  }
}

StatusOr<std::vector<std::int32_t>>
Tokenizer::State::encode(std::string_view text, SpecialTokens special,
                         Extent extent) const {
  if (text.size() > sizeLimit)
    return Status(StatusCode::InvalidArgument,
                  "tokenizer: the text has " + std::to_string(text.size()) +
                      " bytes; expected at most 1 GiB");
  try {
    Surroundings around =
        special == SpecialTokens::Include ? surroundings : Surroundings();
    std::vector<std::int32_t> ids = around.before;
    QOPT_RETURN_IF_ERROR(encode(toValidUtf8(text), ids));
    if (truncation && extent == Extent::AsTheFileSays)
      QOPT_RETURN_IF_ERROR(
          truncation->apply(ids, around.before.size(),
                            around.before.size() + around.behind.size()));
    ids.insert(ids.end(), around.behind.begin(), around.behind.end());
    if (padding && extent == Extent::AsTheFileSays)
      padding->apply(ids);
    return ids;
  } catch (const std::bad_alloc &) {
    return Status(StatusCode::OutOfResources,
                  "tokenizer: not enough memory for a text of " +
                      std::to_string(text.size()) + " bytes");
  }
}

StatusOr<std::vector<std::int32_t>>
Tokenizer::encode(std::string_view text, SpecialTokens special) const {
  return state->encode(text, special, Extent::AsTheFileSays);
}

StatusOr<std::vector<std::int32_t>>
Tokenizer::encodeWhole(std::string_view text, SpecialTokens special) const {
  return state->encode(text, special, Extent::Whole);
}

std::string Tokenizer::decode(std::span<const std::int32_t> ids,
                              SpecialTokens special) const {
  DecodeChain chain(state->decoder);
  for (std::int32_t id : ids)
    if (auto token = state->spelling(id, special))
      chain.push(*token);
  chain.finish();
  return chain.take();
}

std::size_t Tokenizer::vocabularySize() const {
  std::size_t size = state->model->vocabulary().size();
  for (const auto &token : state->added.all())
    size += !state->model->vocabulary().find(token.content);
  return size;
}

std::int32_t Tokenizer::idEnd() const { return state->idEnd(); }

Status Tokenizer::checkVocabulary(std::size_t rows) const {
  std::int32_t last = idEnd() - 1;
  if (last < 0 || static_cast<std::size_t>(last) < rows)
    return {};
  return Status(StatusCode::BadModel,
                "the tokenizer does not fit the vocabulary: token \"" +
                    idToToken(last).value_or("") + "\" has id " +
                    std::to_string(last) + ", but the model has " +
                    std::to_string(rows) +
                    " rows; give the tokenizer.json of this model");
}

std::optional<std::int32_t> Tokenizer::tokenToId(std::string_view token) const {
  if (auto id = state->added.find(token))
    return id;
  if (auto id = state->model->vocabulary().find(token))
    return static_cast<std::int32_t>(*id);
  return std::nullopt;
}

std::optional<std::string> Tokenizer::idToToken(std::int32_t id) const {
  if (auto token = state->spelling(id, SpecialTokens::Include))
    return std::string(*token);
  return std::nullopt;
}

std::vector<AddedToken> Tokenizer::addedTokens() const {
  std::vector<AddedToken> tokens;
  for (const auto &token : state->added.all())
    tokens.push_back({token.id, token.content, token.special});
  return tokens;
}

bool Tokenizer::isSpecial(std::int32_t id) const {
  const auto *token = state->added.token(id);
  return token && token->special;
}

struct TokenStream::State {
  Tokenizer tokenizer;
  SpecialTokens special;
  DecodeChain chain;
};

TokenStream::TokenStream(const Tokenizer &tokenizer, SpecialTokens special)
    : state(new State{tokenizer, special,
                      DecodeChain(tokenizer.state->decoder)}) {}
TokenStream::TokenStream(TokenStream &&) noexcept = default;
TokenStream &TokenStream::operator=(TokenStream &&) noexcept = default;
TokenStream::~TokenStream() = default;

std::string TokenStream::push(std::int32_t id) {
  if (auto token = state->tokenizer.state->spelling(id, state->special))
    state->chain.push(*token);
  return state->chain.take();
}

std::string TokenStream::finish() {
  state->chain.finish();
  std::string rest = state->chain.take();
  state->chain = DecodeChain(state->tokenizer.state->decoder);
  return rest;
}

} // namespace qopt
