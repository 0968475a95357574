// The engine on a GPU, with the stand-in for the driver: gives the tokens that
// the emulator gives, allocates nothing in a step, frees everything, and stays
// usable whatever fails. QOPT_ARTIFACT is a decoder compiled for sm_90a, as
// PTX.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "StandinLibrary.h"
#include "qopt/Engine.h"
#include "runtime/cuda/CudaDriver.h"
#include "runtime/cuda/Upload.h"

#include <gtest/gtest.h>
#include <thread>

using namespace qopt;
using qopt::test::count;

namespace {

class CudaEngine : public ::testing::Test {
protected:
  void SetUp() override {
    ASSERT_TRUE(driver.isLoaded());
    driver.configure("");
    auto opened = Artifact::open(std::getenv("QOPT_ARTIFACT"));
    ASSERT_TRUE(opened.ok()) << opened.status().message();
    artifact = *opened;
  }
  void TearDown() override {
    for (const char *kind : {"memory", "host", "module", "stream", "graph",
                             "executable", "context"})
      EXPECT_EQ(driver.live(kind), 0u) << kind;
  }

  StatusOr<std::unique_ptr<Engine>> tryEngine(EngineOptions options = {}) {
    if (options.device.empty())
      options.device = "cuda";
    if (options.cacheTokens == 0)
      options.cacheTokens = 256;
    return Engine::create(artifact, options);
  }
  std::unique_ptr<Engine> engine(const EngineOptions &options = {}) {
    auto created = tryEngine(options);
    EXPECT_TRUE(created.ok()) << created.status().message();
    return created.ok() ? std::move(*created) : nullptr;
  }
  static Request request(int64_t maxTokens, int32_t first = 1) {
    Request result;
    result.prompt = {first, 403, 407};
    result.maxTokens = maxTokens;
    result.ignoreEnd = true;
    return result;
  }
  static std::vector<int32_t> tokens(Engine &engine, Request request) {
    auto result = engine.generate(std::move(request));
    EXPECT_TRUE(result.ok()) << result.status().message();
    return result.ok() ? result->tokens : std::vector<int32_t>();
  }
  std::vector<int32_t> emulated(Request request) {
    EngineOptions options;
    options.device = "emulator";
    return tokens(*engine(options), std::move(request));
  }

