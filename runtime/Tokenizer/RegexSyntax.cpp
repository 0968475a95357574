// Oniguruma's syntax → PCRE2's. Different are: the meaning of \s \w \d \b \h
// \v, character classes (nested, with &&), the flag m, intervals that are
// followed by + or ?, \uXXXX. One pass over the pattern writes the translation;
// a class becomes an expression that matches exactly one character.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/Tokenizer/Regex.h"
#include "runtime/Tokenizer/RegexProperties.h"
#include "runtime/Tokenizer/Utf8.h"

#include <algorithm>
#include <cctype>
#include <optional>
#include <utility>

namespace qopt::runtime {

static constexpr std::string_view anyCharacter = "(?s:.)";

static std::string bracket(std::string_view contents) {
  return "[" + std::string(contents) + "]";
}
static std::string bracketNot(std::string_view contents) {
  return "[^" + std::string(contents) + "]";
}
namespace {

/// Something within a class or behind a backslash: one character, class
/// contents, or an expression for one character.
struct Item {
  std::optional<char32_t> character;
  std::string contents;
  std::string expression;
};

class Translator {
public:
  explicit Translator(std::string_view pattern) : pattern(pattern) {}

  StatusOr<std::string> run() {
    while (!failed() && at < pattern.size())
      step();
    if (failed())
      return Status(code, titleOfRegex(pattern) + ": " + problem);
    return out;
  }

private:
  bool failed() const { return !problem.empty(); }
  /// An expression that is none.
  void fail(std::string what) { fail(std::move(what), StatusCode::BadModel); }
  /// One that has no equal here.
  void refuse(std::string what) {
    fail(std::move(what), StatusCode::Unsupported);
  }
  void fail(std::string what, StatusCode why) {
    if (failed())
      return;
    problem = std::move(what);
    code = why;
  }
  bool next(std::string_view text) const {
    return pattern.substr(at, text.size()) == text;
  }
  bool take(std::string_view text) {
    bool found = next(text);
    if (found)
      at += text.size();
    return found;
  }
  char32_t takeCharacter() {
    std::size_t length;
    char32_t character = firstCharacter(pattern.substr(at), length);
    at += length;
    return character;
  }
  void atom(std::string_view text) {
    lastAtom = out.size();
    out += text;
  }

  void step();
  void openGroup();
  void groupFlags();
  void interval();
  void escape();
  bool zeroWidthEscape(char letter);
  Item escapedItem();
  Item property(bool negated);
  Item codePoint(std::size_t digits);
  std::string parseClass();
  Item posixClass();
  Item classItem();

