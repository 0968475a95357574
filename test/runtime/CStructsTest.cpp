// A program and a library of different versions: structs of the C interface
// that are smaller or larger than this version's are understood or refused by
// their struct_size, and nothing is read or written beyond it.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "CInterfaceFixture.h"

#include <cmath>
#include <cstring>

using namespace qopt::test;

namespace {

using CStructs = CInterfaceFixture;
using CTensors = CGraphFixture;

/// A struct of a later version: fields behind those of this one.
template <typename Struct> struct Newer {
  Struct known;
  int64_t added[2];
};

TEST_F(CStructs, AnOlderRequestHasTheDefaultsOfWhatItLacks) {
  std::vector<int32_t> prompt = {3, 1, 4};
  qopt_request asked = request(prompt, 10);
  asked.struct_size = offsetof(qopt_request, temperature);
  asked.temperature = -1; // not part of that version
  asked.top_p = std::nanf("");
  asked.ignore_end = 7;
  qopt_generation *generation = nullptr;
  ASSERT_EQ(qopt_engine_generate(engine, &asked, nullptr, nullptr, &generation),
            QOPT_OK)
      << qopt_last_error();
  size_t count = 0;
  const int32_t *tokens = qopt_generation_tokens(generation, &count);
  EXPECT_EQ(std::vector<int32_t>(tokens, tokens + count),
            model.greedy(prompt, 10));
  qopt_generation_release(generation);
  asked.struct_size = sizeof(size_t); // no field at all
  EXPECT_EQ(qopt_engine_generate(engine, &asked, nullptr, nullptr, nullptr),
            QOPT_INVALID_ARGUMENT);
  EXPECT_TRUE(says("the prompt has no tokens"));
}

TEST_F(CStructs, ANewerRequestIsTakenWhereItAsksNothingNew) {
  std::vector<int32_t> prompt = {3, 1, 4};
  Newer<qopt_request> asked = {request(prompt, 2), {0, 0}};
  asked.known.struct_size = sizeof(asked);
  EXPECT_EQ(
      qopt_engine_generate(engine, &asked.known, nullptr, nullptr, nullptr),
      QOPT_OK)
      << qopt_last_error();
  asked.added[1] = 1 << 8;
  EXPECT_EQ(
      qopt_engine_generate(engine, &asked.known, nullptr, nullptr, nullptr),
      QOPT_UNSUPPORTED);
  EXPECT_TRUE(says("has struct_size 120 and asks at byte 113 for what this "
                   "version does not know"));
}

TEST_F(CStructs, DefaultsFillTheCallersVersion) {
  Newer<qopt_request> request;
  std::memset(&request, 0x55, sizeof(request));
  ASSERT_EQ(qopt_request_fill(&request.known, sizeof(request)), QOPT_OK);
  EXPECT_EQ(request.known.struct_size, sizeof(request));
  EXPECT_EQ(request.known.top_p, 1.f);
  EXPECT_EQ(request.added[0], 0);
  std::memset(&request, 0x55, sizeof(request));
  size_t older = offsetof(qopt_request, seed);
  ASSERT_EQ(qopt_request_fill(&request.known, older), QOPT_OK);
  EXPECT_EQ(request.known.struct_size, older);
  EXPECT_EQ(request.known.repetition_penalty, 1.f);
  EXPECT_EQ(request.known.seed, 0x5555555555555555u);
  EXPECT_EQ(qopt_request_fill(&request.known, 4), QOPT_INVALID_ARGUMENT);
  EXPECT_EQ(qopt_request_defaults(nullptr), QOPT_INVALID_ARGUMENT);
  EXPECT_EQ(qopt_engine_options_defaults(nullptr), QOPT_INVALID_ARGUMENT);
}

TEST_F(CStructs, EngineOptionsOfAnyVersion) {
  Newer<qopt_engine_options> options = {};
  ASSERT_EQ(qopt_engine_options_fill(&options.known, sizeof(options)), QOPT_OK);
  qopt_engine *other = nullptr;
  ASSERT_EQ(qopt_engine_create(artifact, &options.known, &other), QOPT_OK);
  qopt_engine_release(other);
  options.known.max_queue = -1; // not part of an older version
  options.known.struct_size = offsetof(qopt_engine_options, max_queue);
  ASSERT_EQ(qopt_engine_create(artifact, &options.known, &other), QOPT_OK);
  qopt_engine_release(other);
  for (size_t size : {size_t(0), size_t(12), size_t(1) << 40}) {
    options.known.struct_size = size;
    EXPECT_EQ(qopt_engine_create(artifact, &options.known, &other),
              QOPT_INVALID_ARGUMENT);
    EXPECT_TRUE(says(("has struct_size " + std::to_string(size)).c_str()));
  }
}

TEST_F(CStructs, ResultsAreWrittenAsFarAsTheCallersVersionGoes) {
  Newer<qopt_decoder_spec> spec;
  std::memset(&spec, 0x55, sizeof(spec));
  spec.known.struct_size = offsetof(qopt_decoder_spec, context);
  ASSERT_EQ(qopt_artifact_decoder(artifact, &spec.known), QOPT_OK);
  EXPECT_EQ(spec.known.vocabulary, 50);
  EXPECT_EQ(spec.known.context, 0x5555555555555555);
  spec.known.struct_size = sizeof(spec);
  ASSERT_EQ(qopt_artifact_decoder(artifact, &spec.known), QOPT_OK);
  EXPECT_EQ(spec.known.struct_size, sizeof(spec));
  EXPECT_EQ(spec.known.context, 100);
  EXPECT_EQ(spec.added[0], 0);
  EXPECT_EQ(spec.added[1], 0);
  spec.known.struct_size = 7;
  EXPECT_EQ(qopt_artifact_decoder(artifact, &spec.known),
            QOPT_INVALID_ARGUMENT);
  EXPECT_TRUE(says("the specification has struct_size 7; expected its sizeof"));
}

TEST_F(CTensors, ArraysOfNewerTensors) {
  Newer<qopt_tensor> inputs[2] = {}, y = {};
  const char *names[2] = {"x0", "x1"};
  for (int i = 0; i < 2; ++i)
    inputs[i].known = {sizeof(inputs[i]), names[i], QOPT_F32, 1, shape, x[i]};
  qopt_results *results = nullptr;
  ASSERT_EQ(qopt_session_run(session, &inputs[0].known, 2, &results), QOPT_OK)
      << qopt_last_error();
  y.known.struct_size = sizeof(y);
  ASSERT_EQ(qopt_results_get(results, 1, &y.known), QOPT_OK);
  EXPECT_EQ(static_cast<float *>(y.known.data)[2], 6.f);
  y.known.struct_size = 0;
  EXPECT_EQ(qopt_results_get(results, 1, &y.known), QOPT_INVALID_ARGUMENT);
  qopt_results_release(results);
  inputs[1].known.struct_size = sizeof(qopt_tensor);
  EXPECT_EQ(qopt_session_run(session, &inputs[0].known, 2, &results),
            QOPT_INVALID_ARGUMENT);
  EXPECT_TRUE(says("tensor 1 has struct_size 48; expected that of the first"));
}

TEST_F(CTensors, SpecificationsOfAnyVersion) {
  Newer<qopt_tensor_spec> spec;
  std::memset(&spec, 0x55, sizeof(spec));
  spec.known.struct_size = offsetof(qopt_tensor_spec, rank);
  ASSERT_EQ(qopt_artifact_input(graph, 1, &spec.known), QOPT_OK);
  EXPECT_STREQ(spec.known.name, "x1");
  EXPECT_EQ(spec.known.rank, 0x5555555555555555u);
  spec.known.struct_size = sizeof(spec);
  ASSERT_EQ(qopt_artifact_output(graph, 1, &spec.known), QOPT_OK);
  EXPECT_EQ(spec.known.rank, 1u);
  EXPECT_EQ(spec.added[1], 0);
}

} // namespace
