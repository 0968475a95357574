// Attention over a paged cache in the order of a GPU's sums. For comparisons,
// not for speed.
//
// What a warp does with a tile, for each row, in base 2:
//
//   scores    products of 16 channels, of every 32 first those 8t…8t+3, then
//             8t+4…8t+7 (int4: 0, 1, 4, 5 of eight, then 2, 3, 6, 7), in one
//             chain; then times scale · log2 e (· the position's scale)
//   maximum   of the tile and all before; sum and output so far are corrected
//   sum       eight lanes; lane g adds positions g, g+8, g+16 … of each tile,
//             and the lanes are added in a butterfly at the end
//   output    a chain of products of 16 positions; the probabilities, times the
//             values' scales, are rounded to the activation's type
//
// Keys in groups have a scale, and perhaps an offset, for each channel. Of a
// full group the queries are multiplied by the scales and rounded, for all its
// tiles, and the chain of a score begins with the products of the queries with
// the offsets, rounded, too; of the open group keys are halves as they wait. A
// tile lies in one group. Values in groups are numbers of the activation's
// type: code · scale + offset, rounded once, of numbers of that type.
//
// Probabilities are 2^bias times as large, so that with a scale they are still
// halves. Two parts a and b of the positions become one: with m the larger
// maximum, fma(a, 2^(ma − m), b · 2^(mb − m)).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Quant/FloatConversion.h"
#include "runtime/emulator/numerics/Approximate.h"
#include "runtime/emulator/numerics/Half.h"
#include "runtime/host/KeyGroups.h"
#include "runtime/host/ProductSum.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numbers>
#include <string>

namespace qopt::host {
namespace {

using quant::ElementType;

constexpr int64_t productTerms = 16, stepChannels = 32, laneCount = 8;
constexpr double log2OfE = std::numbers::log2e;

int64_t ceilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }
float exp2Of(float x) { return emulator::numerics::exponential2<true>(x); }
float reciprocalOf(float x) {
  return emulator::numerics::reciprocalApproximate<true>(x);
}

/// Element `index` of codes that begin at `row`.
float elementAt(ElementType type, const uint8_t *row, int64_t index) {
  uint16_t half;
  switch (type) {
  case ElementType::F16:
  case ElementType::BF16:
    std::memcpy(&half, row + 2 * index, 2);
    return type == ElementType::F16 ? quant::halfToFloat(half)
                                    : quant::bfloat16ToFloat(half);
  case ElementType::Fp8E4m3:
    return quant::e4m3ToFloat(row[index]);
  case ElementType::Int8:
    return float(int8_t(row[index]));
  default: { // integers of fewer bits, in two's complement
    int bits = quant::bitsOf(type), first = int(index * bits % 8);
    const uint8_t *byte = row + index * bits / 8;
    int field = byte[0] >> first;
    if (first + bits > 8)
      field |= byte[1] << (8 - first);
    int sign = 1 << (bits - 1);
    return float(((field & (2 * sign - 1)) ^ sign) - sign);
  }
  }
}

float halfAt(const uint8_t *halves, int64_t index) {
  return elementAt(ElementType::F16, halves, index);
}

/// Positions with what the tensor cores multiply.
struct Positions {
  int64_t first = 0; ///< of those that are here
  int64_t channels = 0, padded = 0;
  std::vector<float> keys;   ///< [position][padded] in the order of products
  std::vector<float> values; ///< [channel][position]
  std::vector<float> keyScales, valueScales; ///< empty where there are none
  int64_t count = 0;                         ///< a multiple of a tile

