// A damaged or unknown tokenizer.json gives one error that says what is wrong,
// and never anything worse.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "qopt/Tokenizer.h"

#include <gtest/gtest.h>
#include <random>

using namespace qopt;

static constexpr std::string_view model =
    R"("model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2},)"
    R"( "merges": ["a b"]})";

static std::string errorOf(const std::string &json) {
  StatusOr<Tokenizer> tokenizer = Tokenizer::create(json);
  return tokenizer ? "" : tokenizer.status().message();
}

static std::string with(const std::string &part) {
  return "{" + part + ", " + std::string(model) + "}";
}

TEST(TokenizerFile, TheSmallestOne) {
  EXPECT_EQ(errorOf("{" + std::string(model) + "}"), "");
}

TEST(TokenizerFile, NoJson) {
  EXPECT_EQ(errorOf(""), "tokenizer: byte 1 is not valid JSON");
  EXPECT_EQ(errorOf("[]"), "tokenizer: expected a JSON object");
  EXPECT_EQ(errorOf("{} x"), "tokenizer: byte 4 is not valid JSON");
  EXPECT_EQ(errorOf(std::string(100'000, '[')),
            "tokenizer: it is nested more than 64 levels deep");
  EXPECT_EQ(errorOf("{\"a\": \"\xFF\"}"),
            "tokenizer: byte 8 is not valid JSON");
}

TEST(TokenizerFile, UnknownPartsAreNamed) {
  EXPECT_EQ(errorOf(with(R"("normalizer": {"type": "Zork"})")),
            "tokenizer: normalizer \"Zork\" is not supported; supported: NFC, "
            "NFD, NFKC, NFKD, Lowercase, StripAccents, Nmt, ByteLevel, "
            "Prepend, Strip, Replace, BertNormalizer, Precompiled, Sequence");
  for (const char *kind : {"pre_tokenizer", "post_processor", "decoder"})
    EXPECT_TRUE(
        errorOf(with("\"" + std::string(kind) + "\": {\"type\": \"Zork\"}"))
            .starts_with("tokenizer: " + std::string(kind) +
                         " \"Zork\" is not supported; supported: "));
  EXPECT_EQ(errorOf(R"({"model": {"type": "Zork", "vocab": {"a": 0}}})"),
            "tokenizer: model \"Zork\" is not supported; supported: BPE, "
            "Unigram, WordPiece, WordLevel");
}

TEST(TokenizerFile, MissingAndMistypedFieldsAreNamed) {
  EXPECT_EQ(errorOf("{\"normalizer\": null}"),
            "tokenizer: file: field \"model\" is missing; expected an object");
  EXPECT_EQ(errorOf(with(R"("normalizer": {"type": "Strip"})")),
            "tokenizer: normalizer \"Strip\": field \"strip_left\" is missing; "
            "expected true or false");
  EXPECT_EQ(errorOf(with(R"("pre_tokenizer": {"type": "Split"})")),
            "tokenizer: pre_tokenizer \"Split\": field \"pattern\" is missing; "
            "expected {\"String\": text} or {\"Regex\": text}");
  EXPECT_EQ(errorOf(with(R"("decoder": {"type": "Strip", "content": 1})")),
            "tokenizer: decoder \"Strip\": field \"content\" is a number; "
            "expected a text");
  EXPECT_EQ(errorOf(with(R"("added_tokens": 3)")),
            "tokenizer: file: field \"added_tokens\" is a number; expected a "
            "list");
}

TEST(TokenizerFile, VocabulariesAndMerges) {
  EXPECT_EQ(errorOf(R"({"model": {"type": "BPE", "vocab": {}, "merges": []}})"),
            "tokenizer: model \"BPE\" has no vocabulary");
  EXPECT_EQ(errorOf(R"({"model": {"type": "BPE", "vocab": {"a": -1}}})"),
            "tokenizer: entry 1 of the vocabulary: expected a token and its "
            "id, a whole number below 16777216");
  EXPECT_EQ(errorOf(R"({"model": {"type": "Unigram", "vocab": [["a"]]}})"),
            "tokenizer: entry 1 of the vocabulary: expected [token, score]");
  EXPECT_EQ(errorOf(R"({"model": {"type": "BPE", "vocab": {"a": 0}, )"
                    R"("merges": ["a b"]}})"),
            "tokenizer: merge 0 (\"a\", \"b\") needs the token \"b\", which "
            "the vocabulary lacks");
  EXPECT_EQ(errorOf(R"({"model": {"type": "BPE", "vocab": {"a": 0}, )"
                    R"("merges": [["a"]]}})"),
            "tokenizer: merge 0 of the model: expected \"left right\" or "
            "[left, right]");
  EXPECT_EQ(errorOf(R"({"model": {"type": "BPE", "dropout": 0.1, )"
                    R"("vocab": {"a": 0}, "merges": []}})"),
            "tokenizer: model \"BPE\": \"dropout\" makes the ids random and is "
            "not supported; set it to null");
  EXPECT_EQ(errorOf(R"({"model": {"type": "Unigram", "unk_id": 7, )"
                    R"("vocab": [["a", 0]]}})"),
            "tokenizer: model \"Unigram\": \"unk_id\" is 7, but the vocabulary "
            "has 1 tokens");
}

TEST(TokenizerFile, LengthsAreChecked) {
  auto truncation = [](const char *fields) {
    return errorOf(with("\"truncation\": {" + std::string(fields) + "}"));
  };
  auto padding = [](const char *fields) {
    return errorOf(with("\"padding\": {\"direction\": \"Left\", " +
                        std::string(fields) + "}"));
  };
  EXPECT_EQ(truncation(R"("strategy": "LongestFirst", "stride": 0)"),
            "tokenizer: truncation: field \"max_length\" is missing; expected "
            "a whole number");
  EXPECT_EQ(truncation(R"("max_length": -1, "stride": 0)"),
            "tokenizer: truncation: field \"max_length\" is a number; expected "
            "a whole number");
  EXPECT_EQ(truncation(R"("max_length": 3, "stride": 0, "strategy": "All")"),
            "tokenizer: truncation: field \"strategy\" is a string; expected "
            "\"LongestFirst\", \"OnlyFirst\" or \"OnlySecond\"");
  EXPECT_EQ(truncation(R"("max_length": 3, "stride": 0, "direction": "Up",
                          "strategy": "OnlyFirst")"),
            "tokenizer: truncation: field \"direction\" is a string; expected "
            "\"Left\" or \"Right\"");
  EXPECT_EQ(padding(R"("strategy": "Fixed", "pad_id": 0)"),
            "tokenizer: padding: field \"strategy\" is a string; expected "
            "\"BatchLongest\" or {\"Fixed\": length}");
  EXPECT_EQ(padding(R"("strategy": {"Fixed": 1e9}, "pad_id": 0)"),
            "tokenizer: padding strategy: field \"Fixed\" is a number; "
            "expected a whole number");
  EXPECT_EQ(padding(R"("strategy": "BatchLongest", "pad_id": 4294967296)"),
            "tokenizer: padding: to 0 tokens and a multiple of 0 with the id "
            "4294967296; expected numbers below 16777216");
  EXPECT_EQ(padding(R"("strategy": {"Fixed": 1152921504606846976},
                       "pad_id": 0)"),
            "tokenizer: padding: to 1152921504606846976 tokens and a multiple "
            "of 0 with the id 0; expected numbers below 16777216");
}

/// `count` steps of one kind.
static std::string repeated(const char *kind, const char *list,
                            const std::string &step, int count) {
  std::string steps;
  for (int i = 0; i < count; ++i)
    steps += (i ? ", " : "") + step;
  return "\"" + std::string(kind) + R"(": {"type": "Sequence", ")" + list +
         "\": [" + steps + "]}";
}

/// What a text gives that a file makes longer and longer.
static std::string encodingError(const std::string &json) {
  StatusOr<Tokenizer> tokenizer = Tokenizer::create(json);
  if (!tokenizer)
    return tokenizer.status().message();
  auto ids = tokenizer->encode("a\u00E9");
  return ids ? "" : ids.status().message();
}

TEST(TokenizerFile, TextsDoNotGrowWithoutBound) {
  const std::string limit = " makes more than 65728 bytes of a text of 3; a "
                            "text may become 64 times as long and 65536 bytes "
                            "longer";
  const std::string doubling =
      R"({"type": "Replace", "pattern": {"String": "a"}, "content": "aa"})";
  EXPECT_EQ(
      encodingError(with(repeated("normalizer", "normalizers", doubling, 60))),
      "tokenizer: normalizer \"Replace\", step 17 of a sequence," + limit);
  const std::string bytes = R"({"type": "ByteLevel"})";
  EXPECT_EQ(
      encodingError(with(repeated("normalizer", "normalizers", bytes, 60))),
      "tokenizer: normalizer \"ByteLevel\", step 16 of a sequence," + limit);
  const std::string again = R"({"type": "ByteLevel", "use_regex": false,
                                "add_prefix_space": false})";
  EXPECT_EQ(encodingError(
                with(repeated("pre_tokenizer", "pretokenizers", again, 60))),
            "tokenizer: pre_tokenizer \"ByteLevel\", step 16 of a sequence," +
                limit);
  const std::string once = R"({"type": "Replace", "pattern": {"String": "a"},
                               "content": ")" +
                           std::string(70000, 'x') + "\"}";
  EXPECT_EQ(encodingError(with("\"normalizer\": " + once)),
            "tokenizer: normalizer \"Replace\"" + limit);
  // Added tokens are normalized when the file is read.
  EXPECT_EQ(errorOf(with(R"("added_tokens": [{"content": "aab",
                            "normalized": true}], )" +
                         repeated("normalizer", "normalizers", doubling, 60))),
            "tokenizer: normalizer \"Replace\", step 16 of a sequence," +
                limit);
}

