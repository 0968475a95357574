// The C interface gives what the C++ one gives, and answers wrong calls with a
// status and a message, never with a crash.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "qopt/qopt.h"

#include "TemporaryFolder.h"
#include "TinyDecoder.h"

#include <gtest/gtest.h>

using qopt::test::TinyDecoder;

namespace {

class CInterface : public ::testing::Test {
protected:
  void SetUp() override {
    path = folder.file("tiny.qopt");
    ASSERT_TRUE(model.write(path).ok());
    ASSERT_EQ(qopt_artifact_open(path.c_str(), QOPT_OPEN_CHECKED, &artifact),
              QOPT_OK)
        << qopt_last_error();
    ASSERT_EQ(qopt_engine_create(artifact, nullptr, &engine), QOPT_OK)
        << qopt_last_error();
  }
  void TearDown() override {
    qopt_engine_release(engine);
    qopt_artifact_release(artifact);
  }
  static qopt_request request(const std::vector<int32_t> &prompt,
                              int64_t maxTokens) {
    qopt_request result;
    qopt_request_defaults(&result);
    result.tokens = prompt.data();
    result.token_count = prompt.size();
    result.max_tokens = maxTokens;
    return result;
  }

  qopt::test::TemporaryFolder folder;
  TinyDecoder model;
  std::string path;
  qopt_artifact *artifact = nullptr;
  qopt_engine *engine = nullptr;
};

TEST_F(CInterface, Generates) {
  std::vector<int32_t> prompt = {3, 1, 4}, seen;
  qopt_request asked = request(prompt, 10);
  auto callback = [](void *user, int32_t token, const char *, size_t) {
    static_cast<std::vector<int32_t> *>(user)->push_back(token);
    return 1;
  };
  qopt_generation *generation = nullptr;
  ASSERT_EQ(qopt_engine_generate(engine, &asked, callback, &seen, &generation),
            QOPT_OK)
      << qopt_last_error();
  size_t count = 0;
  const int32_t *tokens = qopt_generation_tokens(generation, &count);
  EXPECT_EQ(std::vector<int32_t>(tokens, tokens + count),
            model.greedy(prompt, 10));
  EXPECT_EQ(seen, model.greedy(prompt, 10));
  EXPECT_EQ(qopt_generation_finish(generation), QOPT_FINISH_LENGTH);
  EXPECT_EQ(qopt_generation_prompt_tokens(generation), 3u);
  EXPECT_STREQ(qopt_generation_text(generation, nullptr), "");
  EXPECT_GT(qopt_generation_decode_seconds(generation), 0);
  qopt_generation_release(generation);
}

TEST_F(CInterface, StepsThroughSeveralRequests) {
  std::vector<int32_t> prompts[2] = {{7, 8, 9, 10}, {2}};
  std::vector<int32_t> tokens[2];
  uint64_t ids[2];
  for (int i = 0; i < 2; ++i) {
    qopt_request asked = request(prompts[i], 6 + i);
    ASSERT_EQ(qopt_engine_submit(engine, &asked, &ids[i]), QOPT_OK);
  }
  while (!qopt_engine_idle(engine)) {
    const qopt_event *events = nullptr;
    size_t count = 0;
    ASSERT_EQ(qopt_engine_step(engine, &events, &count), QOPT_OK);
    for (size_t i = 0; i < count; ++i)
      tokens[events[i].request == ids[1]].push_back(events[i].token);
  }
  EXPECT_EQ(tokens[0], model.greedy(prompts[0], 6));
  EXPECT_EQ(tokens[1], model.greedy(prompts[1], 7));
}

TEST_F(CInterface, EvaluatesEveryPosition) {
  std::vector<int32_t> tokens = {1, 2, 3, 4, 5};
  int64_t rows = 0;
  auto callback = [](void *user, int64_t first, const float *, int64_t count) {
    EXPECT_EQ(first, *static_cast<int64_t *>(user));
    *static_cast<int64_t *>(user) += count;
    return 1;
  };
  ASSERT_EQ(qopt_engine_evaluate(engine, tokens.data(), tokens.size(), callback,
                                 &rows),
            QOPT_OK);
  EXPECT_EQ(rows, 5);
  auto stop = [](void *, int64_t, const float *, int64_t) { return 0; };
  EXPECT_EQ(
      qopt_engine_evaluate(engine, tokens.data(), tokens.size(), stop, nullptr),
      QOPT_CANCELLED);
}

TEST_F(CInterface, DescribesADecoder) {
  EXPECT_EQ(qopt_artifact_is_decoder(artifact), 1);
  qopt_decoder_spec spec;
  ASSERT_EQ(qopt_artifact_decoder(artifact, &spec), QOPT_OK);
  EXPECT_EQ(spec.layers, 1);
  EXPECT_EQ(spec.vocabulary, 50);
  EXPECT_EQ(spec.context, 100);
  EXPECT_EQ(spec.cache_bytes_per_token, 2 * 16 * 4);
  EXPECT_EQ(qopt_artifact_input_count(artifact), 0u);
}

TEST_F(CInterface, WrongCallsGiveAStatusAndAMessage) {
  auto says = [](const char *part) {
    return std::string(qopt_last_error()).find(part) != std::string::npos;
  };
  qopt_artifact *none = nullptr;
  EXPECT_EQ(qopt_artifact_open("/no/such.qopt", 0, &none), QOPT_NOT_FOUND);
  EXPECT_TRUE(says("/no/such.qopt"));
  EXPECT_EQ(qopt_artifact_open(nullptr, 0, &none), QOPT_INVALID_ARGUMENT);
  qopt_session *session = nullptr;
  EXPECT_EQ(qopt_session_create(artifact, 0, &session), QOPT_INVALID_ARGUMENT);
  EXPECT_TRUE(says("is a decoder"));
  EXPECT_EQ(qopt_engine_create(artifact, nullptr, nullptr),
            QOPT_INVALID_ARGUMENT);
  EXPECT_EQ(qopt_engine_generate(engine, nullptr, nullptr, nullptr, nullptr),
            QOPT_INVALID_ARGUMENT);

  std::vector<int32_t> prompt(101, 1);
  qopt_request asked = request(prompt, 5);
  EXPECT_EQ(qopt_engine_generate(engine, &asked, nullptr, nullptr, nullptr),
            QOPT_INFEASIBLE);
  EXPECT_TRUE(says("101 tokens"));
  asked.struct_size = 3;
  EXPECT_EQ(qopt_engine_generate(engine, &asked, nullptr, nullptr, nullptr),
            QOPT_INVALID_ARGUMENT);
  EXPECT_TRUE(says("struct_size 3"));
  qopt_request_defaults(&asked);
  asked.text = "hello";
  asked.text_size = 5;
  EXPECT_EQ(qopt_engine_generate(engine, &asked, nullptr, nullptr, nullptr),
            QOPT_NOT_FOUND);
  EXPECT_TRUE(says("has no tokenizer"));
  EXPECT_EQ(qopt_engine_cancel(engine, 99), QOPT_NOT_FOUND);
  qopt_artifact_release(nullptr);
  qopt_session_release(nullptr);
  qopt_engine_release(nullptr);
  qopt_results_release(nullptr);
  qopt_generation_release(nullptr);
}

} // namespace
