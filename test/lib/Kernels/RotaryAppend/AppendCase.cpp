// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "AppendCase.h"

#include "../CachePool.h"
#include "../CacheRow.h"
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

Problem test::appendProblem(const AppendOptions &options) {
  Problem problem;
  problem.heads = options.heads;
  problem.cache.keyHeads = options.keyHeads;
  problem.cache.keySize = options.size;
  problem.cache.valueSize = options.valueSize;
  problem.cache.page = options.page;
  problem.cache.key = *quant::parseFormat(options.key);
  problem.cache.value = *quant::parseFormat(options.value);
  problem.cache.recent = options.recent;
  problem.cache.first = options.first;
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

AppendBatch
test::appendBatch(const Problem &problem,
                  const std::vector<std::pair<int, int>> &sequences) {
  AppendBatch batch;
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
    if (cache.hasSlots())
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
  /// With slots: rotated keys and values, [tokens][key heads][size].
  std::vector<float> keys, values;
  std::vector<uint8_t> stepRows; ///< with latest positions
};
} // namespace

/// The same of a value in groups.
static void storeGroups(const cuda::KvPageLayout &cache, int64_t slot,
                        std::vector<float> head, uint8_t *run) {
  const quant::Element &element = quant::elementOf(cache.value.element);
  int64_t group = cache.valueGroup(), groups = cache.valueSize / group;
  std::vector<int16_t> row(size_t(cache.valueRow()));
  uint8_t *numbers = run + cache.valueCodeBytes() + slot * 2;
  for (int64_t g = 0; g < groups; ++g) {
    std::vector<uint8_t> codes(size_t(group), 0);
    quant::VectorScale scale = quant::encodeVector(
        cache.value, head.data() + g * group, group, codes.data());
    element.unpackSigned(codes.data(), group, row.data() + g * group);
    std::memcpy(numbers + g * cache.page * 2, &scale.scale, 2);
    if (cache.valueOffsets())
      std::memcpy(numbers + (groups + g) * cache.page * 2, &scale.offset, 2);
  }
  packRow(element, row, run + slot * cache.valueCodeBytes() / cache.page);
}

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
  int64_t row = cache.keyRow();
  // Other fields of a byte are other channels'.
  auto put = [](uint8_t *bytes, int64_t index, int bits, int field) {
    int mask = (1 << bits) - 1, at = int(index * bits % 8);
    uint8_t &byte = bytes[index * bits / 8];
    byte = uint8_t((byte & ~(mask << at)) | (field & mask) << at);
  };
  for (size_t t = 0; t < column.size(); ++t) {
    uint8_t *bytes =
        run + (inPage + int64_t(t)) * cache.keyCodeBytes() / cache.page;
    int bits = int(element.bits);
    put(bytes, channel, bits == 3 ? 2 : bits, codes[t]);
    if (bits == 3)
      put(bytes + row / 4, channel, 1, codes[t] >> 2);
  }
}