TEST(TokenizerFile, WhatEveryWordGetsIsShort) {
  for (const char *key : {"continuing_subword_prefix", "end_of_word_suffix"})
    EXPECT_EQ(errorOf(R"({"model": {"type": "BPE", "vocab": {"a": 0}, ")" +
                      std::string(key) + "\": \"" + std::string(4096, 'p') +
                      "\"}}"),
              "tokenizer: model \"BPE\": field \"" + std::string(key) +
                  "\" has 4096 bytes; expected less than 4096");
  std::string pieces, ids;
  for (int i = 0; i < 100; ++i) {
    pieces += R"({"SpecialToken": {"id": "x"}}, )";
    ids += i ? ", 1" : "1";
  }
  EXPECT_EQ(
      errorOf(with(
          R"("post_processor": {"type": "TemplateProcessing", "single": [)" +
          pieces +
          R"({"Sequence": {"id": "A"}}], "special_tokens": {"x": {"ids": [)" +
          ids + "]}}}")),
      "tokenizer: post_processor \"TemplateProcessing\" puts 4100 tokens "
      "at one end of a text; expected less than 4096");
}

/// Time that grows with the square of the text would be minutes.
TEST(TokenizerFile, LongRunsOfSpacesAreFast) {
  StatusOr<Tokenizer> tokenizer = Tokenizer::create(
      with(R"("added_tokens": [{"content": " ", "normalized": false,
                                "lstrip": true, "rstrip": true}],
              "decoder": {"type": "Sequence", "decoders": [{"type": "Fuse"},
                {"type": "Metaspace", "replacement": "a",
                 "prepend_scheme": "never"}]})"));
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  auto ids = tokenizer->encode(std::string(500'000, ' ') + "b");
  ASSERT_TRUE(ids.ok());
  EXPECT_EQ(ids->size(), 500'001u);
  EXPECT_EQ(ids->back(), 1);
  std::vector<std::int32_t> letters(500'000, 0);
  letters.push_back(1);
  EXPECT_EQ(tokenizer->decode(letters), std::string(500'000, ' ') + "b");
}

TEST(TokenizerFile, DecodedTokensDoNotGrowWithoutBound) {
  StatusOr<Tokenizer> tokenizer = Tokenizer::create(
      with(repeated("decoder", "decoders",
                    R"({"type": "Replace", "pattern": {"Regex": "a"},
                        "content": "aa"})",
                    60)));
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  EXPECT_EQ(tokenizer->decode(std::vector<std::int32_t>{0}).size(),
            std::size_t(1) << 20);
}

/// Every kind of part once.
static constexpr std::string_view everything = R"({"added_tokens": [
  {"id": 5, "content": "<s>", "special": true, "normalized": false},
  {"id": 6, "content": "x y", "normalized": true, "single_word": true,
   "lstrip": true, "rstrip": true}],
 "truncation": {"max_length": 12, "strategy": "LongestFirst", "stride": 3,
  "direction": "Right"},
 "padding": {"strategy": {"Fixed": 9}, "pad_to_multiple_of": 4, "pad_id": 2,
  "direction": "Left"},
 "normalizer": {"type": "Sequence", "normalizers": [{"type": "NFKC"},
  {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
   "lowercase": true}, {"type": "Prepend", "prepend": "_"},
  {"type": "Strip", "strip_left": true, "strip_right": true},
  {"type": "Replace", "pattern": {"Regex": "a+[bc]"}, "content": "b"},
  {"type": "Precompiled", "precompiled_charsmap": "CAAAAAAEAAAA/wAAYgA="}]},
 "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
  {"type": "Split", "pattern": {"Regex": "\\p{L}+|[^\\s[x]]"},
   "behavior": "Isolated", "invert": false},
  {"type": "ByteLevel", "add_prefix_space": true},
  {"type": "Metaspace", "replacement": "_", "prepend_scheme": "first"}]},
 "post_processor": {"type": "TemplateProcessing", "single": [
  {"SpecialToken": {"id": "<s>"}}, {"Sequence": {"id": "A"}}],
  "special_tokens": {"<s>": {"ids": [5]}}},
 "decoder": {"type": "Sequence", "decoders": [{"type": "ByteFallback"},
  {"type": "Replace", "pattern": {"String": "_"}, "content": " "},
  {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 1},
  {"type": "ByteLevel"}, {"type": "WordPiece", "prefix": "#", "cleanup": true},
  {"type": "BPEDecoder", "suffix": "b"}]},
 "model": {"type": "BPE", "unk_token": "<unk>", "byte_fallback": true,
  "continuing_subword_prefix": "", "end_of_word_suffix": "",
  "vocab": {"<unk>": 0, "a": 1, "b": 2, "ab": 3, "<0x41>": 4},
  "merges": ["a b"]}})";

