// Rotated queries are the host's kernel's, bit by bit, and the pages of the
// cache what the formulas of RotaryAppend.h give in the same arithmetic;
// nothing else in the pages changes.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "../CachePool.h"
#include "../KernelTest.h"
#include "AppendCase.h"
#include "lib/Kernels/RotaryAppend/RotaryAppendGenerator.h"

#include <gtest/gtest.h>

#include <cmath>

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::rotary_append;
using namespace qopt::kernels::test;
using quant::ElementType;

using RotaryAppend = test::KernelTest;

TEST_F(RotaryAppend, AppendsHalves) {
  expectAppend(appendProblem({}), {{0, 1}});
  expectAppend(appendProblem({.key = "bf16", .value = "bf16"}),
               {{5, 3}, {15, 2}});
}

TEST_F(RotaryAppend, AppendsCodes) {
  expectAppend(appendProblem({.key = "int8", .value = "int8"}),
               {{0, 5}, {30, 4}});
  expectAppend(appendProblem({.key = "int4", .value = "int4"}),
               {{0, 5}, {30, 4}});
  expectAppend(appendProblem({.key = "fp8_e4m3", .value = "fp8_e4m3"}),
               {{0, 5}, {30, 4}});
  expectAppend(
      appendProblem(
          {.size = 128, .valueSize = 128, .key = "int8", .value = "int4"}),
      {{3, 2}});
}

/// Steps that fill a group, begin one, do both, and neither.
TEST_F(RotaryAppend, AppendsGroups) {
  for (const char *key : {"int4_g32", "int8_g32", "int4_asym_g64_zf",
                          "int8_asym_g32_zf", "int3_asym_g32_zf", "int2_g32"}) {
    Problem problem = appendProblem({.page = 64, .key = key, .value = "int4"});
    expectAppend(problem, {{0, 1}, {31, 1}, {32, 1}, {63, 1}, {127, 1}});
    expectAppend(problem, {{0, 70}, {20, 5}, {30, 100}, {31, 33}, {64, 64}}, 2);
  }
  Problem problem = appendProblem({.page = 32, .key = "int4_g32"});
  problem.activation = ElementType::BF16;
  problem.queries = Queries::Elsewhere;
  expectAppend(problem, {{30, 3}, {0, 0}, {5, 60}}, 0, target::sm80());
}

/// Steps of one token and of several, fewer and more than are kept, at the
/// begin of a sequence and far behind it.
TEST_F(RotaryAppend, AppendsLatestPositions) {
  for (const char *key : {"int8", "int4_asym_g32_zf", "int3_g32"})
    for (int64_t first : {0, 16}) {
      Problem problem = appendProblem({.page = 64,
                                       .key = key,
                                       .value = "int4_g32",
                                       .recent = 32,
                                       .first = first});
      expectAppend(problem, {{0, 1}, {31, 1}, {32, 1}, {15, 1}, {127, 1}});
      expectAppend(problem,
                   {{0, 70}, {20, 5}, {0, 0}, {90, 100}, {31, 33}, {5, 2}}, 2);
    }
  Problem problem = appendProblem({.size = 40,
                                   .valueSize = 40,
                                   .page = 64,
                                   .key = "int2_asym_g64_zf",
                                   .value = "int8",
                                   .recent = 96,
                                   .first = 32});
  problem.activation = ElementType::BF16;
  problem.queries = Queries::Elsewhere;
  expectAppend(problem, {{60, 3}, {100, 60}, {7, 1}}, 0, target::sm80());
}

