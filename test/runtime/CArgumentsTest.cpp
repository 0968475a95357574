// Whatever a caller of the C interface passes, a wrong rank, a token that no
// vocabulary has, NULL anywhere, a callback that throws: a status and a
// message.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "CInterfaceFixture.h"

#include <cmath>
#include <limits>
#include <stdexcept>

using namespace qopt::test;

namespace {

using CArguments = CInterfaceFixture;
using CTensorArguments = CGraphFixture;

TEST_F(CTensorArguments, TheRankIsComparedBeforeTheShapeIsRead) {
  // Nobody can read so many sizes, or any at that address.
  for (size_t rank : {size_t(0), size_t(2), SIZE_MAX / 2}) {
    const auto *nowhere = reinterpret_cast<const int64_t *>(8);
    qopt_tensor inputs[2] = {
        {sizeof(qopt_tensor), "x0", QOPT_F32, rank, nowhere, x[0]},
        {sizeof(qopt_tensor), "x1", QOPT_F32, 1, shape, x[1]}};
    qopt_results *results = nullptr;
    EXPECT_EQ(qopt_session_run(session, inputs, 2, &results),
              QOPT_INVALID_ARGUMENT);
    EXPECT_EQ(qopt_last_error(), "tensor \"x0\" has rank " +
                                     std::to_string(rank) + "; expected 1");
    inputs[0].name = "nobody"; // of which nothing is read
    EXPECT_EQ(qopt_session_run(session, inputs, 2, &results),
              QOPT_INVALID_ARGUMENT);
    EXPECT_TRUE(says("input \"x0\" is missing"));
    inputs[0] = {sizeof(qopt_tensor), "x0", QOPT_F32, 1, shape, x[0]};
    qopt_tensor output = {sizeof(output), "y0", QOPT_F32, rank, nowhere, x[1]};
    EXPECT_EQ(qopt_session_run_into(session, inputs, 2, &output, 1),
              QOPT_INVALID_ARGUMENT);
    EXPECT_TRUE(says("tensor \"y0\" has rank"));
  }
}

TEST_F(CTensorArguments, WrongTensors) {
  qopt_tensor inputs[2] = {
      {sizeof(qopt_tensor), "x0", QOPT_F32, 1, shape, x[0]},
      {sizeof(qopt_tensor), "x1", QOPT_F32, 1, shape, x[1]}};
  qopt_results *results = nullptr;
  auto run = [&](size_t count) {
    return qopt_session_run(session, inputs, count, &results);
  };
  EXPECT_EQ(run(1), QOPT_INVALID_ARGUMENT);
  EXPECT_TRUE(says("input \"x1\" is missing"));
  inputs[1].name = "x0";
  EXPECT_EQ(run(2), QOPT_INVALID_ARGUMENT);
  EXPECT_TRUE(says("input \"x0\" was given twice"));
  inputs[1].name = nullptr;
  EXPECT_EQ(run(2), QOPT_INVALID_ARGUMENT);
  EXPECT_TRUE(says("a tensor's name must not be NULL"));
  inputs[1] = {sizeof(qopt_tensor), "x1", QOPT_F32, 1, nullptr, x[1]};
  EXPECT_EQ(run(2), QOPT_INVALID_ARGUMENT);
  EXPECT_TRUE(says("the shape of tensor \"x1\" must not be NULL"));
  for (int dtype : {-1, 23, 1 << 20}) {
    inputs[1] = {sizeof(qopt_tensor), "x1", qopt_dtype(dtype), 1, shape, x[1]};
    EXPECT_EQ(run(2), QOPT_INVALID_ARGUMENT);
    EXPECT_TRUE(says("tensor \"x1\" has the unknown type"));
  }
  const int64_t sizes[] = {-1, std::numeric_limits<int64_t>::max(),
                           std::numeric_limits<int64_t>::min(), 4};
  for (int64_t size : sizes) {
    inputs[1] = {sizeof(qopt_tensor), "x1", QOPT_F32, 1, &size, x[1]};
    EXPECT_EQ(run(2), QOPT_INVALID_ARGUMENT);
    EXPECT_TRUE(says("input \"x1\" has shape ["));
  }
  inputs[1] = {sizeof(qopt_tensor), "x1", QOPT_F32, 1, shape, nullptr};
  EXPECT_EQ(run(2), QOPT_INVALID_ARGUMENT);
  EXPECT_TRUE(says("input \"x1\" has no data"));
}

TEST_F(CTensorArguments, NullPointers) {
  qopt_tensor_spec spec;
  spec.struct_size = sizeof(spec);
  qopt_tensor tensor = {sizeof(tensor), "x0", QOPT_F32, 1, shape, x[0]};
  qopt_results *results = nullptr;
  qopt_session *other = nullptr;
  const qopt_status statuses[] = {
      qopt_artifact_open(nullptr, 0, &graph),
      qopt_artifact_open("x", 0, nullptr),
      qopt_artifact_input(nullptr, 0, &spec),
      qopt_artifact_input(graph, 0, nullptr),
      qopt_artifact_output(nullptr, 0, &spec),
      qopt_artifact_output(graph, 0, nullptr),
      qopt_artifact_input(graph, SIZE_MAX, &spec),
      qopt_artifact_decoder(graph, nullptr),
      qopt_session_create(nullptr, 1, nullptr, &other),
      qopt_session_create(graph, 1, nullptr, nullptr),
      qopt_session_create(graph, -1, nullptr, &other),
      qopt_session_create(graph, 1 << 30, nullptr, &other),
      qopt_session_create(graph, 1, "toaster", &other),
      qopt_session_run(nullptr, &tensor, 1, &results),
      qopt_session_run(session, nullptr, 1, &results),
      qopt_session_run(session, &tensor, 1, nullptr),
      qopt_session_run_into(nullptr, &tensor, 1, &tensor, 1),
      qopt_session_run_into(session, nullptr, 1, &tensor, 1),
      qopt_session_run_into(session, &tensor, 1, nullptr, 1),
      qopt_results_get(nullptr, 0, &tensor)};
  for (size_t i = 0; i < std::size(statuses); ++i)
    EXPECT_EQ(statuses[i], QOPT_INVALID_ARGUMENT) << "call " << i;
  EXPECT_EQ(qopt_results_count(nullptr), 0u);
  EXPECT_EQ(qopt_artifact_input_count(nullptr), 0u);
  EXPECT_EQ(qopt_artifact_output_count(nullptr), 0u);
  EXPECT_EQ(qopt_artifact_is_decoder(nullptr), 0);
}

TEST_F(CArguments, NullPointers) {
  qopt_request asked = request({1}, 1);
  qopt_engine *other = nullptr;
  uint64_t id = 0;
  size_t count = 0;
  const qopt_event *events = nullptr;
  const int32_t *tokens = nullptr;
  const int32_t token = 1;
  const char *text = nullptr;
  auto logits = [](void *, int64_t, const float *, int64_t) { return 1; };
  const qopt_status statuses[] = {
      qopt_engine_create(nullptr, nullptr, &other),
      qopt_engine_generate(nullptr, &asked, nullptr, nullptr, nullptr),
      qopt_engine_submit(nullptr, &asked, &id),
      qopt_engine_submit(engine, nullptr, &id),
      qopt_engine_submit(engine, &asked, nullptr),
      qopt_engine_cancel(nullptr, 1),
      qopt_engine_step(nullptr, &events, &count),
      qopt_engine_step(engine, nullptr, &count),
      qopt_engine_step(engine, &events, nullptr),
      qopt_engine_evaluate(nullptr, &token, 1, logits, nullptr),
      qopt_engine_evaluate(engine, nullptr, 1, logits, nullptr),
      qopt_engine_evaluate(engine, &token, 1, nullptr, nullptr),
      qopt_engine_evaluate(engine, &token, 0, logits, nullptr),
      qopt_engine_encode(nullptr, "a", 1, &tokens, &count),
      qopt_engine_encode(engine, nullptr, 1, &tokens, &count),
      qopt_engine_encode(engine, "a", 1, nullptr, &count),
      qopt_engine_encode(engine, "a", 1, &tokens, nullptr),
      qopt_engine_decode(nullptr, &token, 1, &text, &count),
      qopt_engine_decode(engine, nullptr, 1, &text, &count),
      qopt_engine_decode(engine, &token, 1, nullptr, &count),
      qopt_engine_decode(engine, &token, 1, &text, nullptr)};
  for (size_t i = 0; i < std::size(statuses); ++i)
    EXPECT_EQ(statuses[i], QOPT_INVALID_ARGUMENT) << "call " << i;
  EXPECT_EQ(qopt_engine_idle(nullptr), 1);
  EXPECT_EQ(qopt_generation_tokens(nullptr, nullptr), nullptr);
  EXPECT_STREQ(qopt_generation_text(nullptr, nullptr), "");
  EXPECT_EQ(qopt_generation_finish(nullptr), QOPT_FINISH_NONE);
  EXPECT_EQ(qopt_generation_prompt_tokens(nullptr), 0u);
  EXPECT_EQ(qopt_generation_prefill_seconds(nullptr), 0);
  EXPECT_EQ(qopt_generation_decode_seconds(nullptr), 0);
}

TEST_F(CArguments, TokensOutsideTheVocabulary) {
  open(letters());
  for (int32_t token : {-1, 50, std::numeric_limits<int32_t>::max(),
                        std::numeric_limits<int32_t>::min()}) {
    std::vector<int32_t> tokens = {1, token};
    const char *text = nullptr;
    size_t size = 0;
    EXPECT_EQ(qopt_engine_decode(engine, tokens.data(), 2, &text, &size),
              QOPT_INVALID_ARGUMENT);
    EXPECT_EQ(qopt_last_error(), "token 1 is " + std::to_string(token) +
                                     ", outside the vocabulary of 50");
    qopt_request asked = request(tokens, 2);
    EXPECT_EQ(qopt_engine_generate(engine, &asked, nullptr, nullptr, nullptr),
              QOPT_INVALID_ARGUMENT);
    EXPECT_TRUE(says("outside the vocabulary of 50"));
    uint64_t id = 0;
    EXPECT_EQ(qopt_engine_submit(engine, &asked, &id), QOPT_INVALID_ARGUMENT);
    auto logits = [](void *, int64_t, const float *, int64_t) { return 1; };
    EXPECT_EQ(qopt_engine_evaluate(engine, tokens.data(), 2, logits, nullptr),
              QOPT_INVALID_ARGUMENT);
    EXPECT_TRUE(says("outside the vocabulary of 50"));
  }
  EXPECT_EQ(qopt_engine_idle(engine), 1);
}

TEST_F(CArguments, CountsWithoutTheirPointer) {
  qopt_request asked = request({}, 2);
  asked.tokens = nullptr;
  asked.token_count = 4;
  EXPECT_EQ(qopt_engine_generate(engine, &asked, nullptr, nullptr, nullptr),
            QOPT_INVALID_ARGUMENT);
  EXPECT_TRUE(says("the request's tokens must not be NULL"));
  asked.token_count = 0;
  asked.text_size = 4;
  EXPECT_EQ(qopt_engine_generate(engine, &asked, nullptr, nullptr, nullptr),
            QOPT_INVALID_ARGUMENT);
  EXPECT_TRUE(says("the request's text must not be NULL"));
  asked.text_size = 0;
  int32_t token = 1;
  asked.tokens = &token;
  asked.token_count = SIZE_MAX; // not copied before it is compared
  EXPECT_EQ(qopt_engine_generate(engine, &asked, nullptr, nullptr, nullptr),
            QOPT_INFEASIBLE);
  EXPECT_TRUE(says("18446744073709551615 tokens; the model's context is 100"));
  asked.text = "a";
  EXPECT_EQ(qopt_engine_generate(engine, &asked, nullptr, nullptr, nullptr),
            QOPT_INVALID_ARGUMENT);
  EXPECT_TRUE(says("give one of them"));
}

TEST_F(CArguments, OptionsOutOfRange) {
  const float nan = std::nanf(""), inf = std::numeric_limits<float>::infinity();
  std::vector<int32_t> prompt = {1};
  auto refused = [&](auto change, const char *message) {
    qopt_request asked = request(prompt, 2);
    change(asked);
    EXPECT_EQ(qopt_engine_generate(engine, &asked, nullptr, nullptr, nullptr),
              QOPT_INVALID_ARGUMENT)
        << message;
    EXPECT_TRUE(says(message)) << qopt_last_error();
  };
  for (float value : {nan, inf, -1.f})
    refused([&](qopt_request &r) { r.temperature = value; },
            "--temperature must be 0 (greedy) or above, and finite, got ");
  for (float value : {nan, 0.f, 1.5f, -1.f, inf})
    refused([&](qopt_request &r) { r.top_p = value; },
            "--top-p must be above 0 and at most 1, got ");
  for (float value : {nan, 1.5f, -1.f})
    refused([&](qopt_request &r) { r.min_p = value; },
            "--min-p must be between 0 and 1, got ");
  for (float value : {nan, inf, 0.f, -1.f})
    refused([&](qopt_request &r) { r.repetition_penalty = value; },
            "--repetition-penalty must be above 0 and finite, got ");
  refused([&](qopt_request &r) { r.top_k = -1; },
          "--top-k must be 0 (all tokens) or above, got ");
  for (int64_t value : {int64_t(0), int64_t(-3)})
    refused([&](qopt_request &r) { r.max_tokens = value; },
            "--max-tokens must be 1 or above, got ");
  refused([&](qopt_request &r) { r.token_count = 0; },
          "the prompt has no tokens");
  qopt_request asked = request(prompt, std::numeric_limits<int64_t>::max());
  qopt_generation *generation = nullptr;
  ASSERT_EQ(qopt_engine_generate(engine, &asked, nullptr, nullptr, &generation),
            QOPT_OK)
      << qopt_last_error();
  EXPECT_EQ(qopt_generation_finish(generation), QOPT_FINISH_CONTEXT);
  qopt_generation_release(generation);
}

TEST_F(CArguments, ACallbackThatThrowsEndsTheCallAndNoMore) {
  std::vector<int32_t> prompt = {3, 1, 4};
  qopt_request asked = request(prompt, 5);
  auto throws = [](void *, int32_t, const char *, size_t) -> int {
    throw std::runtime_error("out of paper");
  };
  EXPECT_EQ(qopt_engine_generate(engine, &asked, throws, nullptr, nullptr),
            QOPT_INTERNAL);
  EXPECT_TRUE(says("the callback threw an exception"));
  EXPECT_EQ(qopt_engine_idle(engine), 1);
  auto rows = [](void *, int64_t, const float *, int64_t) -> int {
    throw 3; // NOLINT: of any type
  };
  EXPECT_EQ(qopt_engine_evaluate(engine, prompt.data(), 3, rows, nullptr),
            QOPT_INTERNAL);
  EXPECT_EQ(qopt_engine_generate(engine, &asked, nullptr, nullptr, nullptr),
            QOPT_OK)
      << qopt_last_error();
}

} // namespace
