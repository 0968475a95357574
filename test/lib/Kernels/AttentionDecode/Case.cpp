// Parsing of cases and their random arrays.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Case.h"
#include "../CacheRow.h"

#include "lib/Kernels/AttentionPrefill/AttentionPrefill.h"
#include "lib/Quant/Element.h"
#include "lib/Quant/FloatConversion.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <random>
#include <sstream>

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::attention_decode;
using quant::ElementType;

int64_t Case::tokens() const {
  int64_t sum = 0;
  for (const SequenceCase &sequence : sequences)
    sum += sequence.tokens;
  return sum;
}

// Parsing ---------------------------------------------------------------------

using Options = std::map<std::string, std::string>;

static double number(const Options &options, const char *key, double other) {
  auto found = options.find(key);
  return found == options.end() ? other : std::stod(found->second);
}

static std::string word(const Options &options, const char *key,
                        const char *other) {
  auto found = options.find(key);
  return found == options.end() ? other : found->second;
}

static Status parseSequences(const std::string &text, Case &test) {
  std::stringstream stream(text);
  for (std::string part; std::getline(stream, part, ',');) {
    size_t colon = part.find(':');
    if (colon == std::string::npos)
      return Status(StatusCode::InvalidArgument,
                    "sequences: expected <tokens>:<context>, got " + part);
    test.sequences.push_back(
        {std::stoll(part), std::stoll(part.substr(colon + 1))});
  }
  return Status();
}

static Status parseProblem(const Options &options, Case &test) {
  Problem &problem = test.problem;
  cuda::KvPageLayout &cache = problem.cache;
  problem.heads = int64_t(number(options, "heads", 8));
  cache.keyHeads = int64_t(number(options, "kv", 2));
  cache.keySize = int64_t(number(options, "d", 64));
  cache.valueSize = int64_t(number(options, "dv", double(cache.keySize)));
  cache.page = int64_t(number(options, "page", 16));
  auto key = quant::parseFormat(word(options, "key", "f16"));
  if (!key)
    return key.status();
  auto value = quant::parseFormat(word(options, "value", "f16"));
  if (!value)
    return value.status();
  cache.key = *key;
  cache.value = *value;
  cache.recent = int64_t(number(options, "recent", 0));
  cache.first = int64_t(number(options, "first", 0));
  const quant::Element *act = quant::findElement(word(options, "act", "f16"));
  if (act)
    problem.activation = act->type;
  problem.window = int64_t(number(options, "window", 0));
  problem.softcap = float(number(options, "softcap", 0));
  problem.causal = !options.count("all");
  problem.slopes = options.count("slopes");
  problem.sinks = options.count("sinks");
  problem.scale = float(1 / std::sqrt(double(cache.keySize)));
  // Queries lie in a row with the keys and values, as a merged product has it.
  problem.queryStride = problem.heads * cache.keySize +
                        cache.keyHeads * (cache.keySize + cache.valueSize);
  test.seed = unsigned(number(options, "seed", 1));
  return parseSequences(word(options, "sequences", "1:37"), test);
}