/// Values in groups of channels that lanes share in every way, and codes of
/// which lanes have parts.
TEST_F(RotaryAppend, AppendsGroupsOfValues) {
  for (const char *value : {"int4_asym_g32_zf", "int8_g16", "int4_g64",
                            "int3_asym_g32_zf", "int2_g16", "int2_asym_g32_zf"})
    expectAppend(appendProblem({.key = "int8", .value = value}),
                 {{0, 5}, {30, 4}}, 1);
  struct Sizes {
    int64_t size;
    const char *value;
  };
  for (Sizes sizes : {Sizes{128, "int2_asym_g128_zf"},
                      {256, "int3_g256"},
                      {96, "int4_asym_g48_zf"},
                      {80, "int3_asym_g16_zf"},
                      {320, "int2_asym_g64_zf"},
                      {16, "int3_g16"}})
    expectAppend(appendProblem({.heads = 2,
                                .keyHeads = 1,
                                .size = sizes.size,
                                .valueSize = sizes.size,
                                .value = sizes.value}),
                 {{14, 3}});
  // Odd heads of keys: lanes have two channels each.
  expectAppend(
      appendProblem(
          {.size = 33, .valueSize = 256, .value = "int2_asym_g128_zf"}),
      {{14, 3}});
  Problem problem = appendProblem({.value = "int3_asym_g32_zf"});
  problem.activation = ElementType::BF16;
  problem.cache.key = quant::floatFormat(ElementType::BF16);
  expectAppend(problem, {{5, 3}}, 0, target::sm80());
}

/// Each size in 16, 8 and 4 bits; of 8 bits integers and floats take turns.
TEST_F(RotaryAppend, TakesEveryHeadSize) {
  bool isFloat = false;
  for (int64_t size : {4, 8, 12, 20, 36, 72, 80, 128, 160, 256, 320}) {
    for (const char *format : {"f16", isFloat ? "fp8_e4m3" : "int8", "int4"})
      expectAppend(appendProblem({.heads = 2,
                                  .keyHeads = 1,
                                  .size = size,
                                  .valueSize = size,
                                  .key = format,
                                  .value = format}),
                   {{14, 3}});
    isFloat = !isFloat;
  }
  for (int64_t size : {4, 12, 20, 33, 72, 100, 128, 192, 320, 1024})
    expectAppend(appendProblem({.heads = 2,
                                .keyHeads = 1,
                                .size = size,
                                .valueSize = size,
                                .page = 32,
                                .key = "int4_asym_g32_zf",
                                .value = "int4"}),
                 {{30, 3}, {3, 4}});
  for (int64_t size : {5, 24, 40, 65, 128, 256})
    for (const char *key : {"int3_asym_g32_zf", "int2_asym_g32_zf"})
      expectAppend(appendProblem({.heads = 2,
                                  .keyHeads = 1,
                                  .size = size,
                                  .valueSize = size,
                                  .page = 32,
                                  .key = key,
                                  .value = "int4"}),
                   {{30, 3}, {3, 4}});
  expectAppend(appendProblem({.size = 192, .valueSize = 128}), {{14, 3}});
}

/// Odd heads begin anywhere in their rows.
TEST_F(RotaryAppend, TakesOddHeads) {
  using Odd = std::tuple<int64_t, const char *, const char *>;
  for (auto [size, key, value] : {Odd{1, "f16", "int4"},
                                  {5, "int4", "f16"},
                                  {33, "int8", "int4"},
                                  {65, "fp8_e4m3", "int8"},
                                  {127, "int4", "fp8_e4m3"},
                                  {255, "f16", "int4"},
                                  {1023, "int8", "int4"}})
    expectAppend(appendProblem({3, 1, size, size, 16, key, value}), {{14, 3}});
  expectAppend(appendProblem({.size = 32, .valueSize = 33}), {{14, 3}});
}

TEST_F(RotaryAppend, RotatesPartsAndPairs) {
  Problem problem = appendProblem({.size = 80, .valueSize = 80});
  problem.rotated = 32;
  expectAppend(problem, {{2, 3}});
  problem.rotated = 20;
  expectAppend(problem, {{2, 3}});
  problem.pairs = Pairs::Interleaved;
  expectAppend(problem, {{2, 3}});
  problem.rotated = 0;
  expectAppend(problem, {{2, 3}});
  problem = appendProblem({.size = 128, .key = "int8"});
  problem.pairs = Pairs::Interleaved;
  problem.queries = Queries::Elsewhere;
  expectAppend(problem, {{2, 3}});
  problem = appendProblem({.size = 65, .valueSize = 65, .key = "int4"});
  problem.queries = Queries::Elsewhere;
  for (int64_t rotated : {0, 2, 20, 62}) {
    problem.rotated = rotated;
    problem.pairs = rotated == 20 ? Pairs::Interleaved : Pairs::Halves;
    expectAppend(problem, {{2, 3}});
  }
  // Halves of an odd number of channels.
  for (int64_t rotated : {2, 10, 18, 50}) {
    problem = appendProblem({.size = 100, .valueSize = 100, .key = "int8"});
    problem.rotated = rotated;
    expectAppend(problem, {{2, 3}});
  }
}

