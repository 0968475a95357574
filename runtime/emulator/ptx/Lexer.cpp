// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/ptx/Lexer.h"

#include <bit>
#include <cstdlib>
#include <string>

namespace qopt::emulator::ptx {
namespace {

bool isDigit(char c) { return c >= '0' && c <= '9'; }
bool isLetter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         c == '$' || c == '%';
}
bool isWordPart(char c) { return isLetter(c) || isDigit(c); }

class Scanner {
public:
  explicit Scanner(std::string_view source) : source(source) {}

  StatusOr<std::vector<Token>> run() {
    std::vector<Token> tokens;
    tokens.reserve(source.size() / 4);
    while (true) {
      if (!skipBlanks())
        return failure("a comment is not closed");
      if (at == source.size())
        break;
      Token token = next();
      if (token.kind == Token::End)
        return failure("unexpected character '" + std::string(1, source[at]) +
                       "'");
      tokens.push_back(token);
    }
    tokens.push_back({Token::End, line, source.substr(source.size())});
    return tokens;
  }

private:
  char peek(size_t ahead = 0) const {
    return at + ahead < source.size() ? source[at + ahead] : '\0';
  }

  Status failure(const std::string &message) const {
    return Status(StatusCode::InvalidArgument,
                  "ptx line " + std::to_string(line) + ": " + message);
  }

  /// False when a comment is left open.
  bool skipBlanks() {
    while (at < source.size()) {
      char c = source[at];
      if (c == '\n') {
        ++line;
        ++at;
      } else if (c == ' ' || c == '\t' || c == '\r' || c == '\0') {
        ++at;
      } else if (c == '/' && peek(1) == '/') {
        while (at < source.size() && source[at] != '\n')
          ++at;
      } else if (c == '/' && peek(1) == '*') {
        size_t end = source.find("*/", at + 2);
        if (end == std::string_view::npos)
          return false;
        for (; at < end; ++at)
          line += source[at] == '\n';
        at += 2;
      } else {
        return true;
      }
    }
    return true;
  }

  Token next() {
    size_t start = at;
    char c = source[at];
    if (isLetter(c) || (c == '.' && isLetter(peek(1)))) {
      scanWord();
      return {Token::Word, line, source.substr(start, at - start)};
    }
    if (isDigit(c)) {
      scanNumber();
      return {Token::Number, line, source.substr(start, at - start)};
    }
    if (c == '"') {
      size_t end = source.find('"', at + 1);
      if (end == std::string_view::npos)
        return {};
      Token token{Token::String, line,
                  source.substr(start + 1, end - start - 1)};
      at = end + 1;
      return token;
    }
    if (std::string_view("{}[]()<>,;:@!+-|=*&/~^?.").find(c) ==
        std::string_view::npos)
      return {};
    ++at;
    return {Token::Punctuation, line, source.substr(start, 1)};
  }

  /// Letters and digits, joined by '.' and '::'; a directive ends at the next
  /// '.', which begins its type: `.reg.b16`.
  void scanWord() {
    const bool directive = source[at++] == '.';
    while (at < source.size()) {
      if (isWordPart(source[at]))
        ++at;
      else if (!directive && source[at] == '.' && isWordPart(peek(1)))
        at += 2;
      else if (source[at] == ':' && peek(1) == ':' && isWordPart(peek(2)))
        at += 3;
      else
        return;
    }
  }

  void scanNumber() {
    bool based = source[at] == '0' && isLetter(peek(1));
    while (at < source.size() &&
           (isWordPart(source[at]) ||
            (!based && source[at] == '.' && isDigit(peek(1))) ||
            (!based && (source[at] == '+' || source[at] == '-') &&
             (source[at - 1] == 'e' || source[at - 1] == 'E'))))
      ++at;
  }

  std::string_view source;
  size_t at = 0;
  uint32_t line = 1;
};

} // namespace

StatusOr<std::vector<Token>> tokenize(std::string_view source) {
  return Scanner(source).run();
}

StatusOr<Literal> literalOf(const Token &token) {
  std::string text(token.text);
  auto fail = [&] {
    return Status(StatusCode::InvalidArgument,
                  "ptx line " + std::to_string(token.line) + ": '" + text +
                      "' is not a number");
  };
  char *end = nullptr;
  Literal literal;
  auto hex = [&](size_t digits) {
    literal.bits = std::strtoull(text.c_str() + 2, &end, 16);
    return text.size() == digits + 2 && *end == '\0';
  };
  if (text.starts_with("0f") || text.starts_with("0F")) {
    literal.kind = Literal::Single;
    return hex(8) ? StatusOr<Literal>(literal) : fail();
  }
  if (text.starts_with("0d") || text.starts_with("0D")) {
    literal.kind = Literal::Double;
    return hex(16) ? StatusOr<Literal>(literal) : fail();
  }
  bool based = text.starts_with("0x") || text.starts_with("0X");
  if (!based && text.find_first_of(".eE") != std::string::npos) {
    literal.kind = Literal::Double;
    literal.bits = std::bit_cast<uint64_t>(std::strtod(text.c_str(), &end));
    return *end == '\0' ? StatusOr<Literal>(literal) : fail();
  }
  if (text.starts_with("0b") || text.starts_with("0B"))
    literal.bits = std::strtoull(text.c_str() + 2, &end, 2);
  else
    literal.bits = std::strtoull(text.c_str(), &end, 0);
  if (*end == 'U')
    ++end;
  return *end == '\0' ? StatusOr<Literal>(literal) : fail();
}

} // namespace qopt::emulator::ptx