  /// Numbers of the channels, in the order of products; empty where a group is
  /// open, or has no offsets.
  struct Group {
    std::vector<float> scales, offsets;
  };
  int64_t firstGroup = 0;
  std::vector<Group> groups; ///< empty where keys are in none
};

/// A part of the positions of a row.
struct Part {
  float maximum = -1e30f, total = 0;
  std::vector<float> output;
};

/// Rows of a key head that one block has.
struct RowBlock {
  int64_t sequence, keyHead, firstRow, rows;
};

class OrderedAttention {
public:
  explicit OrderedAttention(const CachedAttentionArguments &arguments)
      : a(arguments), order(*arguments.order), layout(arguments.layout),
        sharing(arguments.heads / arguments.layout.keyHeads),
        leastExponent(order.bf16 ? leastExponentOfFloat : leastExponentOfHalf) {
  }
  std::vector<RowBlock> blocks() const;
  void attend(const RowBlock &block) const;

private:
  int64_t newTokens(int64_t sequence) const {
    return a.batch.tokenStarts[sequence + 1] - a.batch.tokenStarts[sequence];
  }
  int64_t placeOf(int64_t channel) const;
  int64_t splits() const;
  Positions load(const RowBlock &block, int64_t from, int64_t to) const;
  void loadPosition(const RowBlock &block, int64_t position,
                    Positions &loaded) const;
  void loadKey(const uint8_t *keys, int64_t position, Positions &loaded) const;
  float valueOf(const uint8_t *values, int64_t token, int64_t channel) const;
  void loadGroups(const RowBlock &block, int64_t to, Positions &loaded) const;
  Positions::Group groupOf(const KeyGroupPlace &place) const;
  void loadKeyOfGroup(const RowBlock &block, int64_t position,
                      Positions &loaded) const;
  float bias() const {
    return float(probabilityExponent(layout.value, order.bf16));
  }
  float rounded(float value) const;

  /// A query row and the position of its token.
  struct Row {
    std::vector<float> query;
    int64_t position, head;
  };
  Row rowOf(const RowBlock &block, int64_t r) const;
  /// What a tile's keys are multiplied by, and what their chains begin with.
  struct TileQuery {
    std::vector<float> query;
    float start = 0;
  };
  TileQuery queryOf(const Row &row, const Positions &positions,
                    int64_t tile) const;
  float scoreOf(const Row &row, const TileQuery &query,
                const Positions &positions, int64_t p) const;
  void addTile(const Row &row, const Positions &positions, int64_t tile,
               Part &part, float (&lanes)[laneCount]) const;
  Part ofWarp(const Row &row, const Positions &positions, int64_t from,
              int64_t to) const;
  Part ofSplit(const Row &row, const Positions &positions, int64_t from,
               int64_t to) const;

