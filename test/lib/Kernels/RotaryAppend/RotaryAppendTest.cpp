// Rotated queries are the host's kernel's, bit by bit, and the pages of the
// cache what the formulas of RotaryAppend.h give in the same arithmetic;
// nothing else in the pages changes.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "../CachePool.h"
#include "../KernelTest.h"
#include "lib/Kernels/RotaryAppend/RotaryAppendGenerator.h"
#include "lib/Quant/Element.h"
#include "lib/Quant/FloatConversion.h"
#include "lib/Quant/VectorCodes.h"
#include "runtime/host/Rotary.h"

#include <gtest/gtest.h>

#include <cmath>

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::rotary_append;
using namespace qopt::kernels::test;
using quant::ElementType;

namespace {
/// A merged projection, and a batch of sequences that lie in scattered pages.
struct Batch {
  std::vector<int32_t> tokenStarts, contextStarts, pageTable;
  int64_t pages; ///< with those whose memory slots have
  int64_t tokens() const { return tokenStarts.back(); }
};

struct Options {
  int64_t heads = 4, keyHeads = 2, size = 64, valueSize = 64, page = 16;
  std::string key = "f16", value = "f16";
};
} // namespace

static Problem problemOf(const Options &options) {
  Problem problem;
  problem.heads = options.heads;
  problem.cache.keyHeads = options.keyHeads;
  problem.cache.keySize = options.size;
  problem.cache.valueSize = options.valueSize;
  problem.cache.page = options.page;
  problem.cache.key = *quant::parseFormat(options.key);
  problem.cache.value = *quant::parseFormat(options.value);
  problem.rotated = options.size & ~1;
  problem.pageTableStride = problem.cache.tableStride(4 * options.page);
  int64_t keys = options.heads * options.size,
          values = keys + options.keyHeads * options.size,
          stride = values + options.keyHeads * options.valueSize;
  problem.query = {0, stride};
  problem.key = {keys, stride};
  problem.value = {values, stride};
  return problem;
}

static Batch batchOf(const Problem &problem,
                     const std::vector<std::pair<int, int>> &sequences) {
  Batch batch;
  const cuda::KvPageLayout &cache = problem.cache;
  batch.tokenStarts.push_back(0);
  int64_t slots = int64_t(sequences.size()) * cache.slotBytes();
  batch.pages = int64_t(sequences.size()) * problem.pageTableStride +
                (slots + cache.pageBytes() - 1) / cache.pageBytes();
  int32_t next = int32_t(batch.pages);
  int32_t slot = int32_t(sequences.size());
  for (auto [context, tokens] : sequences) {
    batch.contextStarts.push_back(context);
    batch.tokenStarts.push_back(batch.tokenStarts.back() + tokens);
    for (int64_t i = 0; i < problem.pageTableStride; ++i)
      batch.pageTable.push_back(--next);
    if (cache.keyGroup())
      batch.pageTable.back() = --slot;
  }
  return batch;
}

/// Rotates a head of f32 values as the host does.
static void rotate(const Problem &problem, std::vector<float> &head,
                   const float *cos, const float *sin) {
  if (!problem.rotated)
    return;
  auto size = int64_t(head.size());
  std::vector<float> before = head;
  host::rotateTokens({.tokens = 1,
                      .heads = 1,
                      .headSize = size,
                      .rotated = problem.rotated,
                      .interleaved = problem.pairs == Pairs::Interleaved,
                      .input = before.data(),
                      .inputStride = size,
                      .output = head.data(),
                      .outputStride = size,
                      .cos = cos,
                      .sin = sin,
                      .tableRows = 1},
                     0, 1);
}

/// The host's codes and scales.
static void store(const quant::Format &format, int64_t page, int64_t slot,
                  std::vector<float> head, uint8_t *run) {
  head.resize((head.size() + 7) / 8 * 8); // zeros
  int64_t size = int64_t(head.size());
  const quant::Element &element = quant::elementOf(format.element);
  uint8_t *codes = run + slot * size * element.bits / 8;
  if (format.isFloat())
    return element.encode(head.data(), size, codes);
  uint16_t scale = quant::encodeVector(format, head.data(), size, codes).scale;
  std::memcpy(run + page * size * element.bits / 8 + slot * 2, &scale, 2);
}

