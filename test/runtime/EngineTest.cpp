// The engine gives what plain loops give, however requests are batched and
// prompts are cut; refuses what cannot fit; frees every page.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "qopt/Engine.h"

#include "TemporaryFolder.h"
#include "TinyDecoder.h"

#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>
#include <map>
#include <thread>

using namespace qopt;
using qopt::test::TinyDecoder;

namespace {

class EngineTest : public ::testing::Test {
protected:
  std::shared_ptr<const Artifact> artifact(int32_t endToken = -1) {
    std::string path = folder.file("tiny.qopt");
    Status written = model.write(path, endToken);
    EXPECT_TRUE(written.ok()) << written.message();
    auto opened = Artifact::open(path);
    EXPECT_TRUE(opened.ok()) << opened.status().message();
    return *opened;
  }
  std::unique_ptr<Engine> engine(const EngineOptions &options = {},
                                 int32_t endToken = -1) {
    auto created = Engine::create(artifact(endToken), options);
    EXPECT_TRUE(created.ok()) << created.status().message();
    return std::move(*created);
  }
  static Request request(std::vector<int32_t> prompt, int64_t maxTokens) {
    Request result;
    result.prompt = std::move(prompt);
    result.maxTokens = maxTokens;
    return result;
  }
  static std::vector<int32_t> somePrompt(int length, int seed) {
    std::vector<int32_t> prompt;
    for (int i = 0; i < length; ++i)
      prompt.push_back(int32_t((i * 7 + seed * 13 + i * i) % 50));
    return prompt;
  }
  /// Steps until nothing runs; the tokens of every request.
  static std::map<RequestId, std::vector<int32_t>> drain(Engine &engine) {
    std::map<RequestId, std::vector<int32_t>> tokens;
    while (!engine.idle()) {
      auto events = engine.step();
      EXPECT_TRUE(events.ok()) << events.status().message();
      if (!events.ok())
        break;
      for (const TokenEvent &event : *events)
        if (event.token >= 0)
          tokens[event.request].push_back(event.token);
    }
    return tokens;
  }

