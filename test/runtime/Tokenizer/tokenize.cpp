// Lets tests in Python call the tokenizer: `tokenize tokenizer.json` reads one
// JSON object a line from stdin and writes one a line to stdout. Texts are
// base64, because they may be any bytes.
//   {"encode": text, "special": bool}  → {"ids": […]}
//   {"whole": text, "special": bool}   → as above, neither cut nor padded
//   {"decode": […], "special": bool}   → {"text": …, "stream": [text of each
//                                         push and of finish]}
//   {"about": true}                    → {"size": …, "end": …, "tokens": {…}}
// What fails gives {"error": message}; an error in the tokenizer.json is the
// first and only line.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "qopt/Tokenizer.h"

#include <fstream>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>

using nlohmann::json;
using namespace qopt;

static constexpr std::string_view digits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static std::string decodeBase64(const std::string &text) {
  std::string bytes;
  unsigned bits = 0, count = 0;
  for (char c : text) {
    std::size_t digit = digits.find(c);
    if (digit == std::string_view::npos)
      break;
    bits = bits << 6 | static_cast<unsigned>(digit);
    count += 6;
    if (count >= 8) {
      count -= 8;
      bytes += static_cast<char>(bits >> count & 0xFF);
    }
  }
  return bytes;
}

static std::string encodeBase64(std::string_view bytes) {
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    unsigned bits = 0;
    for (std::size_t j = i; j < i + 3; ++j)
      bits = bits << 8 |
             (j < bytes.size() ? static_cast<unsigned char>(bytes[j]) : 0);
    for (std::size_t j = 0; j < 4; ++j)
      text += i + j <= bytes.size() ? digits[bits >> (18 - 6 * j) & 63] : '=';
  }
  return text;
}

static json decode(const Tokenizer &tokenizer, const json &request,
                   SpecialTokens special) {
  auto ids = request["decode"].get<std::vector<std::int32_t>>();
  TokenStream stream(tokenizer, special);
  json pieces = json::array();
  for (std::int32_t id : ids)
    pieces.push_back(encodeBase64(stream.push(id)));
  pieces.push_back(encodeBase64(stream.finish()));
  return {{"text", encodeBase64(tokenizer.decode(ids, special))},
          {"stream", pieces}};
}

static json answer(const Tokenizer &tokenizer, const json &request) {
  SpecialTokens special = request.value("special", false)
                              ? SpecialTokens::Include
                              : SpecialTokens::Exclude;
  for (const char *kind : {"encode", "whole"}) {
    if (!request.contains(kind))
      continue;
    std::string text = decodeBase64(request[kind].get<std::string>());
    auto ids = kind == std::string("encode")
                   ? tokenizer.encode(text, special)
                   : tokenizer.encodeWhole(text, special);
    if (!ids)
      return {{"error", ids.status().message()}};
    return {{"ids", *ids}};
  }
  if (request.contains("decode"))
    return decode(tokenizer, request, special);
  json tokens = json::object();
  for (std::int32_t id = 0; id < tokenizer.idEnd(); ++id)
    if (auto token = tokenizer.idToToken(id))
      tokens[*token] = tokenizer.tokenToId(*token).value_or(-1);
  return {{"size", tokenizer.vocabularySize()},
          {"end", tokenizer.idEnd()},
          {"tokens", tokens}};
}

int main(int argc, char **argv) {
  if (argc != 2) {
    std::cerr << "usage: tokenize tokenizer.json < requests\n";
    return 2;
  }
  std::ifstream file(argv[1], std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(file), {}};
  StatusOr<Tokenizer> tokenizer = Tokenizer::create(bytes);
  if (!tokenizer) {
    std::cout << json{{"error", tokenizer.status().message()}}.dump() << "\n";
    return 0;
  }
  for (std::string line; std::getline(std::cin, line);)
    std::cout << answer(*tokenizer, json::parse(line)).dump() << "\n";
}