namespace {
struct Arrays {
  std::vector<float> rows, cos, sin;
  std::vector<float> queryScale, keyScale; ///< of norms
  std::vector<float> queries;              ///< [tokens, heads, size]
  std::vector<uint8_t> pages;
  /// With groups: rotated, [tokens][key heads][size].
  std::vector<float> keys;
};
} // namespace

/// One channel of a group: `rows` are halves, `stride` elements apart.
static void storeChannel(const cuda::KvPageLayout &cache,
                         const std::vector<float> &column, int64_t channel,
                         int64_t inPage, uint8_t *run) {
  const quant::Element &element = quant::elementOf(cache.key.element);
  auto count = int64_t(column.size());
  std::vector<uint8_t> packed(column.size());
  quant::VectorScale scale =
      quant::encodeVector(cache.key, column.data(), count, packed.data());
  std::vector<int16_t> codes(column.size());
  element.unpackSigned(packed.data(), count, codes.data());
  uint8_t *place = run + cache.keyCodeBytes() +
                   inPage / cache.keyGroup() * cache.groupScaleBytes() +
                   channel * 2;
  std::memcpy(place, &scale.scale, 2);
  if (cache.keyOffsets())
    std::memcpy(place + cache.keyRow() * 2, &scale.offset, 2);
  for (size_t t = 0; t < column.size(); ++t) {
    int code = codes[t];
    int64_t at = (inPage + int64_t(t)) * cache.keyRow() + channel;
    if (element.bits == 8)
      run[at] = uint8_t(code);
    else // the other nibble is another channel's
      run[at / 2] = uint8_t(at % 2 ? (run[at / 2] & 15) | code << 4
                                   : (run[at / 2] & 0xf0) | (code & 15));
  }
}

/// What the groups of one key head of a sequence become.
static void expectGroups(const Problem &problem, const Batch &batch, Arrays &a,
                         size_t sequence, int64_t head) {
  const cuda::KvPageLayout &cache = problem.cache;
  int64_t size = cache.keySize, row = cache.keyRow(), group = cache.keyGroup();
  int64_t first = batch.tokenStarts[sequence],
          context = batch.contextStarts[sequence],
          length = context + batch.tokenStarts[sequence + 1] - first;
  const int32_t *table =
      batch.pageTable.data() + int64_t(sequence) * problem.pageTableStride;
  uint8_t *slot = a.pages.data() +
                  table[problem.pageTableStride - 1] * cache.slotBytes() +
                  head * cache.openHeadBytes();
  std::vector<uint8_t> before(slot, slot + cache.openHeadBytes());
  for (int64_t start = context / group * group; start < length;
       start += group) {
    uint8_t *run = a.pages.data() +
                   table[start / cache.page] * cache.pageBytes() +
                   cache.keyOffset(head);
    for (int64_t i = 0; i < row; ++i) {
      std::vector<uint16_t> bits;
      for (int64_t p = start; p < std::min(start + group, length); ++p) {
        uint8_t *old = before.data() + ((p - start) * row + i) * 2;
        uint16_t now = uint16_t(old[0] | old[1] << 8);
        if (p >= context && i >= size) // behind the head's end
          now = 0;
        else if (p >= context)
          now = encode(
              problem.activation,
              {a.keys[size_t(((first + p - context) * cache.keyHeads + head) *
                                 size +
                             i)]})[0];
        bits.push_back(now);
      }
      if (int64_t(bits.size()) == group)
        storeChannel(cache, decode(problem.activation, bits), i,
                     start % cache.page, run);
      else
        for (size_t t = 0; t < bits.size(); ++t)
          std::memcpy(slot + (int64_t(t) * row + i) * 2, &bits[t], 2);
    }
  }
}

