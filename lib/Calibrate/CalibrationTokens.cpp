// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Calibrate/CalibrationTokens.h"
#include <algorithm>
#include <cstdio>

namespace qopt::calibrate {

static Status refuse(const TextSource &source, const std::string &why) {
  return Status(StatusCode::InvalidArgument,
                source.role + " \"" + source.path + "\" " + why);
}

/// The share of tokens that stand for what the tokenizer has no token for.
static double unknownShare(const std::vector<int32_t> &tokens,
                           const Tokenizer &tokenizer) {
  int64_t unknown = 0;
  for (const char *name : {"<unk>", "[UNK]", "<|unk|>"})
    if (auto id = tokenizer.tokenToId(name))
      unknown += std::count(tokens.begin(), tokens.end(), *id);
  return double(unknown) / double(std::max<size_t>(tokens.size(), 1));
}

/// The share of tokens that are single bytes beyond ASCII, "<0xE4>": what a
/// tokenizer falls back to where it has no token of a text.
static double byteShare(const std::vector<int32_t> &tokens,
                        const Tokenizer &tokenizer) {
  int64_t bytes = 0;
  for (int byte = 0x80; byte < 0x100; ++byte) {
    char name[8];
    std::snprintf(name, sizeof name, "<0x%02X>", unsigned(byte));
    if (auto id = tokenizer.tokenToId(name))
      bytes += std::count(tokens.begin(), tokens.end(), *id);
  }
  return double(bytes) / double(std::max<size_t>(tokens.size(), 1));
}

StatusOr<TokenWindows> windowsOfText(const std::string &text,
                                     const TextSource &source,
                                     const Tokenizer &tokenizer,
                                     const WindowLimits &limits) {
  auto encoded = tokenizer.encodeWhole(text);
  if (!encoded.ok())
    return encoded.status();
  int64_t found = int64_t(encoded->size()), length = limits.length;
  if (text.empty())
    return refuse(source, "is empty; give text of the kind that the model is "
                          "to be used for");
  if (found < length)
    return refuse(source, "has " + std::to_string(found) +
                              " tokens; expected " + std::to_string(length) +
                              " or more, better a hundred times that");
  for (int32_t id : *encoded)
    if (id < 0 || id >= limits.vocabulary)
      return refuse(source, "has token " + std::to_string(id) +
                                ", but the model's vocabulary ends at " +
                                std::to_string(limits.vocabulary) +
                                "; give the model's own tokenizer");
  if (double share = unknownShare(*encoded, tokenizer); share > 0.1)
    return refuse(source, "is unknown to the tokenizer: " +
                              std::to_string(int(share * 100)) +
                              " % of its tokens; give text in the model's "
                              "language");
  if (double share = byteShare(*encoded, tokenizer); share > 0.5)
    return refuse(source, "is unknown to the tokenizer: " +
                              std::to_string(int(share * 100)) +
                              " % of its tokens are single bytes; give text in "
                              "the model's language");
  auto windows = TokenWindows::cut(std::move(*encoded), length, source.path);
  if (!windows.ok())
    return windows.status();
  return windows->spread(limits.most);
}

} // namespace qopt::calibrate