  std::string_view pattern;
  std::size_t at = 0;
  std::string out;
  std::string problem;
  StatusCode code = StatusCode::Ok;    ///< of the problem
  std::size_t lastAtom = 0;            ///< where in `out` the last atom begins
  std::vector<std::size_t> openGroups; ///< where in `out` they begin
  unsigned classDepth = 0;
};

void Translator::step() {
  char c = pattern[at];
  switch (c) {
  case '\\':
    escape();
    break;
  case '[':
    ++at;
    atom(parseClass());
    break;
  case '(':
    openGroup();
    break;
  case ')':
    if (!openGroups.empty()) {
      lastAtom = openGroups.back();
      openGroups.pop_back();
    }
    out += pattern[at++];
    break;
  case '{':
    interval();
    break;
  case '*':
  case '+':
  case '?':
  case '|':
  case '^':
  case '$':
    out += pattern[at++];
    break;
  case '.':
    atom(".");
    ++at;
    break;
  default:
    atom(spellCharacter(takeCharacter()));
  }
}

void Translator::openGroup() {
  std::size_t begin = out.size();
  if (next("(?#")) {
    std::size_t end = pattern.find(')', at);
    if (end == std::string_view::npos)
      fail("comment without end");
    at = end == std::string_view::npos ? pattern.size() : end + 1;
    return;
  }
  openGroups.push_back(begin);
  for (std::string_view kind : {"(?:", "(?=", "(?!", "(?<=", "(?<!", "(?>"}) {
    if (take(kind)) {
      out += kind;
      return;
    }
  }
  if (next("(?<")) { // a named group: copied up to its >
    std::size_t end = std::min(pattern.find('>', at), pattern.size() - 1);
    out += pattern.substr(at, end + 1 - at);
    at = end + 1;
  } else if (next("(?")) {
    groupFlags();
  } else {
    out += pattern[at++];
  }
}

void Translator::groupFlags() {
  std::size_t begin = at;
  bool first = out.empty() || out.back() == '(' || out.back() == ':';
  std::string flags;
  for (at += 2;
       at < pattern.size() &&
       std::string_view("im-").find(pattern[at]) != std::string_view::npos;
       ++at)
    flags += pattern[at] == 'm' ? 's' : pattern[at];
  if (take(":")) {
    out += "(?" + flags + ":";
  } else if (!flags.empty() && first && take(")")) {
    out += "(?" + flags + ")";
    openGroups.pop_back();
  } else {
    refuse("group \"" + std::string(pattern.substr(begin, at + 1 - begin)) +
           "\" is not supported");
  }
}

/// {n} {n,} {n,m} {,m}; anything else is a literal brace. A following + repeats
/// the whole again (it makes nothing possessive), and {n}? makes it optional.
void Translator::interval() {
  std::size_t end = at + 1;
  auto digits = [&] {
    std::size_t begin = end;
    while (end < pattern.size() &&
           std::isdigit(static_cast<unsigned char>(pattern[end])))
      ++end;
    return std::string(pattern.substr(begin, end - begin));
  };
  std::string low = digits(), high = low;
  bool range = end < pattern.size() && pattern[end] == ',';
  if (range) {
    ++end;
    high = digits();
  }
  if (end >= pattern.size() || pattern[end] != '}' ||
      (low.empty() && high.empty())) {
    atom("\\{");
    ++at;
    return;
  }
  at = end + 1;
  out += "{" + (low.empty() ? "0" : low) + (range ? "," + high : "") + "}";
  bool wraps = next("+") || (!range && next("?"));
  if (wraps) {
    out.insert(lastAtom, "(?:");
    out += ')';
  }
}

bool Translator::zeroWidthEscape(char letter) {
  std::string word = bracket(wordContents());
  switch (letter) {
  case 'b':
    out += "(?:(?<=" + word + ")(?!" + word + ")|(?<!" + word + ")(?=" + word +
           "))";
    return true;
  case 'B':
    out += "(?:(?<=" + word + ")(?=" + word + ")|(?<!" + word + ")(?!" + word +
           "))";
    return true;
  case 'A':
  case 'Z':
  case 'z':
  case 'G':
  case 'K':
    out += std::string("\\") + letter;
    return true;
  default:
    return false;
  }
}

void Translator::escape() {
  if (at + 1 >= pattern.size())
    return fail("ends in a backslash");
  char letter = pattern[at + 1];
  if (zeroWidthEscape(letter)) {
    at += 2;
    return;
  }
  bool reference = letter >= '1' && letter <= '9';
  if (reference || letter == 'R' || letter == 'X') {
    atom(pattern.substr(at, 2));
    at += 2;
    return;
  }
  Item item = escapedItem();
  if (item.character)
    atom(spellCharacter(*item.character));
  else
    atom(item.expression.empty() ? bracket(item.contents) : item.expression);
}

/// An escape that stands for one character, within a class or outside.
Item Translator::escapedItem() {
  ++at;
  char32_t letter = takeCharacter();
  switch (letter) {
  case 's':
    return {{}, std::string(spaceContents), {}};
  case 'S':
    return {{}, std::string(nonSpaceContents), {}};
  case 'w':
    return {{}, wordContents(), {}};
  case 'W':
    return {{}, {}, bracketNot(wordContents())};
  case 'd':
    return {{}, propertyContents("Nd"), {}};
  case 'D':
    return {{}, {}, bracketNot(propertyContents("Nd"))};
  case 'h':
    return {{}, std::string(hexDigitContents), {}};
  case 'H':
    return {{}, {}, bracketNot(hexDigitContents)};
  case 'N':
    return {{}, {}, "[^\\n]"};
  case 'O':
    return {{}, {}, std::string(anyCharacter)};
  case 'p':
  case 'P':
    return property(letter == 'P');
  case 'x':
    return codePoint(2);
  case 'u':
    return codePoint(4);
  case 't':
    return {'\t', {}, {}};
  case 'n':
    return {'\n', {}, {}};
  case 'r':
    return {'\r', {}, {}};
  case 'f':
    return {'\f', {}, {}};
  case 'v':
    return {'\v', {}, {}};
  case 'a':
    return {'\a', {}, {}};
  case 'e':
    return {0x1B, {}, {}};
  case 'b': // only a class gets here
    return {'\b', {}, {}};
  default:
    if (letter < 0x80 && std::isalnum(static_cast<int>(letter)))
      refuse(std::string("escape \"\\") + static_cast<char>(letter) +
             "\" is not supported");
    return {letter, {}, {}};
  }
}

Item Translator::property(bool negated) {
  std::string name;
  if (take("{")) {
    std::size_t end = pattern.find('}', at);
    if (end == std::string_view::npos) {
      fail("\\p{ without }");
      return {};
    }
    if (take("^"))
      negated = !negated;
    name = pattern.substr(at, end - at);
    at = end + 1;
  } else if (at < pattern.size()) {
    name = pattern[at++];
  }
  std::string contents = propertyContents(name);
  if (negated)
    return {{}, {}, bracketNot(contents)};
  return {{}, std::move(contents), {}};
}

Item Translator::codePoint(std::size_t digits) {
  bool braces = take("{");
  std::size_t end = at;
  while (end < pattern.size() && (braces || end < at + digits) &&
         std::isxdigit(static_cast<unsigned char>(pattern[end])))
    ++end;
  std::string hex(pattern.substr(at, end - at));
  at = end;
  if (hex.empty() || hex.size() > 6 || (braces && !take("}"))) {
    fail("code point without hexadecimal digits");
    return {};
  }
  return {static_cast<char32_t>(std::stoul(hex, nullptr, 16)), {}, {}};
}

/// `[:name:]` behind its first bracket.
Item Translator::posixClass() {
  at += 2;
  bool negated = take("^");
  std::size_t end = pattern.find(":]", at);
  std::string name(pattern.substr(at, end - at));
  at = end + 2;
  if (auto contents = posixContents(name))
    return negated ? Item{{}, {}, bracketNot(*contents)}
                   : Item{{}, std::move(*contents), {}};
  refuse("class \"[:" + name + ":]\" is not supported");
  return {};
}

Item Translator::classItem() {
  if (next("[:") && pattern.find(":]", at) != std::string_view::npos)
    return posixClass();
  if (take("["))
    return {{}, {}, parseClass()};
  if (next("\\") && at + 1 < pattern.size())
    return escapedItem();
  return {takeCharacter(), {}, {}};
}

/// A class behind its opening bracket → an expression that matches one
/// character.
std::string Translator::parseClass() {
  if (++classDepth > 32)
    refuse("classes are nested too deeply");
  bool negated = take("^");
  std::vector<std::string> operands; // of &&
  std::string contents, others;      // of the union being read
  auto finishUnion = [&] {
    if (others.empty())
      operands.push_back(contents.empty() ? "(?!)" : bracket(contents));
    else
      operands.push_back(
          "(?:" + (contents.empty() ? "" : bracket(contents) + "|") + others +
          ")");
    contents.clear();
    others.clear();
  };
  bool first = true;
  while (!failed() && (first || !next("]"))) {
    first = false;
    if (at >= pattern.size()) {
      fail("class without ]");
      break;
    }
    if (take("&&")) {
      finishUnion();
      continue;
    }
    Item item = classItem();
    if (item.character && next("-") && at + 1 < pattern.size() &&
        pattern[at + 1] != ']') {
      ++at;
      Item last = classItem();
      if (!last.character)
        fail("range of a class ends in no character");
      else
        contents += spellCharacter(*item.character) + "-" +
                    spellCharacter(*last.character);
    } else if (item.character) {
      contents += spellCharacter(*item.character);
    } else if (item.expression.empty()) {
      contents += item.contents;
    } else {
      others += (others.empty() ? "" : "|") + item.expression;
    }
  }
  take("]");
  --classDepth;
  finishUnion();
  if (operands.size() == 1 && negated && operands[0].starts_with("["))
    return "[^" + operands[0].substr(1);
  std::string result = operands.back();
  for (std::size_t i = operands.size() - 1; i-- > 0;)
    result.insert(0, "(?=" + operands[i] + ")");
  if (negated)
    return "(?:(?!" + result + ")" + std::string(anyCharacter) + ")";
  return operands.size() == 1 ? result : "(?:" + result + ")";
}

} // namespace

std::string titleOfRegex(std::string_view expression) {
  std::string_view shown = expression.substr(0, 100);
  while (!shown.empty() && shown.size() < expression.size() &&
         (static_cast<unsigned char>(expression[shown.size()]) & 0xC0) == 0x80)
    shown.remove_suffix(1); // not within a character
  return "regular expression \"" + std::string(shown) +
         (shown.size() < expression.size() ? "…\"" : "\"");
}

StatusOr<std::string> translateRegex(std::string_view pattern) {
  return Translator(pattern).run();
}

} // namespace qopt::runtime
