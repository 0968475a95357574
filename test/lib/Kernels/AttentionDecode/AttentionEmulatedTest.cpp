// The kernels of attention_decode and attention_prefill on the emulator, with
// all of its checks, give softmax in double within the bound: formats, head
// sizes, masks, splits and ragged batches at the edges of tiles and pages.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Build.h"
#include "Case.h"

#include "runtime/emulator/Emulator.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

using namespace qopt;
using namespace qopt::kernels::attention_decode;

/// Launches the case's kernel on its arrays, which get the result.
static StatusOr<emulator::Statistics> run(const Case &test, Arrays &arrays,
                                          uint64_t seed) {
  StatusOr<std::string> ptx = buildPtx(test);
  if (!ptx)
    return ptx.status();
  emulator::Memory memory;
  auto module = emulator::Module::parse(*ptx, memory);
  if (!module)
    return module.status();
  auto kernel =
      (*module)->kernel(symbolOf(test.problem, test.schedule, *test.target));
  if (!kernel)
    return kernel.status();
  std::vector<uint8_t> arguments(kernel->argumentBytes());
  for (size_t i = 0; i < arrays.arguments.size(); ++i) {
    const Tensor &array = arrays.arguments[i];
    QOPT_RETURN_IF_ERROR(memory.lend(array.data(), array.bytes()));
    uint64_t address = reinterpret_cast<uint64_t>(array.data());
    std::memcpy(arguments.data() + kernel->parameterOffset(i), &address, 8);
  }
  emulator::LaunchOptions options;
  options.seed = seed;
  options.countMemory = true;
  const Launch &launch = test.launch;
  return emulator::launch(
      *kernel, {uint32_t(launch.x), uint32_t(launch.y), uint32_t(launch.z)},
      {uint32_t(launch.threads)}, size_t(launch.sharedBytes), arguments, memory,
      options);
}

static void expectRight(const std::string &text) {
  SCOPED_TRACE(text);
  StatusOr<Case> test = parseCase(text);
  ASSERT_TRUE(test.ok()) << test.status().message();
  Arrays arrays = makeArrays(*test);
  const Tensor &pages = arrays.arguments[2];
  const std::vector<uint8_t> pool(pages.as<uint8_t>(),
                                  pages.as<uint8_t>() + pages.bytes());
  auto statistics = run(*test, arrays, test->seed);
  ASSERT_TRUE(statistics.ok()) << statistics.status().message();
  EXPECT_EQ(std::memcmp(pages.data(), pool.data(), pool.size()), 0)
      << "the cache was written";
  Status status =
      check(*test, arrays, arrays.arguments[1], arrays.arguments[7]);
  EXPECT_TRUE(status.ok()) << status.message();
}

class Formats : public testing::TestWithParam<const char *> {};

TEST_P(Formats, decodeAndPrefill) {
  std::string format = GetParam();
  expectRight(format + " heads=8 kv=2 d=64 sequences=1:76,1:0,1:15 splits=1");
  expectRight(format + " heads=4 kv=2 d=128 page=64 sequences=1:300 splits=3 "
                       "tilesperwarp=1");
  expectRight(format + " prefill heads=4 kv=2 d=64 sequences=33:0,5:47");
}

INSTANTIATE_TEST_SUITE_P(
    Attention, Formats,
    testing::Values("key=f16 value=f16", "key=bf16 value=bf16 act=bf16",
                    "key=int8 value=int8", "key=int4 value=int4",
                    "key=int8 value=int8 act=bf16",
                    "key=int4 value=int4 act=bf16", "key=f16 value=int4",
                    "key=int4 value=int8", "key=fp8_e4m3 value=fp8_e4m3",
                    "key=fp8_e4m3 value=fp8_e4m3 act=bf16",
                    "key=fp8_e4m3 value=int4", "key=f16 value=fp8_e4m3"));

/// Whether the `format`-th format of a head size goes through the kernel of
/// decode, else that of prefill: sizes with formats, sizes with kernels and
/// formats with kernels are pairs that all occur, triples are every second one.
template <size_t N>
static bool takesDecode(const int (&sizes)[N], int size, size_t format) {
  auto turn = size_t(std::find(sizes, sizes + N, size) - sizes);
  return (turn + format) % 2;
}