/// The norm of a head, in double, rounded as the kernel rounds it.
static void normalise(const Problem &problem, std::vector<float> &head,
                      const std::vector<float> &scales, int64_t index) {
  if (!problem.norm)
    return;
  double mean = 0, squares = 0;
  auto size = double(head.size());
  for (float value : head)
    mean += problem.norm->kind == norm::Kind::Layer ? value / size : 0;
  for (float value : head)
    squares += (value - mean) * (value - mean);
  double factor = 1 / std::sqrt(squares / size + double(problem.norm->epsilon));
  const float *scale =
      scales.data() + (problem.norm->perHead ? index * int64_t(size) : 0);
  for (size_t i = 0; i < head.size(); ++i)
    head[i] = float((head[i] - mean) * factor * scale[i]);
  head = rounded(problem.activation, head);
}

static void expect(const Problem &problem, const Batch &batch, Arrays &a) {
  const cuda::KvPageLayout &cache = problem.cache;
  int64_t half = problem.rotated / 2;
  size_t sequence = 0;
  for (int64_t token = 0; token < batch.tokens(); ++token) {
    while (token >= batch.tokenStarts[sequence + 1])
      ++sequence;
    int64_t position =
        batch.contextStarts[sequence] + token - batch.tokenStarts[sequence];
    int64_t page = batch.pageTable[sequence * size_t(problem.pageTableStride) +
                                   size_t(position / cache.page)];
    uint8_t *bytes = a.pages.data() + page * cache.pageBytes();
    const float *cos = a.cos.data() + token * half,
                *sin = a.sin.data() + token * half;
    auto head = [&](const Columns &columns, int64_t index, int64_t size) {
      const float *from =
          a.rows.data() + token * columns.stride + columns.first + index * size;
      return std::vector<float>(from, from + size);
    };
    for (int64_t h = 0; h < problem.heads; ++h) {
      std::vector<float> query = head(problem.query, h, cache.keySize);
      normalise(problem, query, a.queryScale, h);
      rotate(problem, query, cos, sin);
      a.queries.insert(a.queries.end(), query.begin(), query.end());
    }
    for (int64_t h = 0; h < cache.keyHeads; ++h) {
      std::vector<float> key = head(problem.key, h, cache.keySize);
      normalise(problem, key, a.keyScale, h);
      rotate(problem, key, cos, sin);
      if (cache.keyGroup())
        a.keys.insert(a.keys.end(), key.begin(), key.end());
      else
        store(cache.key, cache.page, position % cache.page, key,
              bytes + cache.keyOffset(h));
      store(cache.value, cache.page, position % cache.page,
            head(problem.value, h, cache.valueSize),
            bytes + cache.valueOffset(h));
    }
  }
  for (size_t s = 0; cache.keyGroup() && s < batch.contextStarts.size(); ++s)
    for (int64_t h = 0; h < cache.keyHeads; ++h)
      expectGroups(problem, batch, a, s, h);
}

/// The queries in place of those that were read, or elsewhere; all else in the
/// rows as it was.
static void expectQueries(const Problem &problem, const Arrays &a,
                          int64_t tokens, const std::vector<uint16_t> &before,
                          const std::vector<uint16_t> &merged,
                          const std::vector<uint16_t> &queries) {
  std::vector<uint16_t> rotated = encode(problem.activation, a.queries);
  int64_t width = problem.heads * problem.cache.keySize;
  bool inPlace = problem.queries == Queries::InPlace;
  for (size_t i = 0; i < merged.size(); ++i) {
    int64_t token = int64_t(i) / problem.query.stride,
            column = int64_t(i) % problem.query.stride;
    bool changed = inPlace && column < width && token < tokens;
    ASSERT_EQ(merged[i],
              changed ? rotated[size_t(token * width + column)] : before[i])
        << "token " << token << " column " << column;
  }
  for (size_t i = 0; !inPlace && i < queries.size(); ++i)
    ASSERT_EQ(queries[i], i < rotated.size() ? rotated[i] : 0x1234);
}

