// The public interface: encoding, decoding, streams, lookups, and whether a
// tokenizer fits a model.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "qopt/Tokenizer.h"

#include <gtest/gtest.h>
#include <thread>

using namespace qopt;
using Ids = std::vector<std::int32_t>;

/// Llama's way: spaces as ▁, rare characters as bytes, a leading <s>.
static Tokenizer llama() {
  std::string vocabulary = R"("<unk>": 0, "<s>": 1, "</s>": 2)";
  char entry[32];
  for (int byte = 0; byte < 256; ++byte) {
    std::snprintf(entry, sizeof(entry), ", \"<0x%02X>\": %d", byte, byte + 3);
    vocabulary += entry;
  }
  vocabulary += R"(, "▁": 259, "a": 260, "b": 261, "▁a": 262, "ab": 263)";
  auto tokenizer =
      Tokenizer::create(R"({
    "added_tokens": [{"id": 1, "content": "<s>", "special": true},
                     {"id": 2, "content": "</s>", "special": true},
                     {"id": 264, "content": "<b>"}],
    "normalizer": {"type": "Sequence", "normalizers": [
      {"type": "Prepend", "prepend": "▁"},
      {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]},
    "post_processor": {"type": "TemplateProcessing",
      "single": [{"SpecialToken": {"id": "<s>"}}, {"Sequence": {"id": "A"}}],
      "special_tokens": {"<s>": {"ids": [1]}}},
    "decoder": {"type": "Sequence", "decoders": [
      {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
      {"type": "ByteFallback"}, {"type": "Fuse"},
      {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
    "model": {"type": "BPE", "unk_token": "<unk>", "byte_fallback": true,
      "fuse_unk": true, "vocab": {)" +
                        vocabulary + R"(}, "merges": ["▁ a", "a b"]}})");
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  return *tokenizer;
}

TEST(Tokenizer, Encodes) {
  Tokenizer tokenizer = llama();
  EXPECT_EQ(*tokenizer.encode("ab a"), (Ids{1, 262, 261, 262}));
  EXPECT_EQ(*tokenizer.encode("ab", SpecialTokens::Exclude), (Ids{262, 261}));
  EXPECT_EQ(*tokenizer.encode("é"), (Ids{1, 259, 0xC3 + 3, 0xA9 + 3}));
  EXPECT_EQ(*tokenizer.encode("a</s><b>"), (Ids{1, 262, 2, 264}));
  EXPECT_EQ(*tokenizer.encode(""), (Ids{1}));
}

TEST(Tokenizer, Decodes) {
  Tokenizer tokenizer = llama();
  EXPECT_EQ(tokenizer.decode(Ids{1, 262, 261, 262, 2}), "ab a");
  EXPECT_EQ(tokenizer.decode(Ids{1, 262, 2}, SpecialTokens::Include),
            "<s> a</s>");
  EXPECT_EQ(tokenizer.decode(Ids{262, 0xC3 + 3}), "a\uFFFD");
  EXPECT_EQ(tokenizer.decode(Ids{-5, 262, 9999}), "a");
}

TEST(Tokenizer, AStreamHoldsBackHalfCharacters) {
  Tokenizer tokenizer = llama();
  TokenStream stream(tokenizer);
  EXPECT_EQ(stream.push(1), "");
  EXPECT_EQ(stream.push(262), "a"); // the leading space is dropped
  EXPECT_EQ(stream.push(0xC3 + 3), "");
  EXPECT_EQ(stream.push(0xA9 + 3), "");
  EXPECT_EQ(stream.push(262), "é a");
  EXPECT_EQ(stream.push(0xF0 + 3), "");
  EXPECT_EQ(stream.finish(), "\uFFFD");
  EXPECT_EQ(stream.push(262), "a"); // a new beginning
}

TEST(Tokenizer, LooksUpTokens) {
  Tokenizer tokenizer = llama();
  EXPECT_EQ(tokenizer.vocabularySize(), 265u);
  EXPECT_EQ(tokenizer.idEnd(), 265);
  EXPECT_EQ(tokenizer.tokenToId("ab"), 263);
  EXPECT_EQ(tokenizer.tokenToId("<b>"), 264);
  EXPECT_EQ(tokenizer.tokenToId("zork"), std::nullopt);
  EXPECT_EQ(tokenizer.idToToken(259), "▁");
  EXPECT_EQ(tokenizer.idToToken(300), std::nullopt);
  EXPECT_EQ(tokenizer.addedTokens().size(), 3u);
  EXPECT_TRUE(tokenizer.isSpecial(2));
  EXPECT_FALSE(tokenizer.isSpecial(264));
}

TEST(Tokenizer, MustFitTheVocabulary) {
  Tokenizer tokenizer = llama();
  EXPECT_TRUE(tokenizer.checkVocabulary(265).ok());
  EXPECT_TRUE(tokenizer.checkVocabulary(320).ok());
  Status status = tokenizer.checkVocabulary(264);
  EXPECT_EQ(status.code(), StatusCode::BadModel);
  EXPECT_EQ(status.message(),
            "the tokenizer does not fit the vocabulary: token \"<b>\" has id "
            "264, but the model has 264 rows; give the tokenizer.json of this "
            "model");
}

TEST(Tokenizer, AnUnknownTokenThatIsMissingIsAnError) {
  auto tokenizer = Tokenizer::create(
      R"({"model": {"type": "WordLevel", "unk_token": "[UNK]",)"
      R"( "vocab": {"a": 0}}})");
  ASSERT_TRUE(tokenizer.ok());
  EXPECT_EQ(tokenizer->encode("b").status().message(),
            "tokenizer: the unknown token \"[UNK]\" is not in the vocabulary");
}

TEST(Tokenizer, ThreadsShareIt) {
  Tokenizer tokenizer = llama();
  Ids expected = *tokenizer.encode("ab a ab aab é b");
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      for (int j = 0; j < 500; ++j)
        EXPECT_EQ(*tokenizer.encode("ab a ab aab é b"), expected);
    });
  for (std::thread &thread : threads)
    thread.join();
}
