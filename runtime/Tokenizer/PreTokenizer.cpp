// The pre-tokenizers and their table.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/Tokenizer/PreTokenizer.h"
#include "runtime/Tokenizer/ByteAlphabet.h"
#include "runtime/Tokenizer/Metaspace.h"
#include "runtime/Tokenizer/PartTable.h"
#include "runtime/Tokenizer/Unicode.h"
#include "runtime/Tokenizer/Utf8.h"

#include <algorithm>

namespace qopt::runtime {

using nlohmann::json;

namespace {

/// Splits every piece; `find(text, matches)` says where.
template <typename Find>
Status splitAll(Pieces &pieces, Splitting splitting, Find find) {
  std::vector<Piece> parts;
  std::vector<Match> matches;
  for (const Piece &piece : pieces.pieces) {
    matches.clear();
    QOPT_RETURN_IF_ERROR(find(pieces.view(piece), matches));
    splitting.split(piece, matches, parts);
  }
  pieces.pieces = std::move(parts);
  return {};
}

/// Splits at single characters.
template <typename Is>
Status splitAtCharacters(Pieces &pieces, Splitting splitting, Is is) {
  return splitAll(pieces, splitting,
                  [&](std::string_view text, std::vector<Match> &matches) {
                    for (std::size_t at = 0, length; at < text.size();
                         at += length)
                      if (is(firstCharacter(text.substr(at), length)))
                        matches.push_back({at, at + length});
                    return Status();
                  });
}

/// Writes every piece anew; `write(piece, out)` appends its text.
template <typename Write> void rewritePieces(Pieces &pieces, Write write) {
  std::string text;
  text.reserve(pieces.text.size() * 3 / 2);
  for (Piece &piece : pieces.pieces) {
    std::size_t begin = text.size();
    write(pieces.view(piece), piece.start > 0, text);
    piece.begin = begin;
    piece.end = text.size();
    piece.start = std::min<std::size_t>(piece.start, 1);
  }
  pieces.text = std::move(text);
}

class ByteLevel : public PreTokenizer {
public:
  ByteLevel(bool addSpace, std::optional<Pattern> words)
      : addSpace(addSpace), words(std::move(words)) {}
  Status change(Pieces &pieces) const override {
    if (addSpace)
      rewritePieces(pieces, [](std::string_view text, bool, std::string &out) {
        if (!text.starts_with(' '))
          out += ' ';
        out += text;
      });
    if (words)
      QOPT_RETURN_IF_ERROR(
          splitAll(pieces, {Delimiter::Isolated},
                   [&](std::string_view text, std::vector<Match> &matches) {
                     return words->findAll(text, matches);
                   }));
    rewritePieces(pieces, [](std::string_view text, bool, std::string &out) {
      appendSpeltBytes(out, text);
    });
    return {};
  }

private:
  bool addSpace;
  std::optional<Pattern> words;
};

class MetaspacePieces : public PreTokenizer {
public:
  explicit MetaspacePieces(Metaspace metaspace) : space(std::move(metaspace)) {}
  Status change(Pieces &pieces) const override {
    rewritePieces(pieces, [&](std::string_view text, bool atStart,
                              std::string &out) {
      bool prefix = space.prepend == Metaspace::Prepend::Always ||
                    (space.prepend == Metaspace::Prepend::First && atStart);
      if (prefix && !text.starts_with(' ') && !text.starts_with(space.symbol))
        out += space.symbol;
      for (char c : text) {
        if (c == ' ')
          out += space.symbol;
        else
          out += c;
      }
    });
    if (!space.split)
      return {};
    return splitAll(pieces, {Delimiter::MergedWithNext},
                    [&](std::string_view text, std::vector<Match> &matches) {
                      return pattern.findAll(text, matches);
                    });
  }
  Status prepare() {
    StatusOr<Pattern> made = Pattern::literal(space.symbol);
    if (made)
      pattern = std::move(*made);
    return made.status();
  }

private:
  Metaspace space;
  Pattern pattern;
};

class Split : public PreTokenizer {
public:
  Split(Pattern pattern, Splitting splitting)
      : pattern(std::move(pattern)), splitting(splitting) {}
  Status change(Pieces &pieces) const override {
    return splitAll(pieces, splitting,
                    [&](std::string_view text, std::vector<Match> &matches) {
                      return pattern.findAll(text, matches);
                    });
  }

private:
  Pattern pattern;
  Splitting splitting;
};

/// Splits at characters of a class.
class SplitClass : public PreTokenizer {
public:
  SplitClass(bool (*is)(char32_t), Delimiter delimiter)
      : is(is), delimiter(delimiter) {}
  Status change(Pieces &pieces) const override {
    return splitAtCharacters(pieces, {delimiter}, is);
  }

private:
  bool (*is)(char32_t);
  Delimiter delimiter;
};

/// Runs of word characters and runs of other characters that are no space.
class Whitespace : public PreTokenizer {
public:
  Status change(Pieces &pieces) const override {
    auto kind = [](char32_t c) {
      return isWordCharacter(c) ? 2 : isWhitespace(c) ? 0 : 1;
    };
    return splitAll(
        pieces, {Delimiter::Removed, true},
        [&](std::string_view text, std::vector<Match> &matches) {
          int previous = 0;
          for (std::size_t at = 0, length; at < text.size(); at += length) {
            int current = kind(firstCharacter(text.substr(at), length));
            if (current != 0 && current == previous)
              matches.back().end = at + length;
            else if (current != 0)
              matches.push_back({at, at + length});
            previous = current;
          }
          return Status();
        });
  }
};

class CharacterDelimiter : public PreTokenizer {
public:
  explicit CharacterDelimiter(char32_t delimiter) : delimiter(delimiter) {}
  Status change(Pieces &pieces) const override {
    return splitAtCharacters(pieces, {Delimiter::Removed},
                             [&](char32_t c) { return c == delimiter; });
  }

private:
  char32_t delimiter;
};

class Sequence : public PreTokenizer {
public:
  std::vector<std::unique_ptr<PreTokenizer>> steps;
  Status change(Pieces &pieces) const override {
    for (const auto &step : steps)
      QOPT_RETURN_IF_ERROR(step->apply(pieces));
    return {};
  }
};

using Made = StatusOr<std::unique_ptr<PreTokenizer>>;

Made makeByteLevel(const Part &part, const json &) {
  // GPT-2's words.
  static constexpr std::string_view expression =
      R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
  bool addSpace = true, useRegex = true;
  QOPT_RETURN_IF_ERROR(part.read("add_prefix_space", addSpace));
  QOPT_RETURN_IF_ERROR(part.readOptional("use_regex", useRegex));
  if (!useRegex)
    return Made(std::make_unique<ByteLevel>(addSpace, std::nullopt));
  StatusOr<Pattern> words = Pattern::regex(expression);
  if (!words)
    return words.status();
  return Made(std::make_unique<ByteLevel>(addSpace, std::move(*words)));
}

Made makeMetaspace(const Part &part, const json &) {
  StatusOr<Metaspace> metaspace = readMetaspace(part);
  if (!metaspace)
    return metaspace.status();
  auto made = std::make_unique<MetaspacePieces>(std::move(*metaspace));
  QOPT_RETURN_IF_ERROR(made->prepare());
  return Made(std::move(made));
}

/// The field "behavior".
Status readDelimiter(const Part &part, Delimiter &delimiter) {
  static constexpr std::pair<std::string_view, Delimiter> names[] = {
      {"Removed", Delimiter::Removed},
      {"Isolated", Delimiter::Isolated},
      {"MergedWithPrevious", Delimiter::MergedWithPrevious},
      {"MergedWithNext", Delimiter::MergedWithNext},
      {"Contiguous", Delimiter::Contiguous}};
  std::string behavior;
  QOPT_RETURN_IF_ERROR(part.read("behavior", behavior));
  for (auto [name, value] : names) {
    if (behavior == name) {
      delimiter = value;
      return {};
    }
  }
  return unsupportedPart(part.title() + ": behavior", behavior,
                         "Removed, Isolated, MergedWithPrevious, "
                         "MergedWithNext, Contiguous");
}

Made makeSplit(const Part &part, const json &) {
  StatusOr<Pattern> pattern = readPattern(part);
  if (!pattern)
    return pattern.status();
  Splitting splitting{Delimiter::Isolated};
  QOPT_RETURN_IF_ERROR(readDelimiter(part, splitting.delimiter));
  QOPT_RETURN_IF_ERROR(part.read("invert", splitting.inverted));
  return Made(std::make_unique<Split>(std::move(*pattern), splitting));
}

Made makePunctuation(const Part &part, const json &) {
  Delimiter delimiter = Delimiter::Isolated;
  if (part.find("behavior"))
    QOPT_RETURN_IF_ERROR(readDelimiter(part, delimiter));
  return Made(std::make_unique<SplitClass>(isPunctuation, delimiter));
}

Made makeDigits(const Part &part, const json &) {
  bool individual = false;
  QOPT_RETURN_IF_ERROR(part.read("individual_digits", individual));
  return Made(std::make_unique<SplitClass>(
      isNumeric, individual ? Delimiter::Isolated : Delimiter::Contiguous));
}

Made makeWhitespace(const Part &, const json &) {
  return Made(std::make_unique<Whitespace>());
}

Made makeWhitespaceSplit(const Part &, const json &) {
  return Made(std::make_unique<SplitClass>(isWhitespace, Delimiter::Removed));
}

Made makeBert(const Part &, const json &) {
  auto bert = std::make_unique<Sequence>();
  bert->steps.push_back(
      std::make_unique<SplitClass>(isWhitespace, Delimiter::Removed));
  bert->steps.push_back(
      std::make_unique<SplitClass>(isPunctuation, Delimiter::Isolated));
  return Made(std::move(bert));
}

Made makeCharacterDelimiter(const Part &part, const json &) {
  std::string delimiter;
  QOPT_RETURN_IF_ERROR(part.read("delimiter", delimiter));
  std::size_t length = 0;
  if (countCharacters(delimiter) != 1)
    return part.wrong("delimiter", "one character");
  return Made(
      std::make_unique<CharacterDelimiter>(firstCharacter(delimiter, length)));
}

Made makeSequence(const Part &part, const json &) {
  auto sequence = std::make_unique<Sequence>();
  QOPT_RETURN_IF_ERROR(
      makeSteps(part, "pretokenizers", makePreTokenizer, [&](auto step) {
        step->name += ", step " + std::to_string(sequence->steps.size() + 1) +
                      " of a sequence,";
        sequence->steps.push_back(std::move(step));
      }));
  return Made(std::move(sequence));
}

struct Row {
  const char *type;
  Made (*make)(const Part &, const json &);
};
constexpr Row table[] = {
    {"ByteLevel", makeByteLevel},
    {"Metaspace", makeMetaspace},
    {"Split", makeSplit},
    {"Punctuation", makePunctuation},
    {"Digits", makeDigits},
    {"Whitespace", makeWhitespace},
    {"WhitespaceSplit", makeWhitespaceSplit},
    {"BertPreTokenizer", makeBert},
    {"CharDelimiterSplit", makeCharacterDelimiter},
    {"Sequence", makeSequence},
};

} // namespace

StatusOr<std::unique_ptr<PreTokenizer>> makePreTokenizer(const json &spec) {
  Made made =
      makePart<std::unique_ptr<PreTokenizer>>("pre_tokenizer", spec, table);
  if (made)
    (*made)->name = titleOf("pre_tokenizer", spec);
  return made;
}

} // namespace qopt::runtime
