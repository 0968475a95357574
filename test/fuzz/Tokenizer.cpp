// Input: a tokenizer.json and, behind the first NUL, a text to encode with it;
// without NUL, one with letters, digits, spaces and bytes that are no UTF-8.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "qopt/Tokenizer.h"
#include "Require.h"

using namespace qopt;

static bool isUtf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    uint8_t first = uint8_t(text[i]);
    size_t length = first < 0x80   ? 1
                    : first < 0xc2 ? 0
                    : first < 0xe0 ? 2
                    : first < 0xf0 ? 3
                    : first < 0xf5 ? 4
                                   : 0;
    if (length == 0 || length > text.size() - i)
      return false;
    for (size_t j = 1; j < length; ++j)
      if ((uint8_t(text[i + j]) & 0xc0) != 0x80)
        return false;
    i += length;
  }
  return true;
}

static void useTokenizer(const Tokenizer &tokenizer, std::string_view text) {
  for (auto special : {SpecialTokens::Include, SpecialTokens::Exclude}) {
    (void)tokenizer.encode(text, special);
    auto ids = tokenizer.encodeWhole(text, special);
    if (!ids.ok()) {
      fuzz::requireMessage(ids.status());
      continue;
    }
    for (int32_t id : *ids)
      fuzz::require(id >= 0 && id < tokenizer.idEnd(), "ids are in range");
    std::string whole = tokenizer.decode(*ids, special), pieces;
    fuzz::require(isUtf8(whole), "decoded text is UTF-8");
    TokenStream stream(tokenizer, special);
    for (int32_t id : *ids)
      pieces += stream.push(id);
    fuzz::require(pieces + stream.finish() == whole,
                  "tokens one by one and all at once are one text");
  }
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::string_view input(reinterpret_cast<const char *>(data), size);
  size_t end = input.find('\0');
  std::string_view text = "Once  upon a time, <s>\n12 caf\xc3\xa9 \xff\xe2\x96";
  if (end != std::string_view::npos)
    text = input.substr(end + 1).substr(0, 256);
  auto tokenizer = Tokenizer::create(input.substr(0, end));
  if (tokenizer.ok())
    useTokenizer(*tokenizer, text);
  else
    fuzz::requireMessage(tokenizer.status());
  return 0;
}