static constexpr int headSizes[] = {4,  5,   8,   12,  20,  33,  36,  40,  65,
                                    80, 100, 112, 127, 160, 255, 256, 320, 576};

class HeadSizes : public testing::TestWithParam<int> {};

TEST_P(HeadSizes, everyFormat) {
  static const char *const formats[] = {"f16", "int8", "int4", "fp8_e4m3"};
  for (size_t i = 0; i < std::size(formats); ++i) {
    std::string text = "heads=2 kv=1 d=" + std::to_string(GetParam()) +
                       " key=" + formats[i] + " value=" + formats[i];
    bool decode = takesDecode(headSizes, GetParam(), i);
    expectRight(text +
                (decode ? " sequences=1:36,2:3" : " prefill sequences=9:14"));
  }
}

INSTANTIATE_TEST_SUITE_P(Attention, HeadSizes, testing::ValuesIn(headSizes));

/// Blocks that have a slice of the values each, and splits of them; the last
/// slice is as long as the others or shorter.
TEST(Attention, slicesOfValues) {
  expectRight("heads=6 kv=2 d=600 sequences=1:120,1:3,2:60 splits=3 "
              "tilesperwarp=1 slopes");
  expectRight("heads=2 kv=1 d=640 key=int8 value=int4 sequences=1:40 splits=2 "
              "tilesperwarp=1 window=30");
  expectRight("heads=2 kv=1 d=64 dv=1001 value=int4 sequences=1:40,1:9");
  expectRight("heads=2 kv=2 d=1023 key=int4 value=int8 prefill "
              "sequences=17:20,1:3");
  for (const char *arch : {"sm_80", "sm_90a"}) {
    std::string text = std::string("heads=2 kv=1 d=1024 arch=") + arch;
    expectRight(text + " sequences=1:50,3:20");
    expectRight(text + " prefill act=bf16 key=bf16 value=bf16 sequences=9:20");
  }
}

/// Rows of queries and outputs that begin at odd elements.
TEST(Attention, oddHeads) {
  std::string text = "heads=3 kv=1 d=33 softcap=5 slopes sinks";
  expectRight(text + " window=33 sequences=1:99,3:61 splits=2 tilesperwarp=1");
  expectRight(text + " act=bf16 key=int8 value=bf16 prefill sequences=35:20");
  expectRight("heads=5 kv=5 d=7 dv=9 sequences=1:40,2:5");
}

TEST(Attention, masks) {
  for (const char *mask :
       {"window=1", "window=17", "window=40", "softcap=20", "all", "slopes",
        "sinks", "window=33 softcap=5 slopes sinks"}) {
    std::string text = std::string(mask) + " heads=4 kv=2 d=32 key=int8";
    expectRight(text + " sequences=1:99,3:61 splits=2 tilesperwarp=1");
    expectRight(text + " prefill sequences=35:20,1:50");
  }
}

static constexpr int headSizesOfEdges[] = {8,  16, 24,  32,  40, 64,
                                           80, 96, 112, 128, 256};

class EdgesOfHeadSizes : public testing::TestWithParam<int> {};

/// Contexts whose newest position is one before, at and behind what `edges`
/// hold.
static std::string contextsAt(std::initializer_list<int64_t> edges) {
  std::string contexts;
  for (int64_t edge : edges)
    for (int64_t length = edge - 1; length <= edge + 1; ++length)
      contexts += (contexts.empty() ? "1:" : ",1:") +
                  std::to_string(length - 1); // one position is new
  return contexts;
}

/// Prompts that end there, behind none, half and all of a tile.
static std::string promptsAt(std::initializer_list<int64_t> edges) {
  std::string prompts;
  for (int64_t edge : edges)
    for (int64_t tokens = edge - 1; tokens <= edge + 1; ++tokens)
      prompts += (prompts.empty() ? "" : ",") + std::to_string(tokens) + ":" +
                 std::to_string(tokens % 3 * (edge - 1) / 2);
  return prompts;
}