/// Seeds whose roundings do not depend on the order of a norm's sum.
TEST_F(RotaryAppend, NormalisesHeads) {
  Problem problem = appendProblem({});
  problem.norm = {1e-5f, ElementType::F16};
  expectAppend(problem, {{0, 1}, {5, 2}});
  problem = appendProblem({.size = 24, .valueSize = 24, .key = "int8"});
  problem.norm = {1e-6f, ElementType::BF16};
  problem.activation = ElementType::BF16;
  problem.queries = Queries::Elsewhere;
  expectAppend(problem, {{3, 2}}, 1, target::sm80());
  problem = appendProblem(
      {.size = 128, .valueSize = 128, .page = 32, .key = "int4_g32"});
  problem.norm = {1e-5f, ElementType::F16};
  problem.rotated = 0;
  expectAppend(problem, {{30, 3}});
}

/// As Cohere has it: mean zero, and a scale for each head.
TEST_F(RotaryAppend, NormalisesHeadsWithScalesOfTheirOwn) {
  Problem problem = appendProblem({});
  problem.norm = {1e-5f, ElementType::F16, norm::Kind::Layer, true};
  expectAppend(problem, {{0, 1}, {5, 2}});
  problem = appendProblem({.size = 24, .valueSize = 24, .key = "int8"});
  problem.norm = {1e-6f, ElementType::BF16, norm::Kind::Layer};
  problem.activation = ElementType::BF16;
  problem.queries = Queries::Elsewhere;
  expectAppend(problem, {{3, 2}}, 1, target::sm80());
  problem = appendProblem(
      {.size = 128, .valueSize = 128, .page = 32, .key = "int4_g32"});
  problem.norm = {1e-5f, ElementType::F16, norm::Kind::Rms, true};
  expectAppend(problem, {{30, 3}});
  problem = appendProblem({.size = 33, .valueSize = 33});
  problem.norm = {1e-5f, ElementType::F16, norm::Kind::Layer, true};
  expectAppend(problem, {{3, 2}});
}

TEST_F(RotaryAppend, FindsTheSequencesOfATokens) {
  std::vector<std::pair<int, int>> sequences;
  for (int i = 0; i < 37; ++i)
    sequences.push_back({i, i % 3 + 1});
  expectAppend(
      appendProblem({.heads = 1, .keyHeads = 1, .size = 16, .valueSize = 16}),
      sequences);
  expectAppend(appendProblem({.page = 48}), {{40, 20}, {0, 0}, {7, 2}}, 3);
}

TEST_F(RotaryAppend, RunsOnSm80) {
  Problem problem = appendProblem({.key = "int8", .value = "int4"});
  problem.activation = ElementType::BF16;
  expectAppend(problem, {{5, 2}}, 0, target::sm80());
  problem =
      appendProblem({.size = 128, .key = "fp8_e4m3", .value = "fp8_e4m3"});
  expectAppend(problem, {{5, 9}}, 0, target::sm80());
}