  qopt::test::TemporaryFolder folder;
  TinyDecoder model;
};

TEST_F(EngineTest, LogitsEqualPlainLoopsInEveryChunking) {
  std::vector<int32_t> tokens = somePrompt(60, 1);
  std::vector<double> expected = model.logits(tokens);
  auto engine = this->engine();
  for (int64_t chunk : {0, 1, 7, 16, 60}) {
    int64_t next = 0;
    double worst = 0;
    Status status = engine->evaluate(
        tokens,
        [&](int64_t first, std::span<const float> logits) {
          EXPECT_EQ(first, next);
          for (size_t i = 0; i < logits.size(); ++i)
            worst = std::max(worst, std::abs(double(logits[i]) -
                                             expected[size_t(first * 50) + i]));
          next += int64_t(logits.size() / 50);
          return Status();
        },
        chunk);
    EXPECT_TRUE(status.ok()) << status.message();
    EXPECT_EQ(next, 60);
    EXPECT_LT(worst, 1e-4) << "chunk " << chunk;
  }
  EXPECT_EQ(engine->freeCacheTokens(), engine->cacheTokens());
}

/// The numbers of pages have 32 bits; nothing is allocated to find that out.
TEST_F(EngineTest, TheLastValueOfAProbeIsTheLogits) {
  std::unique_ptr<Engine> engine = this->engine();
  std::vector<int32_t> prompt = somePrompt(21, 1);
  std::vector<float> last, logits;
  size_t values = 0;
  Status status = engine->probe(prompt, [&](const StepValue &value) {
    EXPECT_EQ(int64_t(value.values.size()), value.rows * value.columns);
    EXPECT_FALSE(value.kernel.empty());
    last.assign(value.values.begin(), value.values.end());
    ++values;
    return Status();
  });
  ASSERT_TRUE(status.ok()) << status.message();
  EXPECT_GT(values, 5u);
  status = engine->evaluate(prompt, [&](int64_t, std::span<const float> rows) {
    logits.insert(logits.end(), rows.begin(), rows.end());
    return Status();
  });
  ASSERT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(last, logits);
}

TEST_F(EngineTest, AProbeThatFailsEndsTheEvaluation) {
  std::unique_ptr<Engine> engine = this->engine();
  size_t values = 0;
  Status status = engine->probe(somePrompt(5, 1), [&](const StepValue &) {
    return ++values == 2 ? Status(StatusCode::Cancelled, "enough") : Status();
  });
  EXPECT_EQ(status.code(), StatusCode::Cancelled);
  EXPECT_EQ(values, 2u);
  EXPECT_EQ(engine->freeCacheTokens(), engine->cacheTokens());
}

TEST_F(EngineTest, RefusesACacheOfTooManyPages) {
  EngineOptions options;
  options.cacheTokens = int64_t(1) << 40;
  auto refused = Engine::create(artifact(), options);
  EXPECT_EQ(refused.status().code(), StatusCode::Infeasible);
  EXPECT_EQ(refused.status().message(),
            "a cache of 1099511627776 positions has more than 2147483647 "
            "pages; ask for fewer positions");
}

TEST_F(EngineTest, GeneratesWhatPlainLoopsGenerate) {
  auto engine = this->engine();
  std::vector<int32_t> seen;
  auto result = engine->generate(request({3, 1, 4}, 20), [&](int32_t token) {
    seen.push_back(token);
    return true;
  });
  ASSERT_TRUE(result.ok()) << result.status().message();
  EXPECT_EQ(result->tokens, model.greedy({3, 1, 4}, 20));
  EXPECT_EQ(seen, result->tokens);
  EXPECT_EQ(result->finish, FinishReason::Length);
}

TEST_F(EngineTest, SequencesTogetherGiveWhatTheyGiveAlone) {
  EngineOptions options;
  options.chunkTokens = 9; // prompts take several steps and mix with decoding
  auto engine = this->engine(options);
  std::map<RequestId, std::vector<int32_t>> expected;
  for (int i = 0; i < 5; ++i) {
    std::vector<int32_t> prompt = somePrompt(2 + 8 * i, i);
    auto id = engine->submit(request(prompt, 12 + i));
    ASSERT_TRUE(id.ok()) << id.status().message();
    expected[*id] = model.greedy(prompt, 12 + i);
  }
  EXPECT_EQ(drain(*engine), expected);
  EXPECT_EQ(engine->freeCacheTokens(), engine->cacheTokens());
}

/// Keys whose group is not full yet lie in a place of the sequence's own, which
/// the next one gets.
TEST_F(EngineTest, GroupsOfKeysBelongToTheirSequence) {
  model.keyFormat = quant::groupFormat(quant::ElementType::Int4, 32);
  EngineOptions options;
  options.maxSequences = 2;
  auto together = this->engine(options);
  std::map<RequestId, std::vector<int32_t>> expected;
  for (int i = 0; i < 6; ++i) {
    Request asked = request(somePrompt(2 + 9 * i, i), 50);
    auto alone = this->engine()->generate(asked);
    ASSERT_TRUE(alone.ok()) << alone.status().message();
    auto id = together->submit(asked);
    ASSERT_TRUE(id.ok()) << id.status().message();
    expected[*id] = alone->tokens;
  }
  EXPECT_EQ(drain(*together), expected);
  EXPECT_EQ(together->freeCacheTokens(), together->cacheTokens());
}

TEST_F(EngineTest, SampledTextDoesNotDependOnTheBatch) {
  Request sampled = request(somePrompt(10, 2), 20);
  sampled.sampling.temperature = 0.9f;
  sampled.sampling.topK = 20;
  sampled.sampling.topP = 0.95f;
  sampled.sampling.seed = 42;
  auto engine = this->engine();
  auto alone = engine->generate(sampled);
  ASSERT_TRUE(alone.ok());
  ASSERT_TRUE(engine->submit(request(somePrompt(30, 5), 25)).ok());
  auto id = engine->submit(sampled);
  ASSERT_TRUE(id.ok());
  EXPECT_EQ(drain(*engine)[*id], alone->tokens);
  EXPECT_NE(alone->tokens, model.greedy(sampled.prompt, 20));
}

TEST_F(EngineTest, StopsAtTheEndTokenUnlessToldNotTo) {
  std::vector<int32_t> free = model.greedy({9, 8, 7}, 12);
  auto engine = this->engine({}, free[5]);
  auto first =
      size_t(std::find(free.begin(), free.end(), free[5]) - free.begin());
  auto result = engine->generate(request({9, 8, 7}, 12));
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->finish, FinishReason::EndToken);
  EXPECT_EQ(result->tokens.size(), first + 1);
  Request on = request({9, 8, 7}, 12);
  on.ignoreEnd = true;
  result = engine->generate(on);
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->tokens, free);
}

TEST_F(EngineTest, EndsWhenTheContextIsFull) {
  auto engine = this->engine();
  auto result = engine->generate(request(somePrompt(95, 1), 50));
  ASSERT_TRUE(result.ok()) << result.status().message();
  EXPECT_EQ(result->finish, FinishReason::Context);
  EXPECT_EQ(result->tokens.size(), 6u); // the last one is not fed back
}