StatusOr<Case> attention_decode::parseCase(const std::string &text) {
  Options options;
  std::stringstream stream(text);
  for (std::string part; stream >> part;) {
    size_t equals = part.find('=');
    options[part.substr(0, equals)] =
        equals == std::string::npos ? "" : part.substr(equals + 1);
  }
  Case test;
  QOPT_RETURN_IF_ERROR(parseProblem(options, test));
  auto targets = target::parseArchitectures(word(options, "arch", "sm_90a"));
  if (!targets)
    return targets.status();
  test.target = targets->front();
  int64_t tokens = 1, context = 1;
  for (const SequenceCase &sequence : test.sequences) {
    tokens = std::max(tokens, sequence.tokens);
    context = std::max(context, sequence.context + sequence.tokens);
  }
  test.problem.context = context + test.problem.cache.page;
  auto schedule =
      options.count("prefill")
          ? attention_prefill::chooseSchedule(test.problem, *test.target)
          : chooseSchedule(test.problem, tokens, *test.target);
  if (!schedule)
    return schedule.status();
  test.schedule = *schedule;
  Schedule &s = test.schedule;
  s.warps = int(number(options, "warps", s.warps));
  s.rowTiles = int(number(options, "rowtiles", s.rowTiles));
  s.tile = int(number(options, "tile", s.tile));
  s.stages = int(number(options, "stages", s.stages));
  s.tilesPerWarp = int(number(options, "tilesperwarp", s.tilesPerWarp));
  QOPT_RETURN_IF_ERROR(isValid(test.problem, s, *test.target));
  test.launch = launchOf(test.problem, s, *test.target,
                         int64_t(test.sequences.size()), tokens, context);
  if (options.count("splits")) {
    Launch &launch = test.launch;
    launch.x = int64_t(number(options, "splits", 1));
    launch.workspaceBytes =
        launch.x * launch.y * launch.z * planOf(test.problem, s).slotFloats * 4;
    launch.counters = launch.y * launch.z;
  }
  return test;
}

// Arrays ----------------------------------------------------------------------

static uint16_t encodeHalf(ElementType type, float value) {
  return type == ElementType::BF16 ? quant::floatToBfloat16(value)
                                   : quant::floatToHalf(value);
}

static float decodeHalf(ElementType type, uint16_t bits) {
  float value;
  quant::elementOf(type).decode(reinterpret_cast<uint8_t *>(&bits), 1, &value);
  return value;
}

/// One head's vector of a position into its page, and what it now stands for.
static void storeVector(const quant::Format &format, float *values,
                        int64_t size, uint8_t *codes, uint8_t *scale) {
  const quant::Element &element = quant::elementOf(format.element);
  if (format.isFloat()) {
    for (int64_t i = 0; i < size; ++i) {
      uint16_t bits = encodeHalf(format.element, values[i]);
      std::memcpy(codes + 2 * i, &bits, 2);
      values[i] = decodeHalf(format.element, bits);
    }
    return;
  }
  float largest = 0;
  for (int64_t i = 0; i < size; ++i)
    largest = std::max(largest, std::fabs(values[i]));
  uint16_t bits = quant::floatToHalf(largest / float(element.maxCode));
  std::memcpy(scale, &bits, 2);
  float step = decodeHalf(ElementType::F16, bits);
  if (!element.isInteger()) {
    for (int64_t i = 0; i < size; ++i)
      values[i] /= step;
    element.encode(values, size, codes);
    element.decode(codes, size, values);
    for (int64_t i = 0; i < size; ++i)
      values[i] *= step;
    return;
  }
  std::vector<int16_t> numbers(size);
  for (int64_t i = 0; i < size; ++i) {
    float code = std::nearbyint(values[i] / step);
    numbers[i] = int16_t(
        std::clamp(code, float(element.minCode), float(element.maxCode)));
    values[i] = step * float(numbers[i]);
  }
  element.pack(numbers.data(), size, codes);
}

namespace {
/// Codes of numbers with one scale, and perhaps an offset, in f16.
struct GroupCodes {
  std::vector<int16_t> codes;
  uint16_t scale = 0, offset = 0;
};
} // namespace

static GroupCodes encodeGroup(const quant::Format &format,
                              const std::vector<float> &numbers) {
  const quant::Element &element = quant::elementOf(format.element);
  auto [least, most] = std::minmax_element(numbers.begin(), numbers.end());
  bool offsets = format.zero == quant::ZeroType::Float;
  int lowest = -element.maxCode - offsets;
  GroupCodes group;
  group.scale = quant::floatToHalf(
      offsets ? (*most - *least) / float(element.maxCode - lowest)
              : std::max(*most, -*least) / float(element.maxCode));
  float step = decodeHalf(ElementType::F16, group.scale);
  if (offsets)
    group.offset = quant::floatToHalf(*least - float(lowest) * step);
  float offset = decodeHalf(ElementType::F16, group.offset);
  for (float number : numbers)
    group.codes.push_back(
        int16_t(std::clamp(std::nearbyint((number - offset) / step),
                           float(lowest), float(element.maxCode))));
  return group;
}