/// What the groups of one key head of a sequence become.
static void expectGroups(const Problem &problem, const AppendBatch &batch,
                         Arrays &a, size_t sequence, int64_t head) {
  const cuda::KvPageLayout &cache = problem.cache;
  int64_t size = cache.keySize, row = cache.keyRow(), group = cache.keyGroup();
  int64_t first = batch.tokenStarts[sequence],
          context = batch.contextStarts[sequence],
          length = context + batch.tokenStarts[sequence + 1] - first;
  const int32_t *table =
      batch.pageTable.data() + int64_t(sequence) * problem.pageTableStride;
  // Of the latest positions, the keys; a group is no longer than they are.
  uint8_t *slot =
      a.pages.data() + table[problem.pageTableStride - 1] * cache.slotBytes() +
      head * (cache.recent ? cache.halvesHeadBytes() : cache.openHeadBytes());
  int64_t places = cache.recent ? cache.recent : group;
  if (cache.recent)
    row = cache.keyHalfBytes() / 2;
  std::vector<uint8_t> before(slot, slot + places * row * 2);
  for (int64_t start = context / group * group; start < length;
       start += group) {
    uint8_t *run = a.pages.data() +
                   table[start / cache.page] * cache.pageBytes() +
                   cache.keyOffset(head);
    for (int64_t i = 0; i < cache.keyRow(); ++i) {
      std::vector<uint16_t> bits;
      for (int64_t p = start; p < std::min(start + group, length); ++p) {
        uint8_t *old = before.data() + (p % places * row + i) * 2;
        uint16_t now = i < row ? uint16_t(old[0] | old[1] << 8) : 0;
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
      else if (!cache.recent)
        for (size_t t = 0; t < bits.size(); ++t)
          std::memcpy(slot + (int64_t(t) * row + i) * 2, &bits[t], 2);
    }
  }
}

/// What a step leaves of one head's latest and first positions, keys or values:
/// `numbers` are the new ones, `ring` and `firsts` its rows in the slot, `rows`
/// its rows of the step.
static void expectLatest(const Problem &problem, const AppendBatch &batch,
                         size_t sequence, const std::vector<float> &numbers,
                         int64_t head, uint8_t *ring, uint8_t *firsts,
                         uint8_t *rows) {
  const cuda::KvPageLayout &cache = problem.cache;
  int64_t bytes = cache.keyHalfBytes(), size = cache.keySize;
  int64_t token = batch.tokenStarts[sequence],
          context = batch.contextStarts[sequence],
          length = context + batch.tokenStarts[sequence + 1] - token;
  auto rowOf = [&](int64_t position) {
    auto at = numbers.begin() +
              ((token + position - context) * cache.keyHeads + head) * size;
    std::vector<float> row(at, at + size);
    row.resize(size_t(bytes / 2));
    return encode(problem.activation, row);
  };
  int64_t base = std::max<int64_t>(context - cache.recent, 0) & ~15;
  for (int64_t p = base; length - context > 1 && p < length; ++p) {
    uint8_t *row = rows + (p - base) * bytes;
    if (p < context)
      std::memcpy(row, ring + p % cache.recent * bytes, size_t(bytes));
    else
      std::memcpy(row, rowOf(p).data(), size_t(bytes));
  }
  for (int64_t p = context; p < length; ++p) {
    if (p >= length - cache.recent)
      std::memcpy(ring + p % cache.recent * bytes, rowOf(p).data(),
                  size_t(bytes));
    if (p < cache.first)
      std::memcpy(firsts + p * bytes, rowOf(p).data(), size_t(bytes));
  }
}

/// Keys and values have one size.
static void expectSlots(const Problem &problem, const AppendBatch &batch,
                        Arrays &a) {
  const cuda::KvPageLayout &cache = problem.cache;
  int64_t bytes = cache.keyHalfBytes();
  for (size_t s = 0; s < batch.contextStarts.size(); ++s) {
    int64_t token = batch.tokenStarts[s], context = batch.contextStarts[s],
            length = context + batch.tokenStarts[s + 1] - token;
    int64_t base = std::max<int64_t>(context - cache.recent, 0) & ~15,
            count = (length - base + 15) & ~15;
    int32_t slot =
        batch.pageTable[(s + 1) * size_t(problem.pageTableStride) - 1];
    for (int64_t head = 0; head < cache.keyHeads; ++head) {
      uint8_t *begin = a.pages.data() + slot * cache.slotBytes() +
                       head * cache.halvesHeadBytes();
      uint8_t *firsts = begin + 2 * cache.recent * bytes;
      uint8_t *rows =
          a.stepRows.data() +
          (token + int64_t(s) * (cache.recent + 30)) * cache.stepRowBytes() +
          head * count * 2 * bytes;
      expectLatest(problem, batch, s, a.keys, head, begin, firsts, rows);
      expectLatest(problem, batch, s, a.values, head,
                   begin + cache.recent * bytes, firsts + cache.first * bytes,
                   rows + count * bytes);
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

static void expect(const Problem &problem, const AppendBatch &batch,
                   Arrays &a) {
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
      if (cache.hasSlots())
        a.keys.insert(a.keys.end(), key.begin(), key.end());
      if (!cache.keyGroup())
        store(cache.key, cache.page, position % cache.page, key,
              bytes + cache.keyOffset(h));
      std::vector<float> value = head(problem.value, h, cache.valueSize);
      if (cache.recent)
        a.values.insert(a.values.end(), value.begin(), value.end());
      if (cache.valueGroup())
        storeGroups(cache, position % cache.page, value,
                    bytes + cache.valueOffset(h));
      else
        store(cache.value, cache.page, position % cache.page, value,
              bytes + cache.valueOffset(h));
    }
  }
  for (size_t s = 0; cache.keyGroup() && s < batch.contextStarts.size(); ++s)
    for (int64_t h = 0; h < cache.keyHeads; ++h)
      expectGroups(problem, batch, a, s, h);
  if (cache.recent)
    expectSlots(problem, batch, a);
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
static Arrays arraysOf(const Problem &problem, const AppendBatch &batch,
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
  int64_t row = problem.cache.recent ? problem.cache.keyHalfBytes() / 2
                                     : problem.cache.keyRow();
  for (size_t i = 0; i < keys.size(); ++i)
    if (int64_t(i) % row >= problem.cache.keySize)
      keys[i] = 0;
  a.stepRows.assign(problem.cache.recent
                        ? size_t((all + int64_t(batch.contextStarts.size()) *
                                            (problem.cache.recent + 30)) *
                                 problem.cache.stepRowBytes())
                        : 0,
                    0xa5);
  std::vector<uint16_t> waiting = encode(type, keys);
  if (!waiting.empty())
    std::memcpy(a.pages.data(), waiting.data(), waiting.size() * 2);
  return a;
}

void test::expectAppend(const Problem &problem,
                        const std::vector<std::pair<int, int>> &sequences,
                        int64_t padding, const target::Target &target) {
  auto schedule = chooseSchedule(problem, target);
  ASSERT_TRUE(schedule.ok()) << schedule.status().message();
  auto kernel = compileClean(problem, chooseSchedule, buildKernel, target);
  ASSERT_TRUE(kernel.ok()) << kernel.status().message();
  SCOPED_TRACE(kernel->symbol);

  AppendBatch batch = appendBatch(problem, sequences);
  ElementType type = problem.activation;
  int64_t all = batch.tokens() + padding;
  Arrays a = arraysOf(problem, batch, all);
  std::vector<uint8_t> pages = a.pages, pool = a.pages, rows = a.stepRows;
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
  launch.inOut(pages);
  if (problem.cache.recent)
    launch.inOut(rows);
  launch.integer(int32_t(sequences.size()));
  Status ran = launch.run(*kernel, launchOf(problem, *schedule), all);
  ASSERT_TRUE(ran.ok()) << ran.message();

  EXPECT_EQ(
      strayWrite(problem,
                 {batch.tokenStarts, batch.contextStarts, batch.pageTable},
                 pool, pages),
      "");
  EXPECT_TRUE(pages == a.pages);
  EXPECT_TRUE(rows == a.stepRows);
  expectQueries(problem, a, batch.tokens(), before, merged, queries);
}
