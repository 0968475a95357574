// Schedules and launches of attention_decode: what fits, how splits fill the
// SMs, and what is refused.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/AttentionDecode/AttentionDecode.h"

#include <gtest/gtest.h>

using namespace qopt;
using namespace qopt::kernels::attention_decode;

static quant::Format formatOf(std::string_view text) {
  return *quant::parseFormat(text);
}

/// Llama-3-8B: 32 query heads share 8 key heads of 128 channels.
static Problem problemOf(std::string_view format = "f16") {
  Problem problem;
  problem.heads = 32;
  problem.cache = {8, 128, 128, 64, formatOf(format), formatOf(format)};
  problem.queryStride = 6144;
  problem.context = 8192;
  problem.scale = 0.088388f;
  return problem;
}

TEST(AttentionDecode, blocksFillTheSms) {
  Problem problem = problemOf();
  Schedule schedule = *chooseSchedule(problem, 1, target::sm90a());
  int64_t room = 132 * schedule.blocksPerSm;
  for (int64_t sequences : {1, 2, 4, 8, 16}) {
    Launch launch =
        launchOf(problem, schedule, target::sm90a(), sequences, 1, 8192);
    int64_t blocks = launch.x * launch.y * launch.z;
    EXPECT_LE(blocks, room) << sequences;
    EXPECT_GT(blocks + launch.y * launch.z, room) << sequences;
  }
}

TEST(AttentionDecode, shortContextsAreNotSplit) {
  Problem problem = problemOf();
  Schedule schedule = *chooseSchedule(problem, 1, target::sm90a());
  int64_t least = schedule.warps * schedule.tilesPerWarp * schedule.tile;
  Launch one = launchOf(problem, schedule, target::sm90a(), 1, 1, least);
  EXPECT_EQ(one.x, 1);
  EXPECT_EQ(one.workspaceBytes, 0);
  EXPECT_EQ(one.counters, 0);
  Launch two = launchOf(problem, schedule, target::sm90a(), 1, 1, least + 1);
  EXPECT_EQ(two.x, 2);
  EXPECT_EQ(two.counters, 8);
}

TEST(AttentionDecode, aWindowBoundsTheSplits) {
  Problem problem = problemOf();
  problem.window = 256;
  Schedule schedule = *chooseSchedule(problem, 1, target::sm90a());
  int64_t least = schedule.warps * schedule.tilesPerWarp * schedule.tile;
  Launch launch = launchOf(problem, schedule, target::sm90a(), 1, 1, 8192);
  EXPECT_EQ(launch.x, (256 + least - 1) / least);
}

TEST(AttentionDecode, everyFormatAndHeadSizeHasASchedule) {
  for (const target::Target *target : target::allTargets())
    for (std::string_view format : {"f16", "int8", "int4", "fp8_e4m3",
                                    "int4_asym_g64_zf", "int3_g64", "int2_g64"})
      for (int64_t size = 1; size <= 1024; ++size)
        for (int64_t page : {16, 64, 256}) {
          if (page == 16 && format.find("_g64") != std::string_view::npos)
            continue; // pages of whole groups
          Problem problem = problemOf("int8");
          problem.cache.key = formatOf(format);
          if (!problem.cache.keyGroup())
            problem.cache.value = problem.cache.key;
          problem.cache.keySize = problem.cache.valueSize = size;
          problem.cache.page = page;
          problem.queryStride = 48 * size;
          auto schedule = chooseSchedule(problem, 8, *target);
          ASSERT_TRUE(schedule.ok()) << size << " " << format;
          EXPECT_TRUE(isValid(problem, *schedule, *target).ok());
          EXPECT_LE(planOf(problem, *schedule).sharedBytes,
                    target->limits.sharedPerBlock);
        }
}

/// Of the largest heads, the queries leave their registers to the outputs.
TEST(AttentionDecode, queriesOfLargeHeadsLieInSharedMemory) {
  for (auto [size, bytes] : {std::pair{256, 0}, {258, 8 * 288 * 2}}) {
    Problem problem = problemOf();
    problem.cache.keySize = problem.cache.valueSize = size;
    problem.queryStride = 48 * size;
    Schedule schedule = *chooseSchedule(problem, 1, target::sm90a());
    EXPECT_EQ(planOf(problem, schedule).queryBytes, bytes);
  }
}

/// Blocks of the same rows have slices of the values; those of a head with one
/// slice have all.
TEST(AttentionDecode, blocksHaveSlicesOfLargeValues) {
  struct Sizes {
    int64_t size, slices, channels;
  };
  for (Sizes sizes : {Sizes{512, 1, 512}, {513, 2, 320}, {1024, 2, 512}}) {
    Problem problem = problemOf("int8");
    problem.cache.keySize = problem.cache.valueSize = sizes.size;
    problem.queryStride = 48 * sizes.size;
    Schedule schedule = *chooseSchedule(problem, 1, target::sm90a());
    EXPECT_EQ(problem.slices(), sizes.slices);
    EXPECT_EQ(problem.sliceChannels(), sizes.channels);
    EXPECT_EQ(planOf(problem, schedule).valueTiles, sizes.channels / 16);
    Launch launch = launchOf(problem, schedule, target::sm90a(), 3, 1, 64);
    EXPECT_EQ(launch.y, 8 * sizes.slices);
  }
}