/// The codes of a channel of a group, its scale and offset, and what its keys
/// now stand for.
static std::vector<int16_t> encodeChannel(const cuda::KvPageLayout &cache,
                                          const std::vector<float *> &column,
                                          uint8_t *scales) {
  std::vector<float> keys;
  for (const float *key : column)
    keys.push_back(*key);
  GroupCodes group = encodeGroup(cache.key, keys);
  std::memcpy(scales, &group.scale, 2);
  if (cache.keyOffsets())
    std::memcpy(scales + cache.keyRow() * 2, &group.offset, 2);
  for (size_t i = 0; i < column.size(); ++i)
    *column[i] =
        float(group.codes[i]) * decodeHalf(ElementType::F16, group.scale) +
        decodeHalf(ElementType::F16, group.offset);
  return group.codes;
}

/// A value in groups, and the numbers of the activation's type that are read of
/// it. `numbers`: the position's first scale.
static void storeValueGroups(const Problem &problem, std::vector<float> &value,
                             uint8_t *codes, uint8_t *numbers) {
  const cuda::KvPageLayout &cache = problem.cache;
  auto inType = [&](float number) {
    return decodeHalf(problem.activation,
                      encodeHalf(problem.activation, number));
  };
  int64_t size = cache.valueGroup(), groups = cache.valueSize / size;
  std::vector<int16_t> row(value.size());
  for (int64_t g = 0; g < groups; ++g) {
    auto begin = value.begin() + g * size;
    GroupCodes group = encodeGroup(cache.value, {begin, begin + size});
    std::copy(group.codes.begin(), group.codes.end(), row.begin() + g * size);
    std::memcpy(numbers + g * cache.page * 2, &group.scale, 2);
    if (cache.valueOffsets())
      std::memcpy(numbers + (groups + g) * cache.page * 2, &group.offset, 2);
    float step = inType(decodeHalf(ElementType::F16, group.scale)),
          offset = inType(decodeHalf(ElementType::F16, group.offset));
    for (int64_t i = 0; i < size; ++i)
      begin[i] = inType(float(group.codes[size_t(i)]) * step + offset);
  }
  test::packRow(quant::elementOf(cache.value.element), row, codes);
}

/// Keys in groups: `keys` [length][key heads][D] become codes in `pages`, those
/// of the open group halves in `slot`, with zeros behind their ends, and what
/// they now stand for.
static void storeGroups(const Problem &problem, const int32_t *table,
                        std::vector<float> &keys, uint8_t *pages,
                        uint8_t *slot) {
  const cuda::KvPageLayout &cache = problem.cache;
  const quant::Element &element = quant::elementOf(cache.key.element);
  int64_t size = cache.keySize, row = cache.keyRow(), group = cache.keyGroup();
  int64_t length = int64_t(keys.size()) / (cache.keyHeads * size);
  auto at = [&](int64_t position, int64_t head) {
    return keys.data() + (position * cache.keyHeads + head) * size;
  };
  for (float &key : keys)
    key = decodeHalf(problem.activation, encodeHalf(problem.activation, key));
  for (int64_t head = 0; head < cache.keyHeads; ++head)
    for (int64_t start = 0; start < length; start += group) {
      if (start + group > length && cache.recent)
        continue; // they are among the latest
      if (start + group > length) {
        for (int64_t p = start; p < length; ++p)
          for (int64_t i = 0; i < row; ++i) {
            float key = i < size ? at(p, head)[i] : 0;
            uint16_t bits = encodeHalf(problem.activation, key);
            std::memcpy(slot + head * cache.openHeadBytes() +
                            ((p - start) * row + i) * 2,
                        &bits, 2);
          }
        continue;
      }
      int64_t inPage = start % cache.page;
      uint8_t *run = pages + table[start / cache.page] * cache.pageBytes() +
                     cache.keyOffset(head);
      std::vector<int16_t> codes(size_t(group * row));
      uint8_t *scales =
          run + cache.keyCodeBytes() + inPage / group * cache.groupScaleBytes();
      std::memset(scales, 0, size_t(cache.groupScaleBytes()));
      for (int64_t i = 0; i < size; ++i) {
        std::vector<float *> column;
        for (int64_t t = 0; t < group; ++t)
          column.push_back(at(start + t, head) + i);
        std::vector<int16_t> numbers =
            encodeChannel(cache, column, scales + i * 2);
        for (int64_t t = 0; t < group; ++t)
          codes[size_t(t * row + i)] = numbers[size_t(t)];
      }
      for (int64_t t = 0; t < group; ++t)
        test::packRow(element,
                      {codes.begin() + t * row, codes.begin() + (t + 1) * row},
                      run + (inPage + t) * cache.keyCodeBytes() / cache.page);
    }
}

