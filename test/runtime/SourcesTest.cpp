// An encoder-decoder made by hand: its text is what plain loops give of each
// request's source, however sources of different lengths are batched; what is
// no source is refused, and what fails ends its own request alone.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "qopt/Engine.h"
#include "qopt/qopt.h"

#include "FunctionBuilder.h"
#include "TemporaryFolder.h"
#include "runtime/host/LinearLayout.h"

#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>
#include <map>
#include <random>

using namespace qopt;
using qopt::test::FunctionBuilder;

namespace {

constexpr int64_t width = 32, heads = 2, size = 16, vocabulary = 50, page = 16,
                  longest = 40;
constexpr float scale = 0.25f;

quant::Format f32() { return quant::floatFormat(quant::ElementType::F32); }

std::vector<float> randomValues(unsigned seed, int64_t count) {
  std::mt19937 random(seed);
  std::vector<float> values(static_cast<size_t>(count));
  for (float &value : values)
    value = float(random() % 20001) / 10000.f - 1.f;
  return values;
}

class SourcesTest : public ::testing::Test {
protected:
  using Change = std::function<void(plan::PlanT &)>;

  /// Rows of `table` by the ids in the function's first input.
  static uint32_t embed(FunctionBuilder &f, uint32_t count,
                        const std::vector<float> &table) {
    uint32_t ids =
        f.value(plan::DType::I32, {count}, plan::Storage::Input, "ids");
    plan::EmbeddingT step;
    std::vector<uint8_t> bytes(table.size() * 4);
    std::memcpy(bytes.data(), table.data(), bytes.size());
    step.ids = ids, step.weight = f.weight(bytes);
    step.y = f.arena({count, f.constant(width)});
    step.rows = vocabulary, step.columns = width;
    step.format = runtime::fromFormat(f32());
    uint32_t y = step.y;
    f.step(std::move(step), "embed");
    return y;
  }

  /// logits = head · attention(embedding of the token, the source).
  void addStep(FunctionBuilder &f) const {
    uint32_t tokens = f.symbol(plan::SymbolKind::Tokens),
             rows = f.symbol(plan::SymbolKind::LogitRows), none = f.constant(0),
             wide = f.constant(width);
    uint32_t x = embed(f, tokens, embedding);
    std::vector<uint32_t> shape{tokens, f.constant(heads), f.constant(size)};
    plan::CachedAttentionT attention;
    attention.q = f.view(x, none, shape);
    attention.y = f.arena(shape);
    attention.heads = heads, attention.scale = scale, attention.source = true;
    plan::SelectRowsT select;
    select.x = f.view(attention.y, none, {tokens, wide});
    select.y = f.arena({rows, wide});
    plan::LinearT linear;
    linear.x = select.y;
    linear.y = f.value(plan::DType::F32, {rows, f.constant(vocabulary)},
                       plan::Storage::Output, "logits");
    host::LinearLayout layout = *host::linearLayout(f32(), vocabulary, width);
    std::vector<uint8_t> packed(size_t(layout.packedBytes()));
    host::packWeight(
        layout,
        {reinterpret_cast<const uint8_t *>(head.data()), nullptr, nullptr},
        packed.data());
    linear.weight = f.weight(packed);
    linear.n = vocabulary, linear.k = width;
    linear.format = runtime::fromFormat(f32());
    linear.layout = plan::WeightLayout::HostTiled;
    f.step(std::move(attention), "attention");
    f.step(std::move(select));
    f.step(std::move(linear));
  }

  /// Keys and values are the halves of a row of the table.
  void addEncoder(FunctionBuilder &f) const {
    uint32_t count = f.symbol(plan::SymbolKind::InputDim);
    uint32_t rows = embed(f, count, sourceTable);
    std::vector<uint32_t> shape{count, f.constant(1), f.constant(size)};
    plan::KvAppendT append;
    append.k = f.view(rows, f.constant(0), shape, size, width);
    append.v = f.view(rows, f.constant(size * 4), shape, size, width);
    f.step(std::move(append));
  }

