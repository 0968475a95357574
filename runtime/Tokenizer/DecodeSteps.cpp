// What each step does with its tokens.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/Tokenizer/DecodeSteps.h"
#include "runtime/Tokenizer/ByteAlphabet.h"
#include "runtime/Tokenizer/Utf8.h"

#include <algorithm>
#include <cctype>
#include <utility>

namespace qopt::runtime {

/// Replaces every `from` (not empty) in `text`.
static void replaceAll(std::string &text, std::string_view from,
                       std::string_view to) {
  std::size_t at = text.find(from), done = 0;
  if (at == std::string::npos)
    return;
  std::string result;
  for (; at != std::string::npos; at = text.find(from, done)) {
    result.append(text, done, at - done).append(to);
    done = at + from.size();
  }
  text = result.append(text, done);
}

void JoinStep::token(std::string text) { pass(index > 0 ? " " + text : text); }

void ByteLevelStep::token(std::string text) {
  std::string spelt;
  std::string_view rest = text;
  bool spells = true;
  while (spells && !rest.empty()) {
    std::size_t length;
    auto byte = speltByte(firstCharacter(rest, length));
    spells = byte.has_value();
    spelt += static_cast<char>(byte.value_or(0));
    rest.remove_prefix(length);
  }
  bytes += spells ? spelt : text;
  std::string valid;
  std::size_t left = appendValidUtf8(valid, bytes);
  bytes.erase(0, bytes.size() - left);
  next->chunk(valid);
  any = true;
}

void ByteLevelStep::finish() {
  next->chunk(toValidUtf8(bytes));
  bytes.clear();
  next->endToken();
}

void ByteFallbackStep::token(std::string text) {
  auto isHex = [](char c) {
    return std::isxdigit(static_cast<unsigned char>(c)) != 0;
  };
  if (text.size() == 6 && text.starts_with("<0x") && text[5] == '>' &&
      isHex(text[3]) && isHex(text[4])) {
    bytes += static_cast<char>(std::stoi(text.substr(3, 2), nullptr, 16));
    return;
  }
  flush();
  pass(text);
}

void ByteFallbackStep::flush() {
  std::string run = std::exchange(bytes, {});
  std::string valid;
  if (run.empty())
    return;
  if (appendValidUtf8(valid, run) == 0 && valid == run)
    return pass(run);
  for (std::size_t i = 0; i < run.size(); ++i)
    pass(replacementCharacter);
}

void StripStep::chunk(std::string_view text) {
  while (!text.empty()) {
    std::size_t length;
    (void)firstCharacter(text, length);
    std::string_view character = text.substr(0, length);
    text.remove_prefix(length);
    bool same = character == content;
    if (left > 0 && same) {
      --left;
      continue;
    }
    left = 0;
    if (same && stop > 0) {
      if (held == stop) // the first of so many is not among the last
        next->chunk(content);
      else
        ++held;
      continue;
    }
    for (; held > 0; --held)
      next->chunk(content);
    next->chunk(character);
  }
}

void StripStep::endToken() {
  left = start;
  held = 0;
  next->endToken();
}

void ReplaceStep::token(std::string text) {
  std::vector<Match> matches;
  // A pattern that gives up leaves the token as it is: decoding goes on. So
  // does one that makes texts no token has, as replacements of replacements
  // may.
  constexpr std::size_t longest = std::size_t(1) << 20;
  if (!pattern->findAll(text, matches) ||
      replacedSize(text.size(), matches, content.size()) >
          std::max(longest, text.size()))
    matches.clear();
  std::string result;
  std::size_t at = 0;
  for (Match match : matches) {
    result.append(text, at, match.begin - at);
    result += content;
    at = match.end;
  }
  result.append(text, at);
  pass(result);
}

void MetaspaceStep::token(std::string text) {
  replaceAll(text, symbol, dropsFirst && index == 0 ? "" : " ");
  pass(text);
}

void WordPieceStep::token(std::string text) {
  static constexpr std::pair<std::string_view, std::string_view> tidy[] = {
      {" .", "."},   {" ?", "?"},     {" !", "!"},    {" ,", ","},
      {" ' ", "'"},  {" n't", "n't"}, {" 'm", "'m"},  {" do not", " don't"},
      {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
  if (index > 0) {
    if (text.starts_with(prefix))
      text.erase(0, prefix.size());
    else
      text.insert(0, " ");
  }
  if (cleanup)
    for (auto [from, to] : tidy)
      replaceAll(text, from, to);
  pass(text);
}

void SuffixStep::token(std::string text) {
  if (held) {
    if (!suffix.empty())
      replaceAll(*held, suffix, " ");
    pass(*held);
  }
  held = std::move(text);
}

void SuffixStep::finish() {
  if (!held)
    return;
  if (!suffix.empty())
    replaceAll(*held, suffix, "");
  pass(*held);
  held.reset();
}

} // namespace qopt::runtime