namespace {
/// Makes the arrays one after the other.
struct Maker {
  const Case &test;
  Arrays arrays;
  std::mt19937 random;
  std::normal_distribution<float> normal;

  Tensor &add(DType type, std::vector<int64_t> shape) {
    std::string name = "arg" + std::to_string(arrays.arguments.size());
    arrays.arguments.emplace_back(name, type, std::move(shape));
    return arrays.arguments.back();
  }
  void addQuery();
  void addPages(const Tensor &table);
  void storeHalves(const int32_t *row, size_t sequence, uint8_t *pages);
  void addRows();
  void addBatch(const Tensor &table);
  std::vector<float> addHeads();
};
} // namespace

void Maker::addQuery() {
  const Problem &problem = test.problem;
  int64_t used = problem.heads * problem.cache.keySize;
  Tensor &query = add(DType::U16, {test.tokens(), problem.queryStride});
  std::memset(query.data(), 0xff, query.bytes());
  for (int64_t token = 0; token < test.tokens(); ++token)
    for (int64_t i = 0; i < used; ++i) {
      uint16_t bits = encodeHalf(problem.activation, 1.5f * normal(random));
      query.as<uint16_t>()[token * problem.queryStride + i] = bits;
      arrays.query.push_back(decodeHalf(problem.activation, bits));
    }
  Tensor &output =
      add(DType::U16, {test.tokens(), problem.heads * problem.cache.valueSize});
  std::memset(output.data(), 0xff, output.bytes());
}

/// The first pages, whose memory slots have.
static int64_t slotPagesOf(const Case &test) {
  const cuda::KvPageLayout &cache = test.problem.cache;
  int64_t slots = int64_t(test.sequences.size()) * cache.slotBytes();
  return (slots + cache.pageBytes() - 1) / cache.pageBytes();
}