/// Sequences that end, and prompts, one position before, at and behind what a
/// tile, a page and the rows of a block hold.
TEST_P(EdgesOfHeadSizes, tilesAndPages) {
  static const char *const formats[] = {"key=f16 value=f16",
                                        "key=int4 value=int4",
                                        "key=int8_asym_g32_zf value=int4"};
  for (size_t i = 0; i < std::size(formats); ++i) {
    bool decode = takesDecode(headSizesOfEdges, GetParam(), i);
    std::string text = "heads=2 kv=1 page=32 d=" + std::to_string(GetParam()) +
                       " " + formats[i] +
                       (decode ? " sequences=" : " prefill sequences=");
    StatusOr<Case> any = parseCase(text + (decode ? "1:100" : "100:0"));
    ASSERT_TRUE(any.ok());
    int64_t tile = any->schedule.tile;
    expectRight(text + (decode ? contextsAt({tile, 2 * tile, 32})
                               : promptsAt({tile, any->schedule.blockRows()})));
  }
}

INSTANTIATE_TEST_SUITE_P(Attention, EdgesOfHeadSizes,
                         testing::ValuesIn(headSizesOfEdges));

TEST(Attention, edgesOfTilesAndPages) {
  for (int context : {0, 1, 15, 16, 17, 30, 31, 32, 63, 64, 127})
    expectRight("heads=2 kv=1 d=32 page=32 tile=16 sequences=1:" +
                std::to_string(context) + " splits=4 tilesperwarp=1");
}

/// Groups that are full, open, and of which a step made the last position.
TEST(Attention, keysInGroups) {
  for (const char *format :
       {"key=int4_g32 value=int4", "key=int8_g32 value=int8",
        "key=int4_g64 value=f16", "key=int4_g32 value=bf16 act=bf16",
        "key=int4_asym_g32_zf value=int4",
        "key=int8_asym_g64_zf value=int8 act=bf16"}) {
    std::string text = std::string(format) + " page=64";
    expectRight(text + " heads=8 kv=2 d=64 sequences=1:76,1:0,1:31,1:95,1:64");
    expectRight(text + " heads=4 kv=2 d=128 sequences=1:300 splits=3 "
                       "tilesperwarp=1");
    expectRight(text + " prefill heads=4 kv=2 d=64 sequences=33:0,5:47,70:27");
  }
}

TEST(Attention, keysInGroupsOfEverySize) {
  for (int size : {4, 5, 12, 24, 33, 40, 100, 160, 255, 256, 320, 640}) {
    std::string text =
        "key=int4_asym_g32_zf value=int4 page=32 heads=2 kv=1 d=" +
        std::to_string(size);
    expectRight(text + " sequences=1:36,2:31");
    expectRight(text + " prefill sequences=9:24,40:3");
  }
}

/// Chunks with a group, several, and parts of one; the last positions of pages
/// and tiles.
TEST(Attention, valuesInGroups) {
  for (const char *format :
       {"key=int8 value=int8_g32", "key=f16 value=int4_asym_g32_zf",
        "key=int4 value=int4_g16", "key=int8 value=int4_asym_g64_zf act=bf16",
        "key=f16 value=int3_asym_g32_zf", "key=int8 value=int2_asym_g32_zf",
        "key=bf16 value=int2_g16 act=bf16",
        "key=bf16 value=int3_g64 act=bf16"}) {
    std::string text = format;
    expectRight(text + " heads=8 kv=2 d=64 sequences=1:76,1:0,1:15 splits=1");
    expectRight(text + " heads=4 kv=2 d=128 page=64 sequences=1:300 splits=3 "
                       "tilesperwarp=1");
    expectRight(text + " prefill heads=4 kv=2 d=64 sequences=33:0,5:47");
  }
}