  const CachedAttentionArguments &a;
  const AttentionSumOrder &order;
  const KvCacheLayout &layout;
  const int64_t sharing;
  const int leastExponent;
};

std::vector<RowBlock> OrderedAttention::blocks() const {
  std::vector<RowBlock> list;
  for (int64_t s = 0; s < a.batch.sequences; ++s)
    for (int64_t head = 0; head < layout.keyHeads; ++head) {
      int64_t all = newTokens(s) * sharing;
      for (int64_t first = 0; first < all; first += order.blockRows)
        list.push_back(
            {s, head, first, std::min(all - first, order.blockRows)});
    }
  return list;
}

/// Blocks along the positions: as many as fill the device.
int64_t OrderedAttention::splits() const {
  if (!order.context)
    return 1;
  int64_t tokens = 1 + a.batch.tokens() - a.batch.sequences;
  int64_t rows = ceilDiv(tokens * sharing, order.blockRows);
  int64_t seen = order.context;
  if (a.options.window)
    seen = std::min(seen, a.options.window - 1 + tokens);
  int64_t others = layout.keyHeads * rows * a.batch.sequences;
  int64_t count =
      std::min(order.room / others,
               ceilDiv(seen, order.warps * order.tilesPerWarp * order.tile));
  return std::max<int64_t>(count, 1);
}

// Keys and values -------------------------------------------------------------

/// Where a channel lies in the order of products.
int64_t OrderedAttention::placeOf(int64_t channel) const {
  int64_t t = channel % stepChannels / 8, c = channel % 8, product = c / 4,
          place = c % 4;
  if (layout.key.element == ElementType::Int4) {
    product = c % 4 / 2;
    place = c / 4 * 2 + c % 2;
  }
  return channel / stepChannels * stepChannels + product * productTerms +
         t * 4 + place;
}

void OrderedAttention::loadPosition(const RowBlock &block, int64_t position,
                                    Positions &loaded) const {
  int64_t page = a.batch.pageTable[block.sequence * a.batch.pageTableStride +
                                   position / layout.pageTokens];
  int64_t token = position % layout.pageTokens, at = position - loaded.first;
  const auto *start =
      static_cast<const uint8_t *>(a.pages) + page * layout.pageBytes();
  const uint8_t *keys = start + block.keyHead * layout.keyHeadBytes(),
                *values = start + layout.valueOffset() +
                          block.keyHead * layout.valueHeadBytes();
  if (layout.keyGroup())
    loadKeyOfGroup(block, position, loaded);
  else
    loadKey(keys, position, loaded);
  for (int64_t c = 0; c < layout.headSize; ++c)
    loaded.values[size_t(c * loaded.count + at)] = valueOf(values, token, c);
  if (layout.keyScales())
    loaded.keyScales[size_t(at)] = halfAt(keys + layout.keyCodeBytes(), token);
  if (layout.valueScales())
    loaded.valueScales[size_t(at)] =
        halfAt(values + layout.valueCodeBytes(), token);
}

/// A value, of groups with its scale and offset. `values`: a head's in a page.
float OrderedAttention::valueOf(const uint8_t *values, int64_t token,
                                int64_t channel) const {
  float code = elementAt(layout.value.element,
                         values + token * layout.valueRowBytes(), channel);
  if (!layout.valueGroup())
    return code;
  const uint8_t *numbers =
      values + layout.valueCodeBytes() + token * layout.valueScaleBytes();
  int64_t group = channel / layout.valueGroup();
  float scale = rounded(halfAt(numbers, group));
  if (layout.value.zero != quant::ZeroType::Float)
    return rounded(code * scale);
  int64_t groups = layout.headSize / layout.valueGroup();
  float offset = rounded(halfAt(numbers, groups + group));
  using namespace emulator::numerics;
  if (order.bf16)
    return quant::bfloat16ToFloat(fusedMultiplyAddHalf<Bfloat16>(
        quant::floatToBfloat16(code), quant::floatToBfloat16(scale),
        quant::floatToBfloat16(offset)));
  return quant::halfToFloat(fusedMultiplyAddHalf<Float16>(
      quant::floatToHalf(code), quant::floatToHalf(scale),
      quant::floatToHalf(offset)));
}

/// Keys of a page lie by channels, 16 positions side by side; two channels of
/// int4 are one byte.
void OrderedAttention::loadKey(const uint8_t *keys, int64_t position,
                               Positions &loaded) const {
  constexpr int64_t side = 16;
  int64_t token = position % layout.pageTokens, at = position - loaded.first;
  int bits = quant::bitsOf(layout.key.element);
  const uint8_t *group = keys + token / side * side * layout.keyRowBytes();
  for (int64_t c = 0; c < layout.headSize; ++c) {
    int64_t lineBytes = bits == 16 ? 2 * side : side;
    const uint8_t *line = group + (bits == 4 ? c / 2 : c) * lineBytes;
    loaded.keys[size_t(at * loaded.padded + placeOf(c))] =
        bits == 4 ? elementAt(ElementType::Int4, line + token % side, c % 2)
                  : elementAt(layout.key.element, line, token % side);
  }
}

/// The groups that positions up to `to` lie in: which are full is counted after
/// the step's tokens.
void OrderedAttention::loadGroups(const RowBlock &block, int64_t to,
                                  Positions &loaded) const {
  int64_t size = layout.keyGroup();
  int64_t length =
      a.batch.contextStarts[block.sequence] + newTokens(block.sequence);
  loaded.firstGroup = size ? loaded.first / size : 0;
  for (int64_t start = size * loaded.firstGroup; size && start < to;
       start += size)
    loaded.groups.push_back(
        start + size <= length
            ? groupOf(keyGroupPlace(layout, a.batch, block.sequence,
                                    block.keyHead, start))
            : Positions::Group());
}

Positions::Group OrderedAttention::groupOf(const KeyGroupPlace &place) const {
  const uint8_t *numbers = static_cast<const uint8_t *>(a.pages) + place.scales;
  auto padded = size_t(ceilDiv(layout.headSize, stepChannels) * stepChannels);
  bool hasOffsets = layout.key.zero == quant::ZeroType::Float;
  Positions::Group group{std::vector<float>(padded),
                         std::vector<float>(hasOffsets ? padded : 0)};
  for (int64_t c = 0; c < layout.headSize; ++c) {
    group.scales[size_t(placeOf(c))] = halfAt(numbers, c);
    if (hasOffsets)
      group.offsets[size_t(placeOf(c))] =
          rounded(halfAt(numbers, layout.headSize + c));
  }
  return group;
}

/// Codes of a full group, what waits of an open one.
void OrderedAttention::loadKeyOfGroup(const RowBlock &block, int64_t position,
                                      Positions &loaded) const {
  int64_t group = position / layout.keyGroup() - loaded.firstGroup;
  float *keys = &loaded.keys[size_t((position - loaded.first) * loaded.padded)];
  if (loaded.groups[size_t(group)].scales.empty()) {
    const uint16_t *open =
        openKeys(layout, a.pages, a.batch.slots[block.sequence], block.keyHead);
    for (int64_t c = 0; c < layout.headSize; ++c)
      keys[placeOf(c)] = quant::halfToFloat(
          open[position % layout.keyGroup() * layout.headSize + c]);
    return;
  }
  int64_t place = position % keyBlock;
  const uint8_t *codes = static_cast<const uint8_t *>(a.pages) +
                         keyGroupPlace(layout, a.batch, block.sequence,
                                       block.keyHead, position - place)
                             .codes;
  int64_t lineBytes = keyBlock * quant::bitsOf(layout.key.element) / 8;
  for (int64_t c = 0; c < layout.headSize; ++c)
    keys[placeOf(c)] =
        elementAt(layout.key.element, codes + c * lineBytes, place);
}

/// Positions [from, to), zeros behind them up to a whole tile.
Positions OrderedAttention::load(const RowBlock &block, int64_t from,
                                 int64_t to) const {
  Positions loaded;
  loaded.first = from;
  loaded.count = ceilDiv(to - from, order.tile) * order.tile;
  loaded.channels = layout.headSize;
  loaded.padded = ceilDiv(layout.headSize, stepChannels) * stepChannels;
  loaded.keys.resize(size_t(loaded.count * loaded.padded));
  loaded.values.resize(size_t(loaded.count * loaded.channels));
  if (layout.keyScales())
    loaded.keyScales.resize(size_t(loaded.count));
  if (layout.valueScales())
    loaded.valueScales.resize(size_t(loaded.count));
  loadGroups(block, to, loaded);
  for (int64_t position = from; position < to; ++position)
    loadPosition(block, position, loaded);
  return loaded;
}

// A row -----------------------------------------------------------------------

float OrderedAttention::rounded(float value) const {
  return roundedTo16(value, order.bf16);
}

OrderedAttention::Row OrderedAttention::rowOf(const RowBlock &block,
                                              int64_t r) const {
  int64_t place = block.firstRow + r, token = place / sharing;
  Row row;
  row.head = block.keyHead * sharing + place % sharing;
  row.position = a.batch.contextStarts[block.sequence] + token;
  row.query.resize(
      size_t(ceilDiv(layout.headSize, stepChannels) * stepChannels));
  const float *query =
      a.query + (a.batch.tokenStarts[block.sequence] + token) * a.queryStride +
      row.head * layout.headSize;
  for (int64_t c = 0; c < layout.headSize; ++c)
    row.query[size_t(placeOf(c))] = query[c];
  return row;
}

OrderedAttention::TileQuery
OrderedAttention::queryOf(const Row &row, const Positions &positions,
                          int64_t tile) const {
  TileQuery query{row.query};
  if (positions.groups.empty())
    return query;
  const Positions::Group &group = positions.groups[size_t(
      tile * order.tile / layout.keyGroup() - positions.firstGroup)];
  for (size_t c = 0; c < group.scales.size(); ++c)
    query.query[c] = rounded(row.query[c] * group.scales[c]);
  for (size_t c = 0; c < group.offsets.size(); c += productTerms)
    query.start = productSum(group.offsets.data() + c, row.query.data() + c,
                             productTerms, leastExponent, query.start);
  return query;
}

/// Of position p of those that are loaded; −∞ where the row does not see it.
float OrderedAttention::scoreOf(const Row &row, const TileQuery &query,
                                const Positions &positions, int64_t p) const {
  int64_t position = positions.first + p;
  if (position > row.position ||
      (a.options.window && position <= row.position - a.options.window))
    return -std::numeric_limits<float>::infinity();
  float score = query.start;
  for (int64_t c = 0; c < positions.padded; c += productTerms)
    score =
        productSum(positions.keys.data() + p * positions.padded + c,
                   query.query.data() + c, productTerms, leastExponent, score);
  double scale = double(a.options.scale) * log2OfE;
  if (a.options.softcap > 0)
    scale *= 2 / double(a.options.softcap);
  float factor = float(scale);
  if (!positions.keyScales.empty())
    factor = positions.keyScales[size_t(p)] * factor;
  score = score * factor;
  if (a.options.softcap > 0) {
    double cap = a.options.softcap * log2OfE;
    float power = exp2Of(score);
    score = std::fma(reciprocalOf(power + 1), float(-2 * cap), float(cap));
  }
  if (!a.alibiSlopes)
    return score;
  float slope = a.alibiSlopes[row.head] * float(log2OfE);
  return std::fma(slope, float(position - row.position), score);
}

void OrderedAttention::addTile(const Row &row, const Positions &positions,
                               int64_t tile, Part &part,
                               float (&lanes)[laneCount]) const {
  int64_t from = tile * order.tile - positions.first;
  TileQuery query = queryOf(row, positions, tile);
  std::vector<float> p(size_t(order.tile));
  float highest = -std::numeric_limits<float>::infinity();
  for (int64_t i = 0; i < order.tile; ++i) {
    p[size_t(i)] = scoreOf(row, query, positions, from + i);
    highest = std::fmax(highest, p[size_t(i)]);
  }
  float next = std::fmax(part.maximum, highest);
  float correction = exp2Of(part.maximum - next), base = next - bias();
  part.maximum = next;
  for (float &lane : lanes)
    lane = lane * correction;
  for (float &value : part.output)
    value = value * correction;
  for (int64_t i = 0; i < order.tile; ++i) {
    float &value = p[size_t(i)], &lane = lanes[i % laneCount];
    value = exp2Of(value - base);
    lane = lane + value;
    if (!positions.valueScales.empty())
      value = value * positions.valueScales[size_t(from + i)];
    value = rounded(value);
  }
  for (int64_t i = 0; i < order.tile; i += productTerms)
    for (int64_t c = 0; c < positions.channels; ++c)
      part.output[size_t(c)] = productSum(
          positions.values.data() + c * positions.count + from + i,
          p.data() + i, productTerms, leastExponent, part.output[size_t(c)]);
}

/// Tiles from `from` on, one for each turn of the warps.
Part OrderedAttention::ofWarp(const Row &row, const Positions &positions,
                              int64_t from, int64_t to) const {
  Part part;
  part.output.resize(size_t(layout.headSize));
  float lanes[laneCount] = {};
  for (int64_t tile = from; tile < to; tile += order.warps)
    addTile(row, positions, tile, part, lanes);
  for (int64_t distance = 1; distance < laneCount; distance *= 2)
    for (int64_t lane = 0; lane < laneCount; lane += 2 * distance)
      lanes[lane] = lanes[lane] + lanes[lane + distance];
  part.total = lanes[0];
  return part;
}

Part together(const Part &a, const Part &b) {
  Part sum;
  sum.maximum = std::fmax(a.maximum, b.maximum);
  float left = exp2Of(a.maximum - sum.maximum),
        right = exp2Of(b.maximum - sum.maximum);
  float other = b.total * right;
  sum.total = std::fma(a.total, left, other);
  for (size_t c = 0; c < a.output.size(); ++c) {
    float part = b.output[c] * right;
    sum.output.push_back(std::fma(a.output[c], left, part));
  }
  return sum;
}

Part OrderedAttention::ofSplit(const Row &row, const Positions &positions,
                               int64_t from, int64_t to) const {
  Part sum = ofWarp(row, positions, from, to);
  for (int64_t warp = 1; warp < order.warps; ++warp)
    sum = together(sum, ofWarp(row, positions, from + warp, to));
  return sum;
}

void OrderedAttention::attend(const RowBlock &block) const {
  int64_t context = a.batch.contextStarts[block.sequence];
  int64_t end = context + (block.firstRow + block.rows - 1) / sharing + 1;
  int64_t first = 0;
  if (a.options.window)
    first = std::max<int64_t>(
        context + block.firstRow / sharing + 1 - a.options.window, 0);
  int64_t begin = first / order.tile, tiles = ceilDiv(end, order.tile) - begin;
  int64_t active =
      std::min(splits(), ceilDiv(tiles, order.warps * order.tilesPerWarp));
  Positions positions = load(block, begin * order.tile, end);
  for (int64_t r = 0; r < block.rows; ++r) {
    Row row = rowOf(block, r);
    Part sum = ofSplit(row, positions, begin, begin + tiles / active);
    for (int64_t s = 1; s < active; ++s)
      sum = together(sum, ofSplit(row, positions, begin + s * tiles / active,
                                  begin + (s + 1) * tiles / active));
    float inverse = sum.total > 0 ? reciprocalOf(sum.total) : 0;
    int64_t token =
        a.batch.tokenStarts[block.sequence] + (block.firstRow + r) / sharing;
    float *output =
        a.output + token * a.outputStride + row.head * layout.headSize;
    for (int64_t c = 0; c < layout.headSize; ++c)
      output[c] = sum.output[size_t(c)] * inverse;
  }
}

} // namespace