/// Pages in a random order; what no position has is not a number.
void Maker::addPages(const Tensor &table) {
  const cuda::KvPageLayout &cache = test.problem.cache;
  int64_t stride = test.problem.pageStride();
  int64_t count = slotPagesOf(test) + int64_t(test.sequences.size()) * stride;
  Tensor &pages = add(DType::U8, {count * cache.pageBytes()});
  std::memset(pages.data(), 0xff, pages.bytes());
  for (size_t s = 0; s < test.sequences.size(); ++s) {
    int64_t length = test.sequences[s].context + test.sequences[s].tokens;
    std::vector<float> keys, values, plainKeys, plainValues;
    const int32_t *row = table.as<int32_t>() + int64_t(s) * stride;
    for (int64_t position = 0; position < length; ++position)
      for (int64_t head = 0; head < cache.keyHeads; ++head) {
        int64_t in = position % cache.page;
        uint8_t *page = pages.as<uint8_t>() +
                        row[position / cache.page] * cache.pageBytes();
        std::vector<float> key(cache.keyRow()), value(cache.valueRow());
        for (int64_t i = 0; i < cache.keySize; ++i) // offsets are good for it
          key[size_t(i)] = normal(random) + (cache.keyOffsets() ? 2.f : 0.f);
        for (int64_t i = 0; i < cache.valueSize; ++i)
          value[size_t(i)] = normal(random);
        plainKeys.insert(plainKeys.end(), key.begin(),
                         key.begin() + cache.keySize);
        plainValues.insert(plainValues.end(), value.begin(),
                           value.begin() + cache.valueSize);
        uint8_t *k = page + cache.keyOffset(head),
                *v = page + cache.valueOffset(head);
        if (!cache.keyGroup())
          storeVector(cache.key, key.data(), cache.keyRow(),
                      k + in * cache.keyCodeBytes() / cache.page,
                      k + cache.keyCodeBytes() + 2 * in);
        uint8_t *codes = v + in * cache.valueCodeBytes() / cache.page,
                *scales = v + cache.valueCodeBytes() + 2 * in;
        if (cache.valueGroup())
          storeValueGroups(test.problem, value, codes, scales);
        else
          storeVector(cache.value, value.data(), cache.valueRow(), codes,
                      scales);
        keys.insert(keys.end(), key.begin(), key.begin() + cache.keySize);
        values.insert(values.end(), value.begin(),
                      value.begin() + cache.valueSize);
      }
    if (cache.recent) {
      for (auto *numbers : {&plainKeys, &plainValues})
        for (float &number : *numbers)
          number = decodeHalf(test.problem.activation,
                              encodeHalf(test.problem.activation, number));
      arrays.halfKeys.push_back(std::move(plainKeys));
      arrays.halfValues.push_back(std::move(plainValues));
      storeHalves(row, s, pages.as<uint8_t>());
    }
    if (cache.keyGroup())
      storeGroups(test.problem, row, keys, pages.as<uint8_t>(),
                  pages.as<uint8_t>() + row[stride - 1] * cache.slotBytes());
    arrays.keys.push_back(std::move(keys));
    arrays.values.push_back(std::move(values));
  }
}

/// A row of halves, with zeros behind the head's end.
static void storeRow(const Problem &problem, const float *numbers, int64_t size,
                     uint8_t *row) {
  for (int64_t i = 0; i < ((size + 7) & ~7); ++i) {
    uint16_t bits = encodeHalf(problem.activation, i < size ? numbers[i] : 0);
    std::memcpy(row + i * 2, &bits, 2);
  }
}

/// The slot of a sequence: its first positions, and where the step has one new
/// token its latest ones.
void Maker::storeHalves(const int32_t *row, size_t sequence, uint8_t *pages) {
  const cuda::KvPageLayout &cache = test.problem.cache;
  const SequenceCase &seen = test.sequences[sequence];
  int64_t length = seen.context + seen.tokens, recent = cache.recent;
  int64_t keyBytes = cache.keyHalfBytes(), valueBytes = cache.valueHalfBytes();
  uint8_t *slot =
      pages + row[test.problem.pageStride() - 1] * cache.slotBytes();
  for (int64_t head = 0; head < cache.keyHeads; ++head) {
    uint8_t *keys = slot + head * cache.halvesHeadBytes();
    uint8_t *values = keys + recent * keyBytes;
    uint8_t *firstKeys = values + recent * valueBytes;
    uint8_t *firstValues = firstKeys + cache.first * keyBytes;
    auto store = [&](int64_t position, uint8_t *key, uint8_t *value) {
      int64_t at = position * cache.keyHeads + head;
      storeRow(test.problem,
               arrays.halfKeys[sequence].data() + at * cache.keySize,
               cache.keySize, key);
      storeRow(test.problem,
               arrays.halfValues[sequence].data() + at * cache.valueSize,
               cache.valueSize, value);
    };
    for (int64_t p = std::max<int64_t>(length - recent, 0);
         seen.tokens == 1 && p < length; ++p)
      store(p, keys + p % recent * keyBytes, values + p % recent * valueBytes);
    for (int64_t p = 0; p < std::min(cache.first, length); ++p)
      store(p, firstKeys + p * keyBytes, firstValues + p * valueBytes);
  }
}

