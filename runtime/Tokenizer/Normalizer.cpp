// The normalizers, plainest first, and their table.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/Tokenizer/Normalizer.h"
#include "runtime/Tokenizer/ByteAlphabet.h"
#include "runtime/Tokenizer/Charsmap.h"
#include "runtime/Tokenizer/PartTable.h"
#include "runtime/Tokenizer/Unicode.h"
#include "runtime/Tokenizer/Utf8.h"

#include <algorithm>

namespace qopt::runtime {

using nlohmann::json;

namespace {

/// Calls `each(character, result)` for every character of the text; what it
/// appends is the new text.
template <typename Each> void rewrite(NormalizedText &text, Each each) {
  std::string result;
  result.reserve(text.text.size());
  std::string_view rest = text.text;
  std::size_t start = 0;
  while (!rest.empty()) {
    std::size_t length;
    bool first = text.text.size() - rest.size() < text.start;
    each(firstCharacter(rest, length), result);
    rest.remove_prefix(length);
    if (first)
      start = result.size();
  }
  text.become(std::move(result), start);
}

/// Replaces the text by `whole(text)`.
template <typename Whole> void transform(NormalizedText &text, Whole whole) {
  std::string_view first = std::string_view(text.text).substr(0, text.start);
  std::size_t start = whole(first).size();
  text.become(whole(text.text), start);
}

class Unicode : public Normalizer {
public:
  explicit Unicode(NormalForm form) : form(form) {}
  Status change(NormalizedText &text) const override {
    transform(text,
              [&](std::string_view part) { return normalize(part, form); });
    return {};
  }

private:
  NormalForm form;
};

class Lowercase : public Normalizer {
public:
  Status change(NormalizedText &text) const override {
    rewrite(text,
            [](char32_t c, std::string &out) { appendLowercase(out, c); });
    return {};
  }
};

class StripAccents : public Normalizer {
public:
  Status change(NormalizedText &text) const override {
    rewrite(text, [](char32_t c, std::string &out) {
      if (!isCombiningMark(c))
        appendUtf8(out, c);
    });
    return {};
  }
};

/// The cleaning of neural machine translation: control characters go, other
/// spaces become one kind.
class Nmt : public Normalizer {
public:
  Status change(NormalizedText &text) const override {
    rewrite(text, [](char32_t c, std::string &out) {
      bool removed = (c >= 0x1 && c <= 0x8) || c == 0xB ||
                     (c >= 0xE && c <= 0x1F) || c == 0x7F || c == 0x8F ||
                     c == 0x9F;
      bool space = c == 0x9 || c == 0xA || c == 0xC || c == 0xD ||
                   c == 0x1680 || (c >= 0x200B && c <= 0x200F) || c == 0x2028 ||
                   c == 0x2029 || c == 0x2581 || c == 0xFEFF || c == 0xFFFD;
      if (!removed)
        appendUtf8(out, space ? U' ' : c);
    });
    return {};
  }
};

class ByteLevel : public Normalizer {
public:
  Status change(NormalizedText &text) const override {
    transform(text, spellBytes);
    return {};
  }
};

class Prepend : public Normalizer {
public:
  explicit Prepend(std::string prefix) : prefix(std::move(prefix)) {}
  Status change(NormalizedText &text) const override {
    if (text.text.empty())
      return {};
    text.text.insert(0, prefix);
    text.start += text.start > 0 ? prefix.size() : 0;
    return {};
  }

private:
  std::string prefix;
};

class Strip : public Normalizer {
public:
  Strip(bool left, bool right) : left(left), right(right) {}
  Status change(NormalizedText &text) const override {
    std::string_view rest = text.text;
    std::size_t begin = 0, end = 0;
    bool seen = false;
    for (std::size_t at = 0, length; at < rest.size(); at += length) {
      if (isWhitespace(firstCharacter(rest.substr(at), length)))
        continue;
      begin = seen ? begin : at;
      end = at + length;
      seen = true;
    }
    if (!seen)
      begin = left ? rest.size() : 0;
    begin = left ? begin : 0;
    end = right ? std::max(begin, end) : rest.size();
    text.become(std::string(rest.substr(begin, end - begin)),
                text.start - std::min(text.start, begin));
    return {};
  }

private:
  bool left, right;
};

class Replace : public Normalizer {
public:
  Replace(Pattern pattern, std::string content)
      : pattern(std::move(pattern)), content(std::move(content)) {}
  Status change(NormalizedText &text) const override {
    std::vector<Match> matches;
    QOPT_RETURN_IF_ERROR(pattern.findAll(text.text, matches));
    if (matches.empty())
      return {};
    QOPT_RETURN_IF_ERROR(text.limit.check(
        replacedSize(text.text.size(), matches, content.size()), name));
    std::string result;
    std::size_t at = 0, start = 0;
    auto keep = [&](std::size_t end) {
      if (at < text.start)
        start = result.size() + std::min(end, text.start) - at;
      result.append(text.text, at, end - at);
    };
    for (Match match : matches) {
      keep(match.begin);
      result += content; // it counts for the last character it replaces
      if (std::max<std::size_t>(match.end, 1) - 1 < text.start)
        start = result.size();
      at = match.end;
    }
    keep(text.text.size());
    text.become(std::move(result), start);
    return {};
  }

private:
  Pattern pattern;
  std::string content;
};

class Bert : public Normalizer {
public:
  bool cleanText = true, chineseCharacters = true, lowercase = true;
  bool stripAccents = true;