void orderedCachedAttention(const CachedAttentionArguments &arguments,
                            ThreadPool &pool) {
  OrderedAttention attention(arguments);
  std::vector<RowBlock> blocks = attention.blocks();
  pool.parallelFor(int64_t(blocks.size()), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      attention.attend(blocks[size_t(i)]);
  });
}

Status isValid(const AttentionSumOrder &order, const KvCacheLayout &layout) {
  constexpr int64_t most = 1 << 20;
  for (int64_t number : {order.warps, order.blockRows, order.tilesPerWarp,
                         order.room, order.tile, order.context + 1})
    if (number < 1 || number > most)
      return Status(StatusCode::InvalidArgument,
                    "an order of sums without warps, rows or tiles");
  if (order.tile % productTerms)
    return Status(StatusCode::InvalidArgument,
                  "an order of sums with tiles of " +
                      std::to_string(order.tile) +
                      " positions; expected a multiple of 16");
  int64_t group = layout.keyGroup();
  if (group % order.tile)
    return Status(
        StatusCode::Unsupported,
        "an order of sums with tiles of " + std::to_string(order.tile) +
            " positions for keys in groups of " + std::to_string(group) +
            "; expected tiles that divide it");
  for (const quant::Format &format : {layout.key, layout.value})
    if (format.element == ElementType::F32 || layout.recent)
      return Status(StatusCode::Unsupported,
                    "a cache of " + quant::spell(layout.key) + " and " +
                        quant::spell(layout.value) +
                        " has no order of a GPU's sums; expected f16, bf16, "
                        "int8, int4, fp8_e4m3 or integers in groups without "
                        "latest positions");
  return Status();
}

} // namespace qopt::host