TEST(Attention, valuesInGroupsOfEverySize) {
  struct Sizes {
    int size;
    const char *value;
  };
  for (Sizes sizes : {Sizes{16, "int4_asym_g16_zf"},
                      {48, "int2_asym_g48_zf"},
                      {48, "int4_g16"},
                      {80, "int3_g16"},
                      {96, "int4_asym_g48_zf"},
                      {96, "int3_asym_g96_zf"},
                      {160, "int2_g32"},
                      {256, "int3_asym_g128_zf"},
                      {256, "int8_asym_g32_zf"},
                      {320, "int2_asym_g64_zf"}}) {
    std::string text = "heads=2 kv=1 d=" + std::to_string(sizes.size) +
                       " value=" + sizes.value;
    expectRight(text + " sequences=1:36,2:31");
    expectRight(text + " prefill sequences=9:24,40:3");
  }
  // Slices of the values.
  for (const char *value :
       {"int4_asym_g32_zf", "int3_asym_g128_zf", "int2_asym_g64_zf"})
    expectRight(std::string("heads=2 kv=1 d=64 dv=640 sequences=1:40,1:9 "
                            "splits=2 tilesperwarp=1 value=") +
                value);
}

TEST(Attention, keysInGroupsOfFewBits) {
  for (const char *format : {"key=int3_asym_g32_zf value=int3_asym_g32_zf",
                             "key=int2_asym_g32_zf value=int2_asym_g32_zf",
                             "key=int2_g64 value=int4 act=bf16",
                             "key=int3_g32 value=bf16 act=bf16"}) {
    std::string text = std::string(format) + " page=64";
    expectRight(text + " heads=8 kv=2 d=64 sequences=1:76,1:0,1:31,1:95,1:64");
    expectRight(text + " heads=4 kv=2 d=128 sequences=1:300 splits=3 "
                       "tilesperwarp=1 window=90");
    expectRight(text + " prefill heads=4 kv=2 d=64 sequences=33:0,5:47,70:27");
  }
  for (int size : {4, 5, 12, 24, 33, 40, 100, 160, 255, 256, 320, 640})
    for (const char *key : {"int3_asym_g32_zf", "int2_asym_g32_zf"}) {
      std::string text = std::string("value=int4 page=32 heads=2 kv=1 key=") +
                         key + " d=" + std::to_string(size);
      expectRight(text + (size % 3 ? " sequences=1:36,2:31"
                                   : " prefill sequences=9:24,40:3"));
    }
}

/// The latest positions of each row, and the first ones, are read with 16 bits:
/// of single tokens from the slot, of several from the rows of the step.
TEST(Attention, latestAndFirstPositions) {
  for (const char *format :
       {"key=int8 value=int8 recent=32 first=16",
        "key=int4_asym_g32_zf value=int4_asym_g32_zf recent=32",
        "key=int2_asym_g32_zf value=int2_asym_g32_zf recent=32 first=16",
        "key=int3_g64 value=int4 recent=64 first=32 act=bf16",
        "key=f16 value=int3_g32 recent=96"}) {
    std::string text = std::string(format) + " page=64";
    expectRight(text + " heads=8 kv=2 d=64 sequences=1:76,1:0,1:31,1:47,1:200");
    expectRight(text + " heads=4 kv=2 d=128 sequences=1:300,1:20 splits=3 "
                       "tilesperwarp=1 window=130");
    expectRight(text + " heads=4 kv=2 d=64 sequences=4:90,1:33,2:14 splits=2 "
                       "tilesperwarp=1");
    expectRight(text + " prefill heads=4 kv=2 d=64 sequences=33:0,5:47,70:60");
    expectRight(text + " prefill heads=2 kv=1 d=96 sequences=90:40 window=40 "
                       "slopes sinks softcap=5");
  }
  for (int size : {16, 40, 65, 160, 256}) {
    std::string text = "key=int4_asym_g32_zf value=int4 page=32 recent=32 "
                       "first=16 heads=2 kv=1 d=" +
                       std::to_string(size);
    expectRight(text + " sequences=1:76,2:60");
    expectRight(text + " prefill sequences=9:74,40:3");
  }
}

TEST(Attention, keysInGroupsUnderMasks) {
  for (const char *mask : {"window=17", "window=40", "softcap=20", "all",
                           "window=33 softcap=5 slopes sinks"}) {
    std::string text =
        std::string(mask) + " heads=4 kv=2 d=32 key=int8_g32 page=64";
    expectRight(text + " sequences=1:99,3:61 splits=2 tilesperwarp=1");
    expectRight(text + " prefill sequences=35:20,1:50");
  }
}