/// Rows of the step, of sequences with several new tokens.
void Maker::addRows() {
  const cuda::KvPageLayout &cache = test.problem.cache;
  int64_t count = int64_t(test.sequences.size()), each = cache.recent + 30;
  Tensor &rows =
      add(DType::U8, {(test.tokens() + count * each) * cache.stepRowBytes()});
  std::memset(rows.data(), 0xff, rows.bytes());
  int64_t token = 0, keyBytes = cache.keyHalfBytes();
  for (int64_t s = 0; s < count;
       token += test.sequences[size_t(s)].tokens, ++s) {
    auto [tokens, context] = test.sequences[size_t(s)];
    int64_t base = std::max<int64_t>(context - cache.recent, 0) & ~15;
    int64_t all = (context + tokens - base + 15) & ~15;
    for (int64_t head = 0; tokens > 1 && head < cache.keyHeads; ++head) {
      uint8_t *keys = rows.as<uint8_t>() +
                      (token + s * each) * cache.stepRowBytes() +
                      head * all * (keyBytes + cache.valueHalfBytes());
      for (int64_t p = base; p < context + tokens; ++p) {
        int64_t at = p * cache.keyHeads + head;
        storeRow(test.problem,
                 arrays.halfKeys[size_t(s)].data() + at * cache.keySize,
                 cache.keySize, keys + (p - base) * keyBytes);
        storeRow(test.problem,
                 arrays.halfValues[size_t(s)].data() + at * cache.valueSize,
                 cache.valueSize,
                 keys + all * keyBytes + (p - base) * cache.valueHalfBytes());
      }
    }
  }
}

void Maker::addBatch(const Tensor &table) {
  Tensor &pageTable = add(DType::I32, table.shape());
  std::memcpy(pageTable.data(), table.data(), table.bytes());
  int64_t count = int64_t(test.sequences.size());
  int32_t *starts = add(DType::I32, {count + 1}).as<int32_t>();
  int32_t *contexts = add(DType::I32, {count}).as<int32_t>();
  for (int64_t s = 0; s < count; ++s) {
    starts[s + 1] = starts[s] + int32_t(test.sequences[s].tokens);
    contexts[s] = int32_t(test.sequences[s].context);
  }
  Tensor &workspace =
      add(DType::F32, {std::max<int64_t>(test.launch.workspaceBytes / 4, 1)});
  std::memset(workspace.data(), 0xff, workspace.bytes());
  add(DType::U32, {std::max<int64_t>(test.launch.counters, 1)});
}

std::vector<float> Maker::addHeads() {
  std::vector<float> values;
  Tensor &tensor = add(DType::F32, {test.problem.heads});
  for (int64_t i = 0; i < test.problem.heads; ++i) {
    values.push_back(0.25f * normal(random));
    tensor.as<float>()[i] = values.back();
  }
  return values;
}

Arrays attention_decode::makeArrays(const Case &test) {
  Maker maker{test, {}, std::mt19937(test.seed), {}};
  int64_t count = int64_t(test.sequences.size());
  int64_t stride = test.problem.pageStride();
  Tensor table("", DType::I32, {count, stride});
  for (int64_t i = 0; i < table.elements(); ++i)
    table.as<int32_t>()[i] = int32_t(slotPagesOf(test) + i);
  std::shuffle(table.as<int32_t>(), table.as<int32_t>() + table.elements(),
               maker.random);
  for (int64_t s = 0; test.problem.cache.hasSlots() && s < count; ++s)
    table.as<int32_t>()[(s + 1) * stride - 1] = int32_t(count - 1 - s);
  maker.addQuery();
  maker.addPages(table);
  maker.addBatch(table);
  if (test.problem.slopes)
    maker.arrays.slopes = maker.addHeads();
  if (test.problem.sinks)
    maker.arrays.sinks = maker.addHeads();
  if (test.problem.cache.recent)
    maker.addRows();
  return std::move(maker.arrays);
}