/// What `all` tokens, and a pool with keys that wait, are before the launch.
static Arrays arraysOf(const Problem &problem, const Batch &batch,
                       int64_t all) {
  ElementType type = problem.activation;
  size_t half = size_t(problem.rotated / 2);
  Arrays a;
  a.rows = rounded(type, normals(size_t(all * problem.query.stride), 1, 2));
  a.cos = normals(size_t(all) * half, 2);
  a.sin = normals(size_t(all) * half, 3);
  if (problem.norm) {
    bool perHead = problem.norm->perHead;
    auto scales = [&](int64_t heads, unsigned seed) {
      return rounded(
          type,
          normals(size_t((perHead ? heads : 1) * problem.cache.keySize), seed));
    };
    a.queryScale = scales(problem.heads, 5);
    a.keyScale = scales(problem.cache.keyHeads, 6);
  }
  a.pages.assign(size_t(batch.pages * problem.cache.pageBytes()), 0xa5);
  std::vector<float> keys = normals(
      batch.contextStarts.size() * size_t(problem.cache.slotBytes() / 2), 4);
  for (size_t i = 0; i < keys.size(); ++i)
    if (int64_t(i) % problem.cache.keyRow() >= problem.cache.keySize)
      keys[i] = 0;
  std::vector<uint16_t> waiting = encode(type, keys);
  if (!waiting.empty())
    std::memcpy(a.pages.data(), waiting.data(), waiting.size() * 2);
  return a;
}

static void runCase(const Problem &problem,
                    const std::vector<std::pair<int, int>> &sequences,
                    int64_t padding = 0,
                    const target::Target &target = target::sm90a()) {
  auto schedule = chooseSchedule(problem, target);
  ASSERT_TRUE(schedule.ok()) << schedule.status().message();
  auto kernel = compileClean(problem, chooseSchedule, buildKernel, target);
  ASSERT_TRUE(kernel.ok()) << kernel.status().message();
  SCOPED_TRACE(kernel->symbol);

  Batch batch = batchOf(problem, sequences);
  ElementType type = problem.activation;
  int64_t all = batch.tokens() + padding;
  Arrays a = arraysOf(problem, batch, all);
  std::vector<uint8_t> pages = a.pages, pool = a.pages;
  std::vector<uint16_t> merged = encode(type, a.rows), before = merged,
                        queries(
                            size_t(all * problem.heads * problem.cache.keySize),
                            0x1234);
  expect(problem, batch, a);

  Launch launch;
  launch.inOut(merged).same(0).same(0);
  if (problem.queries == Queries::Elsewhere)
    launch.inOut(queries);
  std::vector<uint16_t> queryScale = encode(type, a.queryScale),
                        keyScale = encode(type, a.keyScale);
  if (problem.norm)
    launch.in(queryScale).in(keyScale);
  if (problem.rotated)
    launch.in(a.cos).in(a.sin);
  launch.in(batch.tokenStarts).in(batch.contextStarts).in(batch.pageTable);
  launch.inOut(pages).integer(int32_t(sequences.size()));
  Status ran = launch.run(*kernel, launchOf(problem, *schedule), all);
  ASSERT_TRUE(ran.ok()) << ran.message();

  EXPECT_EQ(
      strayWrite(problem,
                 {batch.tokenStarts, batch.contextStarts, batch.pageTable},
                 pool, pages),
      "");
  EXPECT_TRUE(pages == a.pages);
  expectQueries(problem, a, batch.tokens(), before, merged, queries);
}

using RotaryAppend = test::KernelTest;

TEST_F(RotaryAppend, AppendsHalves) {
  runCase(problemOf({}), {{0, 1}});
  runCase(problemOf({.key = "bf16", .value = "bf16"}), {{5, 3}, {15, 2}});
}