  Status change(NormalizedText &text) const override {
    if (cleanText)
      rewrite(text, [](char32_t c, std::string &out) {
        if (c != 0 && c != 0xFFFD && !isControl(c))
          appendUtf8(out, isWhitespace(c) ? U' ' : c);
      });
    if (chineseCharacters)
      rewrite(text, [](char32_t c, std::string &out) {
        bool chinese = isChineseCharacter(c);
        out += chinese ? " " : "";
        appendUtf8(out, c);
        out += chinese ? " " : "";
      });
    if (stripAccents) {
      transform(text, [](std::string_view part) {
        return normalize(part, NormalForm::Decomposed);
      });
      rewrite(text, [](char32_t c, std::string &out) {
        if (!isNonspacingMark(c))
          appendUtf8(out, c);
      });
    }
    if (lowercase)
      rewrite(text,
              [](char32_t c, std::string &out) { appendLowercase(out, c); });
    return {};
  }
};

class Precompiled : public Normalizer {
public:
  explicit Precompiled(Charsmap map) : map(std::move(map)) {}
  Status change(NormalizedText &text) const override {
    map.apply(text);
    return {};
  }

private:
  Charsmap map;
};

class Sequence : public Normalizer {
public:
  std::vector<std::unique_ptr<Normalizer>> steps;
  Status change(NormalizedText &text) const override {
    for (const auto &step : steps)
      QOPT_RETURN_IF_ERROR(step->apply(text));
    return {};
  }
};

using Made = StatusOr<std::unique_ptr<Normalizer>>;

template <NormalForm form> Made makeUnicode(const Part &, const json &) {
  return Made(std::make_unique<Unicode>(form));
}

template <typename Plain> Made makePlain(const Part &, const json &) {
  return Made(std::make_unique<Plain>());
}

Made makePrepend(const Part &part, const json &) {
  std::string prefix;
  QOPT_RETURN_IF_ERROR(part.read("prepend", prefix));
  return Made(std::make_unique<Prepend>(std::move(prefix)));
}

Made makeStrip(const Part &part, const json &) {
  bool left = false, right = false;
  QOPT_RETURN_IF_ERROR(part.read("strip_left", left));
  QOPT_RETURN_IF_ERROR(part.read("strip_right", right));
  return Made(std::make_unique<Strip>(left, right));
}

Made makeReplace(const Part &part, const json &) {
  std::string content;
  QOPT_RETURN_IF_ERROR(part.read("content", content));
  StatusOr<Pattern> pattern = readPattern(part);
  if (!pattern)
    return pattern.status();
  return Made(
      std::make_unique<Replace>(std::move(*pattern), std::move(content)));
}

Made makeBert(const Part &part, const json &) {
  auto bert = std::make_unique<Bert>();
  QOPT_RETURN_IF_ERROR(part.read("clean_text", bert->cleanText));
  QOPT_RETURN_IF_ERROR(
      part.read("handle_chinese_chars", bert->chineseCharacters));
  QOPT_RETURN_IF_ERROR(part.read("lowercase", bert->lowercase));
  bert->stripAccents = bert->lowercase;
  QOPT_RETURN_IF_ERROR(part.readOptional("strip_accents", bert->stripAccents));
  return Made(std::move(bert));
}

Made makePrecompiled(const Part &part, const json &) {
  std::string base64;
  QOPT_RETURN_IF_ERROR(part.read("precompiled_charsmap", base64));
  StatusOr<Charsmap> map = Charsmap::parse(base64);
  if (!map)
    return map.status();
  return Made(std::make_unique<Precompiled>(std::move(*map)));
}

Made makeSequence(const Part &part, const json &) {
  auto sequence = std::make_unique<Sequence>();
  QOPT_RETURN_IF_ERROR(
      makeSteps(part, "normalizers", makeNormalizer, [&](auto step) {
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
    {"NFC", makeUnicode<NormalForm::Composed>},
    {"NFD", makeUnicode<NormalForm::Decomposed>},
    {"NFKC", makeUnicode<NormalForm::CompatComposed>},
    {"NFKD", makeUnicode<NormalForm::CompatDecomposed>},
    {"Lowercase", makePlain<Lowercase>},
    {"StripAccents", makePlain<StripAccents>},
    {"Nmt", makePlain<Nmt>},
    {"ByteLevel", makePlain<ByteLevel>},
    {"Prepend", makePrepend},
    {"Strip", makeStrip},
    {"Replace", makeReplace},
    {"BertNormalizer", makeBert},
    {"Precompiled", makePrecompiled},
    {"Sequence", makeSequence},
};

} // namespace

StatusOr<std::unique_ptr<Normalizer>> makeNormalizer(const json &spec) {
  Made made = makePart<std::unique_ptr<Normalizer>>("normalizer", spec, table);
  if (made)
    (*made)->name = titleOf("normalizer", spec);
  return made;
}

} // namespace qopt::runtime