TEST(AttentionDecode, zerosBehindAHeadCostAsChannelsDo) {
  auto costOfSize = [](int64_t size) {
    Problem problem = problemOf("int8");
    problem.cache.keySize = problem.cache.valueSize = size;
    problem.queryStride = 48 * size;
    Schedule schedule = *chooseSchedule(problem, 1, target::sm90a());
    return costOf(problem, schedule, target::sm90a(), 32, 1, 8192);
  };
  EXPECT_EQ(costOfSize(20).cacheBytes, costOfSize(24).cacheBytes);
  EXPECT_EQ(costOfSize(20).products, costOfSize(32).products);
  EXPECT_GT(costOfSize(20).seconds, costOfSize(16).seconds);
  EXPECT_GT(costOfSize(320).seconds, costOfSize(256).seconds);
}

/// Predictions of heads whose products are loops, beside an H200
/// (bench/RESULTS.md, "Heads of any even size").
TEST(AttentionDecode, largeHeadsTakeWhatWasMeasured) {
  struct Measured {
    int64_t size, sequences, context;
    const char *key, *value;
    double seconds;
  };
  for (const Measured &row : {Measured{320, 3, 2000, "f16", "f16", 11.3e-6},
                              {512, 3, 2000, "f16", "f16", 26.9e-6},
                              {320, 1, 300, "int8", "int4", 8.0e-6},
                              {512, 1, 300, "int8", "int4", 10.5e-6}}) {
    Problem problem;
    problem.heads = 8;
    problem.cache = {2,  row.size,          row.size,
                     64, formatOf(row.key), formatOf(row.value)};
    problem.queryStride = 12 * row.size;
    problem.context = row.context;
    Schedule schedule = *chooseSchedule(problem, 1, target::sm90a());
    double seconds = costOf(problem, schedule, target::sm90a(), row.sequences,
                            1, row.context)
                         .seconds;
    EXPECT_NEAR(seconds / row.seconds, 1, 0.25) << row.size << " " << row.key;
  }
}

TEST(AttentionDecode, enoughBytesAreInFlight) {
  for (std::string_view format : {"f16", "int8", "int4", "fp8_e4m3"}) {
    Problem problem = problemOf(format);
    Schedule schedule = *chooseSchedule(problem, 1, target::sm90a());
    Plan plan = planOf(problem, schedule);
    EXPECT_GE(schedule.blocksPerSm * schedule.warps * (schedule.stages - 1) *
                  plan.stageBytes,
              48 * 1024)
        << format;
  }
}

TEST(AttentionDecode, narrowCachesCostLess) {
  auto seconds = [](std::string_view format) {
    Problem problem = problemOf(format);
    Schedule schedule = *chooseSchedule(problem, 1, target::sm90a());
    return costOf(problem, schedule, target::sm90a(), 32, 1, 8192).seconds;
  };
  EXPECT_LT(seconds("int8"), 0.6 * seconds("f16"));
  EXPECT_LT(seconds("fp8_e4m3"), 0.6 * seconds("f16"));
  EXPECT_LT(seconds("int4"), 0.35 * seconds("f16"));
}

/// Of the codes half and three quarters; scales and offsets are the same.
TEST(AttentionDecode, fewerBitsAreFewerBytes) {
  auto bytes = [](std::string_view format) {
    Problem problem = problemOf(format);
    Schedule schedule = *chooseSchedule(problem, 1, target::sm90a());
    return costOf(problem, schedule, target::sm90a(), 1, 1, 4096).cacheBytes;
  };
  constexpr int64_t positions = 8 * 4096,
                    scales = positions * (128 * 4 / 32 + 128 / 32 * 4);
  for (auto [format, bits] : {std::pair{"int4_asym_g32_zf", 4},
                              {"int3_asym_g32_zf", 3},
                              {"int2_asym_g32_zf", 2}})
    EXPECT_EQ(bytes(format), positions * 2 * 128 * bits / 8 + scales) << format;
}

TEST(AttentionDecode, termsAddUp) {
  Problem problem = problemOf("int8");
  Schedule schedule = *chooseSchedule(problem, 1, target::sm90a());
  Cost cost = costOf(problem, schedule, target::sm90a(), 1, 1, 4096);
  double sum = 0;
  for (const CostTerm &term : cost.terms) {
    sum += term.seconds;
    EXPECT_FALSE(term.why.empty()) << term.name;
  }
  EXPECT_DOUBLE_EQ(sum, cost.seconds);
  EXPECT_EQ(cost.cacheBytes, 8 * 4096 * (2 * 128 + 4));
}

static std::string refusal(const Problem &problem) {
  Status status = isValid(problem);
  EXPECT_EQ(status.code(), StatusCode::Unsupported);
  return std::string(status.message());
}

TEST(AttentionDecode, refusalsSayWhy) {
  Problem problem = problemOf();
  problem.heads = 12;
  EXPECT_NE(refusal(problem).find("not a multiple of 8 key heads"),
            std::string::npos);
  problem = problemOf("bf16");
  EXPECT_NE(refusal(problem).find("needs queries of the same type, got f16"),
            std::string::npos);
  problem = problemOf();
  problem.activation = quant::ElementType::F32;
  EXPECT_NE(refusal(problem).find("got f32"), std::string::npos);
  problem = problemOf();
  problem.queryStride = 4095;
  EXPECT_NE(refusal(problem).find("4095"), std::string::npos);
  problem = problemOf();
  Schedule schedule;
  schedule.tile = 48;
  EXPECT_NE(std::string(isValid(problem, schedule, target::sm90a()).message())
                .find("do not fit pages of 64"),
            std::string::npos);
}

TEST(AttentionDecode, namesSayWhatTheKernelIs) {
  Problem problem = problemOf("int8");
  problem.window = 4096;
  problem.sinks = true;
  Schedule schedule = *chooseSchedule(problem, 1, target::sm90a());
  EXPECT_EQ(symbolOf(problem, schedule, target::sm90a()),
            "attention_decode_sm_90a_f16_int8_int8_f16_d128_r8_window_sinks");
}