TEST_F(RotaryAppend, AppendsCodes) {
  runCase(problemOf({.key = "int8", .value = "int8"}), {{0, 5}, {30, 4}});
  runCase(problemOf({.key = "int4", .value = "int4"}), {{0, 5}, {30, 4}});
  runCase(problemOf({.key = "fp8_e4m3", .value = "fp8_e4m3"}),
          {{0, 5}, {30, 4}});
  runCase(problemOf(
              {.size = 128, .valueSize = 128, .key = "int8", .value = "int4"}),
          {{3, 2}});
}

/// Steps that fill a group, begin one, do both, and neither.
TEST_F(RotaryAppend, AppendsGroups) {
  for (const char *key :
       {"int4_g32", "int8_g32", "int4_asym_g64_zf", "int8_asym_g32_zf"}) {
    Problem problem = problemOf({.page = 64, .key = key, .value = "int4"});
    runCase(problem, {{0, 1}, {31, 1}, {32, 1}, {63, 1}, {127, 1}});
    runCase(problem, {{0, 70}, {20, 5}, {30, 100}, {31, 33}, {64, 64}}, 2);
  }
  Problem problem = problemOf({.page = 32, .key = "int4_g32"});
  problem.activation = ElementType::BF16;
  problem.queries = Queries::Elsewhere;
  runCase(problem, {{30, 3}, {0, 0}, {5, 60}}, 0, target::sm80());
}

/// Each size in 16, 8 and 4 bits; of 8 bits integers and floats take turns.
TEST_F(RotaryAppend, TakesEveryHeadSize) {
  bool isFloat = false;
  for (int64_t size : {4, 8, 12, 20, 36, 72, 80, 128, 160, 256, 320}) {
    for (const char *format : {"f16", isFloat ? "fp8_e4m3" : "int8", "int4"})
      runCase(problemOf({.heads = 2,
                         .keyHeads = 1,
                         .size = size,
                         .valueSize = size,
                         .key = format,
                         .value = format}),
              {{14, 3}});
    isFloat = !isFloat;
  }
  for (int64_t size : {4, 12, 20, 33, 72, 100, 128, 192, 320, 1024})
    runCase(problemOf({.heads = 2,
                       .keyHeads = 1,
                       .size = size,
                       .valueSize = size,
                       .page = 32,
                       .key = "int4_asym_g32_zf",
                       .value = "int4"}),
            {{30, 3}, {3, 4}});
  runCase(problemOf({.size = 192, .valueSize = 128}), {{14, 3}});
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
    runCase(problemOf({3, 1, size, size, 16, key, value}), {{14, 3}});
  runCase(problemOf({.size = 32, .valueSize = 33}), {{14, 3}});
}

TEST_F(RotaryAppend, RotatesPartsAndPairs) {
  Problem problem = problemOf({.size = 80, .valueSize = 80});
  problem.rotated = 32;
  runCase(problem, {{2, 3}});
  problem.rotated = 20;
  runCase(problem, {{2, 3}});
  problem.pairs = Pairs::Interleaved;
  runCase(problem, {{2, 3}});
  problem.rotated = 0;
  runCase(problem, {{2, 3}});
  problem = problemOf({.size = 128, .key = "int8"});
  problem.pairs = Pairs::Interleaved;
  problem.queries = Queries::Elsewhere;
  runCase(problem, {{2, 3}});
  problem = problemOf({.size = 65, .valueSize = 65, .key = "int4"});
  problem.queries = Queries::Elsewhere;
  for (int64_t rotated : {0, 2, 20, 62}) {
    problem.rotated = rotated;
    problem.pairs = rotated == 20 ? Pairs::Interleaved : Pairs::Halves;
    runCase(problem, {{2, 3}});
  }
  // Halves of an odd number of channels.
  for (int64_t rotated : {2, 10, 18, 50}) {
    problem = problemOf({.size = 100, .valueSize = 100, .key = "int8"});
    problem.rotated = rotated;
    runCase(problem, {{2, 3}});
  }
}