TEST_F(EngineTest, RefusesWhatCannotFit) {
  EngineOptions options;
  options.cacheTokens = 40;
  options.maxQueue = 1;
  auto engine = this->engine(options);
  auto tooLong = engine->submit(request(somePrompt(101, 1), 5));
  EXPECT_EQ(tooLong.status().code(), StatusCode::Infeasible);
  EXPECT_NE(tooLong.status().message().find("101 tokens"), std::string::npos);
  auto tooMuch = engine->submit(request(somePrompt(40, 1), 50));
  EXPECT_EQ(tooMuch.status().code(), StatusCode::Infeasible);
  EXPECT_EQ(engine->submit(request({}, 5)).status().code(),
            StatusCode::InvalidArgument);
  EXPECT_EQ(engine->submit(request({50}, 5)).status().code(),
            StatusCode::InvalidArgument);
  EXPECT_EQ(engine->submit(request({1}, 0)).status().code(),
            StatusCode::InvalidArgument);
  ASSERT_TRUE(engine->submit(request({1}, 5)).ok());
  EXPECT_EQ(engine->submit(request({1}, 5)).status().code(),
            StatusCode::OutOfResources);
}

TEST_F(EngineTest, WaitingRequestsStartWhenPagesAreFree) {
  EngineOptions options;
  options.cacheTokens = 48; // three pages: one request of two at a time
  auto engine = this->engine(options);
  std::map<RequestId, std::vector<int32_t>> expected;
  for (int i = 0; i < 4; ++i) {
    std::vector<int32_t> prompt = somePrompt(12, i);
    auto id = engine->submit(request(prompt, 10));
    ASSERT_TRUE(id.ok());
    expected[*id] = model.greedy(prompt, 10);
  }
  EXPECT_EQ(drain(*engine), expected);
  EXPECT_EQ(engine->freeCacheTokens(), 48);
}

TEST_F(EngineTest, CancelFreesEveryPageWithinOneStep) {
  auto engine = this->engine();
  auto stopped = engine->submit(request(somePrompt(40, 1), 30));
  auto kept = engine->submit(request(somePrompt(5, 2), 8));
  ASSERT_TRUE(stopped.ok() && kept.ok());
  ASSERT_TRUE(engine->step().ok());
  std::thread other([&] { EXPECT_TRUE(engine->cancel(*stopped).ok()); });
  other.join();
  auto events = engine->step();
  ASSERT_TRUE(events.ok());
  EXPECT_EQ(events->front().finish, FinishReason::Cancelled);
  EXPECT_EQ(engine->cancel(*stopped).code(), StatusCode::NotFound);
  EXPECT_EQ(engine->freeCacheTokens(), engine->cacheTokens() - 16);
  drain(*engine);
  EXPECT_EQ(engine->freeCacheTokens(), engine->cacheTokens());
}

TEST_F(EngineTest, ACallbackStopsGeneration) {
  auto engine = this->engine();
  int calls = 0;
  auto result = engine->generate(request({1, 2}, 30),
                                 [&](int32_t) { return ++calls < 4; });
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->finish, FinishReason::Cancelled);
  EXPECT_EQ(result->tokens.size(), 4u);
  EXPECT_TRUE(engine->idle());
}

TEST_F(EngineTest, EnginesOnOneArtifactRunOnSeveralThreads) {
  std::shared_ptr<const Artifact> shared = artifact();
  std::vector<int32_t> expected = model.greedy({5, 6}, 30);
  std::vector<std::thread> threads;
  std::atomic<int> right = 0;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      auto engine = Engine::create(shared);
      auto result = (*engine)->generate(request({5, 6}, 30));
      right += result.ok() && result->tokens == expected;
    });
  for (std::thread &thread : threads)
    thread.join();
  EXPECT_EQ(right, 4);
}

TEST_F(EngineTest, WorkingMemoryIsSmall) {
  auto engine = this->engine();
  ASSERT_TRUE(engine->generate(request(somePrompt(90, 1), 5)).ok());
  // 90 rows of hidden 32: a few buffers of 12 KB.
  EXPECT_LT(engine->memory(), 200'000u);
}

// The best of several runs: what remains when kernels cost next to nothing. The
// real figure is about 1 µs.
TEST_F(EngineTest, AStepCostsLittleBesideItsKernels) {
  auto engine = this->engine();
  double best = 1;
  for (int trial = 0; trial < 5; ++trial) {
    auto result = engine->generate(request({1, 2, 3}, 60));
    ASSERT_TRUE(result.ok());
    best = std::min(best, result->decodeSeconds / 59);
  }
#ifdef NDEBUG
  EXPECT_LT(best, 60e-6);
#else
  EXPECT_LT(best, 600e-6);
#endif
}

TEST_F(EngineTest, OptionsAreChecked) {
  EngineOptions options;
  options.chunkTokens = 0;
  auto engine = Engine::create(artifact(), options);
  ASSERT_FALSE(engine.ok());
  EXPECT_NE(engine.status().message().find("chunk tokens"), std::string::npos);
  options = {};
  options.threads = -1;
  EXPECT_FALSE(Engine::create(artifact(), options).ok());
}

} // namespace
