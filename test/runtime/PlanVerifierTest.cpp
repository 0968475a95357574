// A plan that breaks its own rules is refused when the artifact is opened, even
// though every digest is right; random changes to a plan never get further than
// an error.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "qopt/Engine.h"

#include "TemporaryFolder.h"
#include "TinyDecoder.h"
#include "runtime/ArtifactFile.h"
#include "runtime/ArtifactFormat.h"
#include "runtime/Sha256.h"
#include "runtime/plan/PlanVerifier.h"

#include <cstring>
#include <fstream>
#include <functional>
#include <gtest/gtest.h>
#include <random>

using namespace qopt;

namespace {

class PlanVerifierTest : public ::testing::Test {
protected:
  void SetUp() override {
    path = folder.file("tiny.qopt");
    ASSERT_TRUE(qopt::test::TinyDecoder().write(path).ok());
    auto file = runtime::ArtifactFile::open(path);
    ASSERT_TRUE(file.ok());
    (*file)->plan().UnPackTo(&plan);
  }

  /// The message after one change.
  std::string messageAfter(const std::function<void(plan::PlanT &)> &change) {
    change(plan);
    flatbuffers::FlatBufferBuilder builder;
    plan::FinishPlanBuffer(builder, plan::Plan::Pack(builder, &plan));
    return runtime::verifyPlan(*plan::GetPlan(builder.GetBufferPointer()))
        .message();
  }
  bool refuses(const std::function<void(plan::PlanT &)> &change,
               const std::string &part) {
    std::string message = messageAfter(change);
    EXPECT_NE(message.find(part), std::string::npos) << message;
    return !message.empty();
  }

  qopt::test::TemporaryFolder folder;
  std::string path;
  plan::PlanT plan;
};

TEST_F(PlanVerifierTest, AcceptsWhatTheWriterWrites) {
  EXPECT_EQ(messageAfter([](plan::PlanT &) {}), "");
}

TEST_F(PlanVerifierTest, RefusesASymbolThatUsesALaterOne) {
  EXPECT_TRUE(refuses(
      [](plan::PlanT &plan) {
        plan::SymbolT &symbol = *plan.functions[0]->symbols[3];
        symbol.kind = plan::SymbolKind::Add;
        symbol.lhs = 3;
      },
      "symbol 3 is not valid"));
}

TEST_F(PlanVerifierTest, RefusesAnAliasOfALaterValue) {
  EXPECT_TRUE(refuses(
      [](plan::PlanT &plan) {
        for (uint32_t i = 0; i < plan.functions[0]->values.size(); ++i)
          if (plan.functions[0]->values[i]->storage == plan::Storage::Alias)
            plan.functions[0]->values[i]->index = i;
      },
      "is not valid"));
}

TEST_F(PlanVerifierTest, RefusesAConstantOutsideItsSegment) {
  EXPECT_TRUE(refuses(
      [](plan::PlanT &plan) {
        for (auto &value : plan.functions[0]->values)
          if (value->storage == plan::Storage::Constant)
            value->offset = ~uint64_t(0) - 10;
      },
      "is not valid"));
}

TEST_F(PlanVerifierTest, RefusesReadingWhatIsNotWritten) {
  EXPECT_TRUE(refuses(
      [](plan::PlanT &plan) {
        auto &steps = plan.functions[0]->steps;
        steps.erase(steps.begin());
      },
      "reads what no step has written"));
}

TEST_F(PlanVerifierTest, RefusesWritingToAConstant) {
  EXPECT_TRUE(refuses(
      [](plan::PlanT &plan) {
        auto *norm = plan.functions[0]->steps[1]->operation.AsRmsNorm();
        norm->y = norm->scale;
      },
      "writes to an input or a constant"));
}

TEST_F(PlanVerifierTest, RefusesALayerThatTheCacheLacks) {
  EXPECT_TRUE(refuses(
      [](plan::PlanT &plan) {
        for (auto &step : plan.functions[0]->steps)
          if (auto *append = step->operation.AsKvAppend())
            append->layer = 1;
      },
      "KvAppend) is not valid"));
}

TEST_F(PlanVerifierTest, RefusesAGroupWithoutASize) {
  EXPECT_TRUE(refuses(
      [](plan::PlanT &plan) {
        plan.decoder->layers[0]->key->granularity = plan::Granularity::Group;
      },
      "cache layer 0 is not valid"));
}

// Whatever bytes a plan has, with digests to match: opening and running end in
// a status.
TEST_F(PlanVerifierTest, RandomPlansNeverCrash) {
  std::ifstream in(path, std::ios::binary);
  std::string whole((std::istreambuf_iterator<char>(in)), {});
  in.close();
  runtime::ArtifactHeader header;
  std::memcpy(&header, whole.data(), sizeof(header));
  std::mt19937_64 random(11);
  int opened = 0;
  for (int trial = 0; trial < 800; ++trial) {
    std::string damaged = whole;
    for (int change = 0; change < 1 + trial % 3; ++change)
      damaged[header.planOffset + random() % header.planSize] =
          char(trial % 2 ? random() : random() % 8);
    runtime::Digest digest = runtime::Sha256::of(
        damaged.data() + header.planOffset, header.planSize);
    std::copy(digest.begin(), digest.end(), header.planDigest);
    digest = runtime::Sha256::of(
        &header, offsetof(runtime::ArtifactHeader, headerDigest));
    std::copy(digest.begin(), digest.end(), header.headerDigest);
    std::memcpy(damaged.data(), &header, sizeof(header));
    std::ofstream(path, std::ios::binary | std::ios::trunc) << damaged;
    auto artifact = Artifact::open(path);
    if (!artifact.ok())
      continue;
    ++opened;
    if (!(*artifact)->isDecoder())
      continue;
    EngineOptions options;
    options.threads = 1;
    options.maxSequences = 1;
    options.cacheTokens = 64;
    auto engine = Engine::create(*artifact, options);
    if (!engine.ok())
      continue;
    Request request;
    request.prompt = {1, 2, 3};
    request.maxTokens = 3;
    (void)(*engine)->generate(request).ok();
  }
  EXPECT_GT(opened, 0);
}

} // namespace