/// Seeds whose roundings do not depend on the order of a norm's sum.
TEST_F(RotaryAppend, NormalisesHeads) {
  Problem problem = problemOf({});
  problem.norm = {1e-5f, ElementType::F16};
  runCase(problem, {{0, 1}, {5, 2}});
  problem = problemOf({.size = 24, .valueSize = 24, .key = "int8"});
  problem.norm = {1e-6f, ElementType::BF16};
  problem.activation = ElementType::BF16;
  problem.queries = Queries::Elsewhere;
  runCase(problem, {{3, 2}}, 1, target::sm80());
  problem =
      problemOf({.size = 128, .valueSize = 128, .page = 32, .key = "int4_g32"});
  problem.norm = {1e-5f, ElementType::F16};
  problem.rotated = 0;
  runCase(problem, {{30, 3}});
}

/// As Cohere has it: mean zero, and a scale for each head.
TEST_F(RotaryAppend, NormalisesHeadsWithScalesOfTheirOwn) {
  Problem problem = problemOf({});
  problem.norm = {1e-5f, ElementType::F16, norm::Kind::Layer, true};
  runCase(problem, {{0, 1}, {5, 2}});
  problem = problemOf({.size = 24, .valueSize = 24, .key = "int8"});
  problem.norm = {1e-6f, ElementType::BF16, norm::Kind::Layer};
  problem.activation = ElementType::BF16;
  problem.queries = Queries::Elsewhere;
  runCase(problem, {{3, 2}}, 1, target::sm80());
  problem =
      problemOf({.size = 128, .valueSize = 128, .page = 32, .key = "int4_g32"});
  problem.norm = {1e-5f, ElementType::F16, norm::Kind::Rms, true};
  runCase(problem, {{30, 3}});
  problem = problemOf({.size = 33, .valueSize = 33});
  problem.norm = {1e-5f, ElementType::F16, norm::Kind::Layer, true};
  runCase(problem, {{3, 2}});
}

TEST_F(RotaryAppend, FindsTheSequencesOfATokens) {
  std::vector<std::pair<int, int>> sequences;
  for (int i = 0; i < 37; ++i)
    sequences.push_back({i, i % 3 + 1});
  runCase(problemOf({.heads = 1, .keyHeads = 1, .size = 16, .valueSize = 16}),
          sequences);
  runCase(problemOf({.page = 48}), {{40, 20}, {0, 0}, {7, 2}}, 3);
}

TEST_F(RotaryAppend, RunsOnSm80) {
  Problem problem = problemOf({.key = "int8", .value = "int4"});
  problem.activation = ElementType::BF16;
  runCase(problem, {{5, 2}}, 0, target::sm80());
  problem = problemOf({.size = 128, .key = "fp8_e4m3", .value = "fp8_e4m3"});
  runCase(problem, {{5, 9}}, 0, target::sm80());
}

/// Every store of a kernel, one by one, goes as many bytes behind its place as
/// it has: the emulator's checks, the pool or, of a query, the rows tell of it.
TEST_F(RotaryAppend, StoresBesideASlotAreSeen) {
  for (auto [key, value] : {std::pair{"f16", "int8"}, {"int4", "fp8_e4m3"}}) {
    Problem problem =
        problemOf({.heads = 1, .keyHeads = 2, .key = key, .value = value});
    const target::Target &target = target::sm90a();
    auto schedule = chooseSchedule(problem, target);
    auto kernel = compileClean(problem, chooseSchedule, buildKernel, target);
    ASSERT_TRUE(kernel.ok()) << kernel.status().message();
    Batch batch = batchOf(problem, {{4, 3}, {31, 2}});
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
      problemOf({.heads = 1, .keyHeads = 1, .size = 16, .valueSize = 16});
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
  Problem problem = problemOf({});
  problem.rotated = 33;
  EXPECT_EQ(message(problem), "rotary embedding of 33 of 64 channels; expected "
                              "an even number");
  problem = problemOf({});
  problem.query.stride = 100;
  EXPECT_EQ(message(problem), "rows that are too short for their heads");
  problem = problemOf({.heads = 0});
  problem.norm = HeadNorm();
  EXPECT_EQ(message(problem), "norms of heads without queries");
}
