// Parsing of cases and their random arrays.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Case.h"

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

/// The codes of a channel of a group, its scale and offset, and what its keys
/// now stand for.
static std::vector<int16_t> encodeChannel(const cuda::KvPageLayout &cache,
                                          const std::vector<float *> &column,
                                          uint8_t *scales) {
  const quant::Element &element = quant::elementOf(cache.key.element);
  float most = *column[0], least = most, offset = 0;
  for (const float *key : column) {
    most = std::max(most, *key);
    least = std::min(least, *key);
  }
  int lowest = -element.maxCode - cache.keyOffsets();
  uint16_t bits = quant::floatToHalf(
      cache.keyOffsets() ? (most - least) / float(element.maxCode - lowest)
                         : std::max(most, -least) / float(element.maxCode));
  std::memcpy(scales, &bits, 2);
  float step = decodeHalf(ElementType::F16, bits);
  if (cache.keyOffsets()) {
    bits = quant::floatToHalf(least - float(lowest) * step);
    std::memcpy(scales + cache.keyRow() * 2, &bits, 2);
    offset = decodeHalf(ElementType::F16, bits);
  }
  std::vector<int16_t> codes;
  for (float *key : column) {
    float code = std::clamp(std::nearbyint((*key - offset) / step),
                            float(lowest), float(element.maxCode));
    codes.push_back(int16_t(code));
    *key = code * step + offset;
  }
  return codes;
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
        element.pack(codes.data() + t * row, row,
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
    std::vector<float> keys, values;
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
        uint8_t *k = page + cache.keyOffset(head),
                *v = page + cache.valueOffset(head);
        if (!cache.keyGroup())
          storeVector(cache.key, key.data(), cache.keyRow(),
                      k + in * cache.keyCodeBytes() / cache.page,
                      k + cache.keyCodeBytes() + 2 * in);
        storeVector(cache.value, value.data(), cache.valueRow(),
                    v + in * cache.valueCodeBytes() / cache.page,
                    v + cache.valueCodeBytes() + 2 * in);
        keys.insert(keys.end(), key.begin(), key.begin() + cache.keySize);
        values.insert(values.end(), value.begin(),
                      value.begin() + cache.valueSize);
      }
    if (cache.keyGroup())
      storeGroups(test.problem, row, keys, pages.as<uint8_t>(),
                  pages.as<uint8_t>() + row[stride - 1] * cache.slotBytes());
    arrays.keys.push_back(std::move(keys));
    arrays.values.push_back(std::move(values));
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
  for (int64_t s = 0; test.problem.cache.keyGroup() && s < count; ++s)
    table.as<int32_t>()[(s + 1) * stride - 1] = int32_t(count - 1 - s);
  maker.addQuery();
  maker.addPages(table);
  maker.addBatch(table);
  if (test.problem.slopes)
    maker.arrays.slopes = maker.addHeads();
  if (test.problem.sinks)
    maker.arrays.sinks = maker.addHeads();
  return std::move(maker.arrays);
}