/// A tokenizer that is created must work.
static void use(const std::string &json) {
  StatusOr<Tokenizer> tokenizer = Tokenizer::create(json);
  if (!tokenizer)
    return;
  auto ids = tokenizer->encode("<s> aab x y \xC3\xA9\xFF A\u0301");
  if (ids)
    (void)tokenizer->decode(*ids);
  (void)tokenizer->decode(std::vector<std::int32_t>{-1, 0, 1, 2, 3, 4, 99});
}

TEST(TokenizerFile, EveryKindOfPart) {
  EXPECT_EQ(errorOf(std::string(everything)), "");
  use(std::string(everything));
}

TEST(TokenizerFile, AnyBeginningOfAFileIsAnError) {
  for (std::size_t size = 0; size < everything.size(); ++size)
    EXPECT_NE(errorOf(std::string(everything.substr(0, size))), "") << size;
}

TEST(TokenizerFile, NoDamageIsWorseThanAnError) {
  std::mt19937 random(1); // NOLINT: the same damage each time
  const std::string alphabet = "\"{}[],:0123456789-\\ntrueflasb\x80";
  for (int i = 0; i < 3000; ++i) {
    std::string damaged(everything);
    for (unsigned changes = 1 + random() % 3; changes > 0; --changes)
      damaged[random() % damaged.size()] = alphabet[random() % alphabet.size()];
    use(damaged);
  }
}