  Status write(const std::string &path, const Change &change) const {
    FunctionBuilder step("step", plan::FunctionKind::Decoder),
        encoder("encode", plan::FunctionKind::Encoder);
    addStep(step);
    addEncoder(encoder);
    for (auto &value : encoder.function->values)
      if (value->storage == plan::Storage::Constant)
        value->index += uint32_t(step.segments.size());
    auto writer = runtime::ArtifactWriter::create(path);
    if (!writer.ok())
      return writer.status();
    for (const FunctionBuilder *f : {&step, &encoder})
      for (const auto &[kind, bytes] : f->segments)
        QOPT_RETURN_IF_ERROR(
            (*writer)->addSegment(kind, "segment", bytes).status());
    plan::PlanT plan;
    plan.manifest = std::make_unique<plan::ManifestT>();
    plan.manifest->compiler_version = "test";
    plan.functions.push_back(std::move(step.function));
    plan.functions.push_back(std::move(encoder.function));
    plan.decoder = std::make_unique<plan::DecoderT>();
    auto layer = std::make_unique<plan::CacheLayerT>();
    layer->kv_heads = 1, layer->key_size = layer->value_size = size;
    layer->key = runtime::fromFormat(f32());
    layer->value = runtime::fromFormat(f32());
    layer->source = true;
    plan.decoder->layers.push_back(std::move(layer));
    plan.decoder->page = page, plan.decoder->vocabulary = vocabulary;
    plan.decoder->context = 30;
    plan.decoder->encoder = 1, plan.decoder->source = longest;
    change(plan);
    return (*writer)->finish(plan);
  }

  std::unique_ptr<Engine> engine(const EngineOptions &options) {
    std::string path = folder.file("sources.qopt");
    Status written = write(path, [](plan::PlanT &) {});
    EXPECT_TRUE(written.ok()) << written.message();
    auto artifact = Artifact::open(path);
    EXPECT_TRUE(artifact.ok()) << artifact.status().message();
    auto created = Engine::create(*artifact, options);
    EXPECT_TRUE(created.ok()) << created.status().message();
    return std::move(*created);
  }

  static Tensor tensor(const std::vector<int32_t> &ids) {
    Tensor result("ids", DType::I32, {int64_t(ids.size())});
    std::copy(ids.begin(), ids.end(), result.as<int32_t>());
    return result;
  }
  static Request request(const std::vector<int32_t> &source, int32_t first) {
    Request result;
    result.prompt = {first};
    result.maxTokens = 9;
    result.source = {tensor(source)};
    return result;
  }
  static std::vector<int32_t> someSource(int length) {
    std::vector<int32_t> source;
    for (int i = 0; i < length; ++i)
      source.push_back(int32_t((i * 7 + length * 13 + i * i) % vocabulary));
    return source;
  }

  /// The token behind `token` of a sequence with that source.
  int32_t next(const std::vector<int32_t> &source, int32_t token) const {
    std::vector<double> y(width);
    for (int64_t h = 0; h < heads; ++h) {
      double total = 0;
      for (int32_t id : source) {
        double score = 0;
        for (int64_t d = 0; d < size; ++d)
          score += double(embedding[size_t(token * width + h * size + d)]) *
                   double(sourceTable[size_t(id * width + d)]);
        double weight = std::exp(score * double(scale));
        total += weight;
        for (int64_t d = 0; d < size; ++d)
          y[size_t(h * size + d)] +=
              weight * double(sourceTable[size_t(id * width + size + d)]);
      }
      for (int64_t d = 0; d < size; ++d)
        y[size_t(h * size + d)] /= total;
    }
    std::vector<double> logits(vocabulary);
    for (int64_t n = 0; n < vocabulary; ++n)
      for (int64_t k = 0; k < width; ++k)
        logits[size_t(n)] += double(head[size_t(n * width + k)]) * y[size_t(k)];
    return int32_t(std::max_element(logits.begin(), logits.end()) -
                   logits.begin());
  }
  std::vector<int32_t> expected(const Request &asked,
                                const std::vector<int32_t> &source) const {
    std::vector<int32_t> tokens;
    for (int32_t token = asked.prompt[0]; int64_t(tokens.size()) < 9;)
      tokens.push_back(token = next(source, token));
    return tokens;
  }