TEST(Attention, sharedHeads) {
  expectRight("heads=7 kv=1 d=32 sequences=1:40,4:5");
  expectRight("heads=3 kv=3 d=32 sequences=1:40,8:5");
  expectRight("heads=32 kv=2 d=32 sequences=2:20");
}

TEST(Attention, keysAndValuesOfOtherSizes) {
  expectRight("heads=4 kv=2 d=96 dv=64 sequences=1:50,3:7");
  expectRight("heads=4 kv=2 d=32 dv=128 key=int8 value=f16 prefill "
              "sequences=20:3");
}

TEST(Attention, olderArchitecture) {
  expectRight("arch=sm_80 heads=4 kv=2 d=64 sequences=1:90,2:3 splits=2");
  // Two warps, as four have no room.
  expectRight("arch=sm_80 heads=8 kv=1 d=256 act=bf16 key=bf16 value=bf16 "
              "page=64 sequences=1:200,1:3 window=150 softcap=50");
  expectRight("arch=sm_80 heads=4 kv=2 d=64 key=int8 value=int4 prefill "
              "sequences=40:3");
  for (const char *act : {"f16", "bf16"}) {
    std::string text = std::string("arch=sm_80 heads=4 kv=2 d=40 act=") + act +
                       " key=fp8_e4m3 value=fp8_e4m3";
    expectRight(text + " sequences=1:90,2:3 splits=2");
    expectRight(text + " prefill sequences=40:3");
  }
}

/// The order in which splits arrive does not show in the result.
TEST(Attention, everyOrderGivesTheSameBits) {
  StatusOr<Case> test =
      parseCase("heads=4 kv=2 d=64 sequences=1:400 splits=5 tilesperwarp=1");
  ASSERT_TRUE(test.ok());
  Arrays first = makeArrays(*test);
  ASSERT_TRUE(run(*test, first, 1).ok());
  for (uint64_t seed : {2, 3, 4}) {
    Arrays arrays = makeArrays(*test);
    ASSERT_TRUE(run(*test, arrays, seed).ok());
    EXPECT_EQ(std::memcmp(arrays.arguments[1].data(), first.arguments[1].data(),
                          first.arguments[1].bytes()),
              0);
  }
}

/// A long walk reads its cache once, and its main loop meets no bank twice.
TEST(Attention, trafficAndBanks) {
  for (const char *format : {"f16", "int8", "int4", "fp8_e4m3",
                             "int4_asym_g32_zf", "int2_asym_g32_zf"}) {
    SCOPED_TRACE(format);
    StatusOr<Case> test =
        parseCase(std::string("heads=4 kv=1 d=128 page=64 sequences=1:1023 "
                              "splits=1 key=") +
                  format + " value=" + format);
    ASSERT_TRUE(test.ok());
    Arrays arrays = makeArrays(*test);
    auto statistics = run(*test, arrays, 1);
    ASSERT_TRUE(statistics.ok()) << statistics.status().message();
    const cuda::KvPageLayout &cache = test->problem.cache;
    int64_t bytes = 1024 / 64 *
                    (cache.keyCodeBytes() + cache.keyScaleBytes() +
                     cache.valueCodeBytes() + cache.valueScaleBytes());
    // Every access counts, not each place once; each of four warps reads the
    // queries, four heads as eight rows.
    int64_t queries = 4 * 8 * 128 * 2;
    EXPECT_GE(statistics->bytes["global"].read, uint64_t(bytes) * 1023 / 1024);
    EXPECT_LE(double(statistics->bytes["global"].read),
              1.05 * double(bytes) + double(queries));
    uint64_t loops = 1024 / uint64_t(test->schedule.tile);
    for (const auto &[line, conflicts] : statistics->conflicts)
      if (conflicts.accesses >= loops) // the end of a kernel has less
        EXPECT_EQ(conflicts.conflicts, 0u) << "line " << line;
  }
}