/// Every store of a kernel, one by one, goes as many bytes behind its place as
/// it has: the emulator's checks, the pool or, of a query, the rows tell of it.
TEST_F(RotaryAppend, StoresBesideASlotAreSeen) {
  for (auto [key, value] : {std::pair{"f16", "int8"}, {"int4", "fp8_e4m3"}}) {
    Problem problem =
        appendProblem({.heads = 1, .keyHeads = 2, .key = key, .value = value});
    const target::Target &target = target::sm90a();
    auto schedule = chooseSchedule(problem, target);
    auto kernel = compileClean(problem, chooseSchedule, buildKernel, target);
    ASSERT_TRUE(kernel.ok()) << kernel.status().message();
    AppendBatch batch = appendBatch(problem, {{4, 3}, {31, 2}});
    const std::vector<uint8_t> pool(
        size_t(batch.pages * problem.cache.pageBytes()), 0xa5);
    auto check = [&](const Compiled &code) {
      size_t columns = size_t(batch.tokens() * problem.key.stride);
      std::vector<uint16_t> rows =
          encode(ElementType::F16, normals(columns, 1));
      const std::vector<uint16_t> before = rows;
      std::vector<float> angles(size_t(batch.tokens() * problem.rotated / 2),
                                0.6f);
      std::vector<uint8_t> pages = pool;
      Launch launch;
      launch.inOut(rows).same(0).same(0).in(angles).in(angles);
      launch.in(batch.tokenStarts).in(batch.contextStarts).in(batch.pageTable);
      launch.inOut(pages).integer(2);
      Status ran =
          launch.run(code, launchOf(problem, *schedule), batch.tokens());
      for (size_t i = 0; i < rows.size(); ++i)
        if (int64_t(i) % problem.query.stride >= problem.cache.keySize &&
            rows[i] != before[i])
          return std::string("a row was written behind its query");
      return ran.ok() ? strayWrite(problem,
                                   {batch.tokenStarts, batch.contextStarts,
                                    batch.pageTable},
                                   pool, pages)
                      : ran.message();
    };
    EXPECT_EQ(check(*kernel), "");
    std::vector<Compiled> defects = storesMoved(*kernel);
    EXPECT_GE(defects.size(), 3u);
    for (const Compiled &defect : defects)
      EXPECT_NE(check(defect), "") << defect.ptx;
  }
}

TEST_F(RotaryAppend, ComputesAngles) {
  Problem problem =
      appendProblem({.heads = 1, .keyHeads = 1, .size = 16, .valueSize = 16});
  problem.angles = Angles::Computed;
  const target::Target &target = target::sm90a();
  auto schedule = chooseSchedule(problem, target);
  auto kernel = compileClean(problem, chooseSchedule, buildKernel, target);
  ASSERT_TRUE(kernel.ok()) << kernel.status().message();
  std::vector<float> row = normals(size_t(problem.query.stride), 1);
  row = rounded(ElementType::F16, row);
  std::vector<uint16_t> merged = encode(ElementType::F16, row);
  std::vector<float> frequencies;
  for (int i = 0; i < 8; ++i)
    frequencies.push_back(float(std::pow(10000.0, -i / 8.0)));
  std::vector<int32_t> starts = {0, 1}, context = {33}, table = {0, 1, 2, 3};
  std::vector<uint8_t> pages(size_t(4 * problem.cache.pageBytes()));
  Launch launch;
  launch.inOut(merged).same(0).same(0).in(frequencies);
  launch.in(starts).in(context).in(table).inOut(pages).integer(1);
  Status ran = launch.run(*kernel, launchOf(problem, *schedule), 1);
  ASSERT_TRUE(ran.ok()) << ran.message();
  std::vector<float> query = decode(ElementType::F16, merged);
  for (size_t i = 0; i < 8; ++i) {
    double angle = 33.0 * double(frequencies[i]);
    double x = row[i], y = row[8 + i];
    EXPECT_NEAR(query[i], x * std::cos(angle) - y * std::sin(angle), 2e-3);
    EXPECT_NEAR(query[8 + i], x * std::sin(angle) + y * std::cos(angle), 2e-3);
  }
}

TEST_F(RotaryAppend, SaysWhatItCannotDo) {
  auto message = [](const Problem &problem) {
    return chooseSchedule(problem, target::sm90a()).status().message();
  };
  Problem problem = appendProblem({});
  problem.rotated = 33;
  EXPECT_EQ(message(problem), "rotary embedding of 33 of 64 channels; expected "
                              "an even number");
  problem = appendProblem({});
  problem.query.stride = 100;
  EXPECT_EQ(message(problem), "rows that are too short for their heads");
  problem = appendProblem({.heads = 0});
  problem.norm = HeadNorm();
  EXPECT_EQ(message(problem), "norms of heads without queries");
}