  std::vector<float> embedding = randomValues(1, vocabulary *width),
                     sourceTable = randomValues(2, vocabulary *width),
                     head = randomValues(3, vocabulary *width);
  test::TemporaryFolder folder;
};

/// More requests than sources have room, of lengths that end within a page and
/// with one.
TEST_F(SourcesTest, EachSequenceReadsItsOwnSource) {
  EngineOptions options;
  options.maxSequences = 3;
  options.cacheTokens = 60; // whole sources: two
  auto made = engine(options);
  int64_t free = made->freeCacheTokens();
  size_t used = made->cacheMemory();
  std::map<RequestId, std::vector<int32_t>> texts, wanted;
  for (int length : {1, 16, 40, 17, 33, 2, 40}) {
    Request asked = request(someSource(length), length % vocabulary);
    std::vector<int32_t> text = expected(asked, someSource(length));
    auto id = made->submit(std::move(asked));
    ASSERT_TRUE(id.ok()) << id.status().message();
    wanted[*id] = text;
  }
  while (!made->idle()) {
    auto events = made->step();
    ASSERT_TRUE(events.ok()) << events.status().message();
    for (const TokenEvent &event : *events)
      texts[event.request].push_back(event.token);
  }
  EXPECT_EQ(texts, wanted);
  EXPECT_EQ(made->freeCacheTokens(), free);
  EXPECT_EQ(made->cacheMemory(), used);
}

TEST_F(SourcesTest, LogitsOfATextHaveItsSource) {
  auto made = engine({});
  std::vector<int32_t> source = someSource(23), text = {4, 9, 16}, chosen;
  Status status = made->evaluate(
      text,
      [&](int64_t, std::span<const float> logits) {
        for (; !logits.empty(); logits = logits.subspan(vocabulary)) {
          auto row = logits.first(vocabulary);
          chosen.push_back(
              int32_t(std::max_element(row.begin(), row.end()) - row.begin()));
        }
        return Status();
      },
      0, {tensor(source)});
  ASSERT_TRUE(status.ok()) << status.message();
  for (size_t i = 0; i < text.size(); ++i)
    EXPECT_EQ(chosen[i], next(source, text[i]));
}

TEST_F(SourcesTest, WhatIsNoSourceIsRefused) {
  auto made = engine({});
  auto refused = [&](Request asked, StatusCode code, const char *words) {
    auto id = made->submit(std::move(asked));
    ASSERT_FALSE(id.ok());
    EXPECT_EQ(id.status().code(), code);
    EXPECT_NE(id.status().message().find(words), std::string::npos)
        << id.status().message();
  };
  Request none = request({1}, 1);
  none.source.clear();
  refused(none, StatusCode::InvalidArgument, "there is no source");
  refused(request(someSource(41), 1), StatusCode::Infeasible,
          "41 positions of the source; expected 1 to 40");
  refused(request({}, 1), StatusCode::Infeasible, "0 positions of the source");
  Request other = request({1}, 1);
  other.source = {Tensor("words", DType::I32, {1})};
  refused(other, StatusCode::InvalidArgument, "input \"ids\" is missing");
  other.source = {Tensor("ids", DType::F32, {1})};
  refused(other, StatusCode::InvalidArgument, "has type f32; expected i32");
}

/// The request's source is copied: the caller's memory may go at once.
TEST_F(SourcesTest, TheCInterfaceTakesSources) {
  std::string path = folder.file("sources.qopt");
  ASSERT_TRUE(write(path, [](plan::PlanT &) {}).ok());
  qopt_artifact *artifact = nullptr;
  qopt_engine *engine = nullptr;
  ASSERT_EQ(qopt_artifact_open(path.c_str(), 0, &artifact), QOPT_OK);
  ASSERT_EQ(qopt_engine_create(artifact, nullptr, &engine), QOPT_OK);
  qopt_decoder_spec spec = {};
  spec.struct_size = sizeof(spec);
  ASSERT_EQ(qopt_artifact_decoder(artifact, &spec), QOPT_OK);
  EXPECT_EQ(spec.source, longest);
  EXPECT_EQ(qopt_artifact_input_count(artifact), 1u);

  std::vector<int32_t> source = someSource(21), given = source;
  int32_t first = 6;
  int64_t shape = 21;
  qopt_tensor ids = {sizeof(ids), "ids", QOPT_I32, 1, &shape, given.data()};
  qopt_request asked;
  qopt_request_defaults(&asked);
  asked.tokens = &first, asked.token_count = 1, asked.max_tokens = 9;
  asked.source = &ids, asked.source_count = 1;
  uint64_t id = 0;
  ASSERT_EQ(qopt_engine_submit(engine, &asked, &id), QOPT_OK)
      << qopt_last_error();
  given.assign(given.size(), -1);
  std::vector<int32_t> text;
  while (!qopt_engine_idle(engine)) {
    const qopt_event *events = nullptr;
    size_t count = 0;
    ASSERT_EQ(qopt_engine_step(engine, &events, &count), QOPT_OK);
    for (size_t i = 0; i < count; ++i)
      text.push_back(events[i].token);
  }
  EXPECT_EQ(text, expected(request(source, first), source));

  auto refused = [&](const char *words) {
    EXPECT_EQ(qopt_engine_submit(engine, &asked, &id), QOPT_INVALID_ARGUMENT);
    EXPECT_NE(std::string(qopt_last_error()).find(words), std::string::npos)
        << qopt_last_error();
  };
  shape = INT64_MAX;
  refused("which no memory has");
  shape = -1;
  refused("which no memory has");
  shape = 21, ids.data = nullptr;
  refused("the data of tensor \"ids\" must not be NULL");
  asked.source = nullptr;
  refused("tensors must not be NULL");
  asked.source_count = 0;
  refused("there is no source");
  qopt_engine_release(engine);
  qopt_artifact_release(artifact);
}

/// An id outside the encoder's table, which only encoding finds.
TEST_F(SourcesTest, AFailureOfTheEncoderEndsItsRequestAlone) {
  auto made = engine({});
  Request first = request(someSource(5), 3), last = request(someSource(30), 8);
  std::vector<int32_t> wanted = expected(first, someSource(5)),
                       alsoWanted = expected(last, someSource(30));
  auto good = made->submit(std::move(first)),
       bad = made->submit(request({1, 1000}, 2)),
       alsoGood = made->submit(std::move(last));
  ASSERT_TRUE(good.ok() && bad.ok() && alsoGood.ok());
  std::map<RequestId, std::vector<int32_t>> texts;
  int failures = 0;
  while (!made->idle()) {
    auto events = made->step();
    ASSERT_TRUE(events.ok()) << events.status().message();
    for (const TokenEvent &event : *events) {
      if (event.finish != FinishReason::Failed) {
        texts[event.request].push_back(event.token);
        continue;
      }
      ++failures;
      EXPECT_EQ(event.request, *bad);
      EXPECT_NE(event.status.message().find("1000"), std::string::npos);
    }
  }
  EXPECT_EQ(failures, 1);
  EXPECT_EQ(texts[*good], wanted);
  EXPECT_EQ(texts[*alsoGood], alsoWanted);
}

/// Layers of sources are filled by the plan's encoder, read by attention that
/// says so, and nothing else is.
TEST_F(SourcesTest, PlansThatDoNotFitAreRefused) {
  const std::pair<const char *, Change> changes[] = {
      {"attention') is not valid",
       [](plan::PlanT &plan) { plan.decoder->layers[0]->source = false; }},
      {"attention') is not valid",
       [](plan::PlanT &plan) {
         plan.functions[0]->steps[1]->operation.AsCachedAttention()->source =
             false;
       }},
      {"it encodes sources, but not those of the plan's decoder",
       [](plan::PlanT &plan) { plan.decoder->encoder = -1; }},
      {"it encodes sources, but not those of the plan's decoder",
       [](plan::PlanT &plan) { plan.decoder->encoder = 7; }},
      {"layers of sources and its encoder do not fit",
       [](plan::PlanT &plan) { plan.decoder->source = 0; }},
      {"layers of sources and its encoder do not fit",
       [](plan::PlanT &plan) { plan.decoder->source = UINT32_MAX; }},
      {"layers of sources and its encoder do not fit",
       [](plan::PlanT &plan) {
         plan.decoder->encoder = -1;
         plan.functions.pop_back();
       }},
      {"kv_append) is not valid",
       [](plan::PlanT &plan) {
         plan.functions[1]->steps[1]->operation.AsKvAppend()->layer = 1;
       }},
      {"kv_append) is not valid",
       [](plan::PlanT &plan) {
         plan.functions[1]->kind = plan::FunctionKind::Graph;
       }},
  };
  for (const auto &[words, change] : changes) {
    Status status = write(folder.file("refused.qopt"), change);
    EXPECT_FALSE(status.ok());
    EXPECT_NE(status.message().find(words), std::string::npos)
        << status.message();
  }
}

} // namespace
