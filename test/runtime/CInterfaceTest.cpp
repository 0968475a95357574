// The C interface gives what the C++ one gives, and answers wrong calls with a
// status and a message, never with a crash.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "CInterfaceFixture.h"
#include "FunctionBuilder.h"

namespace {

using CInterface = qopt::test::CInterfaceFixture;
using qopt::test::says;

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

TEST_F(CInterface, GeneratesTextFromText) {
  open(qopt::test::letters());
  qopt_request asked;
  qopt_request_defaults(&asked);
  asked.text = "dAb";
  asked.text_size = 3;
  asked.max_tokens = 12;
  std::string streamed;
  auto callback = [](void *user, int32_t, const char *text, size_t size) {
    static_cast<std::string *>(user)->append(text, size);
    return 1;
  };
  qopt_generation *generation = nullptr;
  ASSERT_EQ(
      qopt_engine_generate(engine, &asked, callback, &streamed, &generation),
      QOPT_OK)
      << qopt_last_error();
  std::string expected;
  for (int32_t token : model.greedy({3, 26, 1}, 12))
    expected += char(token < 26 ? 'a' + token : 'A' + token - 26);
  EXPECT_EQ(qopt_generation_text(generation, nullptr), expected);
  EXPECT_EQ(streamed, expected);
  qopt_generation_release(generation);
}

TEST_F(CInterface, RunsAGraph) {
  qopt::test::FunctionBuilder f("main", qopt::plan::FunctionKind::Graph);
  uint32_t n = f.symbol(qopt::plan::SymbolKind::InputDim, 0, 0, 0, "n");
  qopt::plan::ActivationT relu;
  relu.x =
      f.value(qopt::plan::DType::F32, {n}, qopt::plan::Storage::Input, "x");
  relu.y =
      f.value(qopt::plan::DType::F32, {n}, qopt::plan::Storage::Output, "y");
  relu.kind = qopt::plan::ActivationKind::Relu;
  f.step(std::move(relu));
  ASSERT_TRUE(f.write(folder.file("relu.qopt")).ok());
  qopt_artifact *graph = nullptr;
  qopt_session *session = nullptr;
  ASSERT_EQ(qopt_artifact_open(folder.file("relu.qopt").c_str(), 0, &graph),
            QOPT_OK);
  ASSERT_EQ(qopt_session_create(graph, 1, nullptr, &session), QOPT_OK);
  qopt_tensor_spec spec;
  spec.struct_size = sizeof(spec);
  ASSERT_EQ(qopt_artifact_input(graph, 0, &spec), QOPT_OK);
  EXPECT_STREQ(spec.name, "x");
  EXPECT_STREQ(spec.dimensions[0], "n");
  EXPECT_EQ(qopt_artifact_output(graph, 1, &spec), QOPT_INVALID_ARGUMENT);
  qopt_artifact_release(graph); // the session keeps what it needs

  float x[3] = {-1, 2, -3};
  const int64_t shape[1] = {3};
  qopt_tensor input = {sizeof(input), "x", QOPT_F32, 1, shape, x};
  qopt_results *results = nullptr;
  ASSERT_EQ(qopt_session_run(session, &input, 1, &results), QOPT_OK)
      << qopt_last_error();
  ASSERT_EQ(qopt_results_count(results), 1u);
  qopt_tensor y;
  y.struct_size = sizeof(y);
  ASSERT_EQ(qopt_results_get(results, 0, &y), QOPT_OK);
  EXPECT_EQ(y.shape[0], 3);
  EXPECT_EQ(static_cast<float *>(y.data)[1], 2.f);
  EXPECT_EQ(static_cast<float *>(y.data)[2], 0.f);
  qopt_results_release(results);
  float z[3];
  qopt_tensor output = {sizeof(output), "y", QOPT_F32, 1, shape, z};
  ASSERT_EQ(qopt_session_run_into(session, &input, 1, &output, 1), QOPT_OK);
  EXPECT_EQ(z[1], 2.f);
  output.data = nullptr;
  EXPECT_EQ(qopt_session_run_into(session, &input, 1, &output, 1),
            QOPT_INVALID_ARGUMENT);
  EXPECT_STREQ(qopt_last_error(), "output \"y\" has no data");
  input.name = "other";
  EXPECT_EQ(qopt_session_run(session, &input, 1, &results),
            QOPT_INVALID_ARGUMENT);
  qopt_session_release(session);
}

/// A graph y = kind(x) of any length.
static std::unique_ptr<qopt::plan::FunctionT>
elementwise(const char *name, qopt::plan::ActivationKind kind) {
  qopt::test::FunctionBuilder f(name, qopt::plan::FunctionKind::Graph);
  uint32_t n = f.symbol(qopt::plan::SymbolKind::InputDim, 0, 0, 0, "n");
  qopt::plan::ActivationT step;
  step.x =
      f.value(qopt::plan::DType::F32, {n}, qopt::plan::Storage::Input, "x");
  step.y = f.value(qopt::plan::DType::F32, {n}, qopt::plan::Storage::Output,
                   std::string("y_") + name);
  step.kind = kind;
  f.step(std::move(step));
  return std::move(f.function);
}

TEST_F(CInterface, ChoosesOneOfSeveralFunctions) {
  std::string several = folder.file("several.qopt");
  auto writer = qopt::runtime::ArtifactWriter::create(several);
  ASSERT_TRUE(writer.ok());
  qopt::plan::PlanT plan;
  plan.manifest = std::make_unique<qopt::plan::ManifestT>();
  using Kind = qopt::plan::ActivationKind;
  plan.functions.push_back(elementwise("relu", Kind::Relu));
  plan.functions.push_back(elementwise("sigmoid", Kind::Sigmoid));
  ASSERT_TRUE((*writer)->finish(plan).ok());

  qopt_artifact *whole = nullptr, *chosen = nullptr, *none = nullptr;
  ASSERT_EQ(qopt_artifact_open(several.c_str(), 0, &whole), QOPT_OK)
      << qopt_last_error();
  ASSERT_EQ(qopt_artifact_function_count(whole), 2u);
  EXPECT_STREQ(qopt_artifact_function_name(whole, 1), "sigmoid");
  EXPECT_EQ(qopt_artifact_function_name(whole, 2), nullptr);
  EXPECT_EQ(qopt_artifact_function_count(nullptr), 0u);
  EXPECT_EQ(qopt_artifact_function_name(nullptr, 0), nullptr);
  EXPECT_EQ(qopt_artifact_input_count(whole), 0u);
  qopt_session *session = nullptr;
  EXPECT_EQ(qopt_session_create(whole, 1, nullptr, &session),
            QOPT_INVALID_ARGUMENT);
  EXPECT_EQ(qopt_last_error(),
            "artifact '" + several +
                "' has several functions; choose \"relu\" or \"sigmoid\"");
  EXPECT_EQ(qopt_artifact_function(whole, "tanh", &none),
            QOPT_INVALID_ARGUMENT);
  EXPECT_EQ(qopt_last_error(),
            "artifact '" + several +
                "' has no function \"tanh\"; it has \"relu\" and \"sigmoid\"");
  EXPECT_EQ(qopt_artifact_function(whole, nullptr, &none),
            QOPT_INVALID_ARGUMENT);
  EXPECT_EQ(none, nullptr);

  ASSERT_EQ(qopt_artifact_function(whole, "sigmoid", &chosen), QOPT_OK);
  qopt_artifact_release(whole); // the function keeps what it needs
  EXPECT_EQ(qopt_artifact_function_count(chosen), 2u);
  qopt_tensor_spec spec;
  spec.struct_size = sizeof(spec);
  ASSERT_EQ(qopt_artifact_output(chosen, 0, &spec), QOPT_OK);
  EXPECT_STREQ(spec.name, "y_sigmoid");
  ASSERT_EQ(qopt_session_create(chosen, 1, nullptr, &session), QOPT_OK)
      << qopt_last_error();
  qopt_artifact_release(chosen);
  float x[2] = {0, -100}, y[2] = {};
  const int64_t shape[1] = {2};
  qopt_tensor input = {sizeof(input), "x", QOPT_F32, 1, shape, x};
  qopt_tensor output = {sizeof(output), "y_sigmoid", QOPT_F32, 1, shape, y};
  ASSERT_EQ(qopt_session_run_into(session, &input, 1, &output, 1), QOPT_OK)
      << qopt_last_error();
  EXPECT_EQ(y[0], 0.5f);
  EXPECT_LT(y[1], 1e-6f);
  qopt_session_release(session);
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
  spec.struct_size = sizeof(spec);
  ASSERT_EQ(qopt_artifact_decoder(artifact, &spec), QOPT_OK);
  EXPECT_EQ(spec.layers, 1);
  EXPECT_EQ(spec.vocabulary, 50);
  EXPECT_EQ(spec.context, 100);
  EXPECT_EQ(spec.cache_bytes_per_token, 2 * 16 * 4);
  EXPECT_EQ(qopt_artifact_input_count(artifact), 0u);
}

TEST_F(CInterface, WrongCallsGiveAStatusAndAMessage) {
  qopt_artifact *none = nullptr;
  EXPECT_EQ(qopt_artifact_open("/no/such.qopt", 0, &none), QOPT_NOT_FOUND);
  EXPECT_TRUE(says("/no/such.qopt"));
  EXPECT_EQ(qopt_artifact_open(nullptr, 0, &none), QOPT_INVALID_ARGUMENT);
  EXPECT_EQ(qopt_artifact_open(path.c_str(), 6, &none), QOPT_INVALID_ARGUMENT);
  EXPECT_TRUE(says("flags is 6; expected QOPT_OPEN_CHECKED"));
  qopt_engine_options options;
  qopt_engine_options_defaults(&options);
  options.max_sequences = int64_t(1) << 60;
  qopt_engine *refused = nullptr;
  EXPECT_EQ(qopt_engine_create(artifact, &options, &refused),
            QOPT_INVALID_ARGUMENT);
  EXPECT_TRUE(says("max sequences must be from 1 to 1099511627776, got "));
  qopt_session *session = nullptr;
  EXPECT_EQ(qopt_session_create(artifact, 0, nullptr, &session),
            QOPT_INVALID_ARGUMENT);
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