  qopt::test::StandinLibrary driver;
  std::shared_ptr<const Artifact> artifact;
};

TEST_F(CudaEngine, GivesTheTokensOfTheEmulator) {
  EXPECT_EQ(tokens(*engine(), request(12)), emulated(request(12)));
}

TEST_F(CudaEngine, AllocatesNothingInAStep) {
  auto running = engine();
  size_t created = driver.callCount();
  tokens(*running, request(12));
  std::vector<std::string> steps = driver.calls(created);
  for (const char *call : {"cuMemAlloc", "cuMemFree", "cuMemsetD8",
                           "cuModuleLoad", "cuStreamCreate"})
    EXPECT_EQ(count(steps, call), 0u) << call;
  // A step: inputs in one piece, launches, the token, one wait.
  EXPECT_EQ(count(steps, "cuMemcpyHtoDAsync"), 12u);
  EXPECT_EQ(count(steps, "cuMemcpyDtoHAsync"), 12u);
  EXPECT_EQ(count(steps, "cuStreamSynchronize"), 12u);
  EXPECT_EQ(count(steps, "cuMemcpyDtoHAsync_v2 bytes=4 "), 12u);
  for (const std::string &call : steps)
    EXPECT_EQ(call.find("pageable"), std::string::npos) << call;
}

TEST_F(CudaEngine, RecordsAGraphForEachBucketWithEarlyLaunches) {
  auto running = engine();
  size_t created = driver.callCount();
  Request one = request(12);
  one.prompt.resize(1); // all steps have one size
  tokens(*running, one);
  std::vector<std::string> steps = driver.calls(created);
  ASSERT_EQ(count(steps, "cuGraphInstantiate"), 1u);
  EXPECT_EQ(count(steps, "cuGraphLaunch"), 11u); // not the first of its size
  size_t launches = 0, single = 0;
  for (const std::string &call : steps) {
    if (call.rfind("cuLaunchKernelEx", 0) != 0)
      continue;
    bool captured = call.find("captured") != std::string::npos;
    ++(captured ? launches : single);
    EXPECT_NE(call.find(" early "), std::string::npos) << call;
  }
  EXPECT_EQ(single, launches); // the first
  EXPECT_EQ(count(steps, "cuGraphInstantiateWithFlags nodes=" +
                             std::to_string(launches) +
                             " programmatic=" + std::to_string(launches - 1)),
            1u);
  // Another size has another graph; the first one's stays.
  for (int i = 0; i < 2; ++i)
    tokens(*running, request(3));
  EXPECT_EQ(count(driver.calls(created), "cuGraphInstantiate"), 2u);
}

TEST_F(CudaEngine, SamplesAsTheHostFromTheSameLogits) {
  SamplingOptions options;
  options.temperature = 0.9f;
  options.seed = 7;
  std::vector<SamplingOptions> cases(5, options);
  cases[1].topK = 9;
  cases[2].topP = 0.8f;
  cases[3].minP = 0.1f;
  cases[4].repetitionPenalty = 1.4f;
  cases.push_back({.repetitionPenalty = 1.6f}); // greedy with a penalty
  auto running = engine();
  for (const SamplingOptions &each : cases) {
    Request drawn = request(9);
    drawn.prompt.resize(1); // every step has one token, as `evaluate` below
    drawn.sampling = each;
    std::vector<int32_t> text = drawn.prompt;
    std::vector<int32_t> found = tokens(*running, std::move(drawn));
    text.insert(text.end(), found.begin(), found.end());
    Status status = running->evaluate(
        text,
        [&](int64_t first, std::span<const float> logits) -> Status {
          if (first + 1 == int64_t(text.size()))
            return {};
          auto host = sampleToken(
              logits, each, {text.data(), size_t(first + 1)}, uint64_t(first));
          EXPECT_TRUE(host.ok());
          EXPECT_EQ(*host, text[size_t(first + 1)]) << first;
          return {};
        },
        1);
    EXPECT_TRUE(status.ok()) << status.message();
  }
}

TEST_F(CudaEngine, MixedRequestsSampleAsAlone) {
  EngineOptions options;
  options.maxSequences = 3;
  auto running = engine(options);
  std::map<RequestId, std::vector<int32_t>> found, expected;
  std::vector<Request> requests;
  for (int i = 0; i < 3; ++i) {
    requests.push_back(request(10, 10 + i));
    requests[size_t(i)].sampling.temperature = float(i); // the first is greedy
    requests[size_t(i)].sampling.repetitionPenalty = i == 2 ? 1.3f : 1;
    requests[size_t(i)].sampling.seed = uint64_t(i);
  }
  for (const Request &each : requests)
    expected[*running->submit(each)] = {};
  while (!running->idle()) {
    auto events = running->step();
    ASSERT_TRUE(events.ok()) << events.status().message();
    for (const TokenEvent &event : *events)
      found[event.request].push_back(event.token);
  }
  size_t next = 0;
  for (auto &[id, alone] : expected)
    alone = tokens(*running, requests[next++]);
  EXPECT_EQ(found, expected);
}

TEST_F(CudaEngine, SessionsShareWeightsAndRunOnThreads) {
  std::vector<int32_t> expected = emulated(request(12));
  auto first = engine();
  size_t before = driver.callCount();
  auto second = engine();
  EXPECT_EQ(count(driver.calls(before), "cuMemcpyHtoDAsync"), 0u);
  EXPECT_EQ(count(driver.calls(before), "cuModuleLoad"), 0u);
  std::vector<int32_t> found[2];
  std::thread threads[2];
  for (int i = 0; i < 2; ++i)
    threads[i] = std::thread(
        [&, i] { found[i] = tokens(i ? *second : *first, request(12)); });
  for (std::thread &thread : threads)
    thread.join();
  EXPECT_EQ(found[0], expected);
  EXPECT_EQ(found[1], expected);
}

// Launches one by one, recorded and in a graph; copies; what makes a graph.
TEST_F(CudaEngine, StaysUsableAfterAFailure) {
  std::vector<int32_t> expected = emulated(request(5));
  auto running = engine();
  int64_t free = running->freeCacheTokens();
  size_t created = driver.callCount();
  tokens(*running, request(1));
  size_t launches = count(driver.calls(created), "cuLaunchKernelEx");
  std::vector<std::string> failures = {
      "cuStreamBeginCapture_v2:1:1",     "cuStreamEndCapture:1:1",
      "cuGraphInstantiateWithFlags:1:2", "cuGraphLaunch:2:701",
      "cuMemcpyHtoDAsync_v2:2:1",        "cuMemcpyDtoHAsync_v2:2:1"};
  for (size_t step : {0, 1, 2}) // the third is recorded
    failures.push_back("cuLaunchKernelEx:" +
                       std::to_string(step * launches + launches / 2) + ":701");
  for (const std::string &failure : failures) {
    running = engine(); // without graphs
    driver.configure("fail=" + failure);
    auto failed = running->generate(request(5));
    ASSERT_FALSE(failed.ok()) << failure;
    EXPECT_NE(failed.status().message().find(" failed: CUDA_ERROR_"),
              std::string::npos)
        << failed.status().message();
    if (failure.rfind("cuLaunchKernelEx", 0) == 0)
      EXPECT_EQ(failed.status().message().rfind("launch of '", 0), 0u)
          << failed.status().message();
    EXPECT_TRUE(running->idle());
    EXPECT_EQ(running->freeCacheTokens(), free) << failure;
    driver.configure("");
    EXPECT_EQ(tokens(*running, request(5)), expected) << failure;
  }
}

// A kernel that ends half way leaves its counters; the next step starts anew.
TEST_F(CudaEngine, StaysUsableAfterAKernelFails) {
  std::vector<int32_t> expected = emulated(request(4));
  auto running = engine();
  for (int kernel : {5, 20, 60}) {
    driver.configure("fault=" + std::to_string(kernel) + ":1");
    EXPECT_FALSE(running->generate(request(4)).ok());
    driver.configure("");
    EXPECT_EQ(tokens(*running, request(4)), expected) << kernel;
  }
}

TEST_F(CudaEngine, SaysWhenTheGpuIsLost) {
  auto running = engine();
  driver.configure("fault=20:700");
  for (int attempt = 0; attempt < 2; ++attempt) {
    auto failed = running->generate(request(4));
    ASSERT_FALSE(failed.ok());
    EXPECT_NE(failed.status().message().find(
                  "CUDA_ERROR_ILLEGAL_ADDRESS (as the test asked); this "
                  "process cannot use the GPU any more: start it again"),
              std::string::npos)
        << failed.status().message();
  }
}

TEST_F(CudaEngine, FreesEverythingWhereverCreationFails) {
  for (const char *call : {"cuMemAlloc_v2", "cuMemAllocHost_v2"}) {
    int failures = 0;
    for (int n = 1; failures == n - 1; ++n) {
      driver.configure(std::string("fail=") + call + ":" + std::to_string(n) +
                       ":2");
      auto created = tryEngine();
      if (created.ok())
        break;
      ++failures;
      EXPECT_EQ(created.status().code(), StatusCode::OutOfResources);
      created = Status(StatusCode::Internal, "");
      for (const char *kind : {"memory", "host", "module", "stream", "context"})
        EXPECT_EQ(driver.live(kind), 0u) << call << " " << n << " " << kind;
    }
    EXPECT_GE(failures, 3) << call;
  }
}

TEST_F(CudaEngine, ChecksMemoryBeforeItLoads) {
  driver.configure("memory=1000000");
  auto created = tryEngine();
  ASSERT_FALSE(created.ok());
  EXPECT_EQ(created.status().code(), StatusCode::OutOfResources);
  EXPECT_EQ(count(driver.calls(), "cuMemAlloc"), 0u);
  EXPECT_EQ(count(driver.calls(), "cuMemcpyHtoD"), 0u);
  const std::string &message = created.status().message();
  for (const char *part :
       {"the GPU (stand-in GPU) has 1.00 MB free and ",
        " are needed: ", "weights ", "KV cache of 256 positions ",
        "steps of 512 tokens and 16 sequences ", "(--weights)"})
    EXPECT_NE(message.find(part), std::string::npos) << message;
}

// More pieces than lanes, the last one short; nothing is copied before a wait.
TEST_F(CudaEngine, UploadsLargeWeightsInPieces) {
  auto gpu = cuda::openCudaDriver();
  ASSERT_TRUE(gpu.ok()) << gpu.status().message();
  std::vector<uint8_t> bytes((size_t(25) << 20) + 5), back(bytes.size());
  for (size_t i = 0; i < bytes.size(); ++i)
    bytes[i] = uint8_t(i * 2654435761u >> 13);
  using runtime::CudaMemory;
  auto memory =
      CudaMemory::allocate(*gpu, bytes.size(), CudaMemory::Place::Device);
  ASSERT_TRUE(memory.ok()) << memory.status().message();
  auto upload = runtime::Upload::create(*gpu);
  ASSERT_TRUE(upload.ok()) << upload.status().message();
  ASSERT_TRUE(upload->copy((*memory)->deviceAddress(), bytes).ok());
  ASSERT_TRUE(upload->finish().ok());
  auto stream = (*gpu)->createStream();
  ASSERT_TRUE(stream.ok());
  ASSERT_TRUE(
      (*stream)
          ->copyOut(back.data(), (*memory)->deviceAddress(), back.size())
          .ok());
  EXPECT_TRUE(back == bytes);
  for (const std::string &call : driver.calls())
    if (call.rfind("cuMemcpyHtoD", 0) == 0)
      EXPECT_EQ(call.find("pageable"), std::string::npos) << call;
}

TEST_F(CudaEngine, RefusesAnotherDevice) {
  EngineOptions options;
  options.device = "cuda:3";
  auto created = tryEngine(options);
  ASSERT_FALSE(created.ok());
  EXPECT_EQ(created.status().message(),
            "there is no GPU 3; the driver sees 1, counted from 0");
}

} // namespace
