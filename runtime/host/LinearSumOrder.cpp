// The linear kernel in the order of a GPU's sums: one row of W after another is
// unpacked to the numbers that the kernel multiplies, and its sums with every
// token are made one product at a time. For comparisons, not for speed.
//
// What a warp adds to a row's sum for a unit of 128 columns, of groups with a
// scale, or of all its columns where a row has one scale:
//
//   start of a group   0, or −(base + zero) · Σx, rounded
//   its products       of 16 columns each, of every 32 columns first those
//                      8t…8t+3, then 8t+4…8t+7 (t = 0…3), in one chain or, even
//                      and odd products, in two, which are then added
//   sum                fma(scale, group, sum); without groups the sum itself is
//                      what the chain starts from: fma(Σx, −(base + zero), sum)
//
// Rounded weights (RoundedWeight.h) have no groups here, but are multiplied as
// those of one scale a row; gemm's chain goes through all units.
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Quant/FloatConversion.h"
#include "runtime/host/LinearKernels.h"
#include "runtime/host/ProductSum.h"
#include "runtime/host/RoundedWeight.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace qopt::host {
namespace {

constexpr int64_t mostUnitColumns = LinearSumOrder::mostUnitColumns;
constexpr int64_t stripRows = 16, productColumns = 16, chunkColumns = 32;
constexpr int64_t mostGroups = 4; ///< of a unit

int64_t ceilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

class OrderedLinear {
public:
  explicit OrderedLinear(const LinearArguments &arguments)
      : a(arguments), order(*arguments.order), format(a.layout.format),
        unitColumns(order.unitColumns),
        units(ceilDiv(a.layout.columns, unitColumns)),
        leastExponent(order.bf16 ? leastExponentOfFloat : leastExponentOfHalf) {
    if (format.isGrouped() && !order.roundsWeights)
      groupColumns = format.groupSize;
    int64_t strips = ceilDiv(order.paired ? a.layout.rows / 2 : a.layout.rows,
                             order.paired ? stripRows / 2 : stripRows);
    tiles = ceilDiv(strips, order.tileStrips);
    steps = ceilDiv(order.unitsPerSlice, order.unitsPerStep);
    for (int64_t m = 0; m < a.rows; ++m)
      tokens.push_back(tokenOf(a.input + m * a.inputStride));
  }

  void addRow(int64_t n);

private:
  /// A row of x, in the order of products, and its Σx.
  struct Token {
    std::vector<float> x, sums;
  };
  Token tokenOf(const float *x) const;
  float sumOfThreads(const float *x) const;
  float sumOfProducts(const float *x) const;
  void unpackRow(int64_t n);
  void readScales(int64_t n);
  float weightOf(float number, int64_t k) const;

  float sumOfSlices(const Token &token) const;
  float sumOfBlocks(const Token &token, int64_t slice) const;
  float sumOfWarps(const Token &token, int64_t slice, int64_t from,
                   int64_t to) const;
  float sumOfUnits(const Token &token, int64_t slice, int64_t from, int64_t to,
                   int64_t warp) const;
  void addUnit(const Token &token, int64_t unit, float *sums) const;
  float addZeros(const Token &token, int64_t unit, float sum) const;
  float addGroup(const Token &token, int64_t first, int64_t columns,
                 float sum) const;
  float sumOfX(const Token &token, int64_t first, int64_t columns) const;
  float finish(const Token &token, int64_t n) const;

  const LinearArguments &a;
  const LinearSumOrder &order;
  const quant::Format &format;
  const int64_t unitColumns, units;
  const int leastExponent;
  int64_t groupColumns = 0; ///< 0: sums have one scale a row, or none
  int64_t tiles, steps;
  std::vector<Token> tokens;
  // The row.
  std::vector<float> numbers, scales, zeros;
  int64_t tile = 0;
  float base = 0;
};

/// Where column k of a unit lies in the order of products: lane t has the eight
/// columns 8t… of every 32, four of each product.
int64_t placeOf(int64_t k) {
  int64_t t = k % chunkColumns / 8, product = k % 8 / 4;
  return k / chunkColumns * chunkColumns + product * productColumns + t * 4 +
         k % 4;
}

// x ---------------------------------------------------------------------------

OrderedLinear::Token OrderedLinear::tokenOf(const float *x) const {
  Token token;
  std::vector<float> padded(size_t(units * unitColumns));
  std::copy_n(x, a.layout.columns, padded.begin());
  token.x.resize(padded.size());
  for (int64_t k = 0; k < int64_t(padded.size()); ++k)
    token.x[size_t(placeOf(k))] = padded[size_t(k)];
  bool sums = order.corrects || order.zerosByProduct;
  for (int64_t first = 0; sums && first < int64_t(padded.size());
       first += order.sumColumns)
    token.sums.push_back(order.sumsByThreads
                             ? sumOfThreads(padded.data() + first)
                             : sumOfProducts(token.x.data() + first));
  return token;
}

/// Eight columns a thread, pairs first; then neighbouring lanes in a butterfly.
float OrderedLinear::sumOfThreads(const float *x) const {
  constexpr int64_t ofThread = 8;
  float sums[mostUnitColumns / ofThread];
  int64_t lanes = order.sumColumns / ofThread;
  for (int64_t lane = 0; lane < lanes; ++lane) {
    const float *own = x + lane * ofThread;
    sums[lane] = own[0] + own[1];
    for (int64_t i = 2; i < ofThread; i += 2)
      sums[lane] = sums[lane] + (own[i] + own[i + 1]);
  }
  for (int64_t distance = lanes / 2; distance; distance /= 2)
    for (int64_t lane = 0; lane < distance; ++lane)
      sums[lane] = sums[lane] + sums[lane + distance];
  return sums[0];
}

/// Products with ones, even and odd ones apart.
float OrderedLinear::sumOfProducts(const float *x) const {
  static constexpr float ones[] = {1, 1, 1, 1, 1, 1, 1, 1,
                                   1, 1, 1, 1, 1, 1, 1, 1};
  float sums[2] = {0, 0};
  for (int64_t i = 0; i < order.sumColumns / productColumns; ++i)
    sums[i % 2] = productSum(ones, x + i * productColumns, productColumns,
                             leastExponent, sums[i % 2]);
  return sums[0] + sums[1];
}

/// Σx of a group.
float OrderedLinear::sumOfX(const Token &token, int64_t first,
                            int64_t columns) const {
  int64_t part = first / order.sumColumns;
  float sum = token.sums[size_t(part)];
  for (int64_t i = 1; i < columns / order.sumColumns; ++i)
    sum = sum + token.sums[size_t(part + i)];
  return sum;
}

// A row -----------------------------------------------------------------------

void OrderedLinear::unpackRow(int64_t n) {
  const LinearLayout &layout = a.layout;
  int64_t half = layout.rows / 2;
  int64_t ofStrip = order.paired ? stripRows / 2 : stripRows;
  int64_t place = order.paired ? n % half : n;
  bool lower = order.paired ? n >= half : n % stripRows >= stripRows / 2;
  tile = place / ofStrip / order.tileStrips;
  base = float(lower ? order.baseLower : order.baseUpper);

  readScales(n);
  // Numbers of books are integers around 0, those of nf4 rounded.
  float bookZero =
      hasBook(format.element) ? float(symmetricZero(format.element)) : 0;
  bool coded = quant::elementOf(format.element).isInteger();
  numbers.assign(size_t(units * unitColumns), 0);
  for (int64_t k = 0; k < layout.columns; ++k) {
    float number = quant::numberUnit(format.element) *
                   (packedNumber(layout, a.weight, n, k) - bookZero);
    if (format.element == quant::ElementType::Nf4)
      number = roundedTo16(number, order.bf16);
    numbers[size_t(placeOf(k))] =
        order.roundsWeights ? weightOf(number, k) : number + (coded ? base : 0);
  }
}

void OrderedLinear::readScales(int64_t n) {
  const LinearLayout &layout = a.layout;
  float unit = quant::numberUnit(format.element);
  scales.clear();
  zeros.clear();
  const uint8_t *packed = static_cast<const uint8_t *>(a.weight) +
                          n / tileRows * layout.tileBytes();
  for (int64_t g = 0; !layout.isFloat() && g < layout.groups(); ++g) {
    scales.push_back(packedScale(layout, packed, n % tileRows, g) / unit);
    zeros.push_back(format.isSymmetric()
                        ? float(order.zero)
                        : packedZero(layout, packed, n % tileRows, g));
  }
}

/// The weight of column k, as gemm rounds it.
float OrderedLinear::weightOf(float number, int64_t k) const {
  if (scales.empty())
    return number;
  auto group = size_t(scales.size() > 1 ? k / format.groupSize : 0);
  return roundedWeight(format, {order.bf16, float(order.scaleFactor)}, number,
                       zeros[group], scales[group]);
}

/// Columns [first, first + columns): a group, or what a unit has of it.
float OrderedLinear::addGroup(const Token &token, int64_t first,
                              int64_t columns, float sum) const {
  float start = groupColumns ? 0 : sum;
  if (order.corrects) {
    float shift = -base;
    if (!order.zerosByProduct)
      shift = shift - zeros[size_t(groupColumns ? first / groupColumns : 0)];
    float x = sumOfX(token, first, columns);
    start = groupColumns ? x * shift : std::fma(x, shift, sum);
  }
  float chains[2] = {start, 0};
  for (int64_t i = 0; i < columns / productColumns; ++i) {
    float &chain = chains[order.twoChains ? i % 2 : 0];
    int64_t at = first + i * productColumns;
    chain = productSum(numbers.data() + at, token.x.data() + at, productColumns,
                       leastExponent, chain);
  }
  float product = order.twoChains ? chains[0] + chains[1] : chains[0];
  return groupColumns
             ? std::fma(scales[size_t(first / groupColumns)], product, sum)
             : product;
}

/// `sums`: one, or of each of the unit's groups.
void OrderedLinear::addUnit(const Token &token, int64_t unit,
                            float *sums) const {
  int64_t first = unit * unitColumns;
  if (order.zerosByProduct)
    sums[0] = addZeros(token, unit, sums[0]);
  int64_t columns =
      groupColumns ? std::min(groupColumns, unitColumns) : unitColumns;
  for (int64_t g = 0; g < unitColumns / columns; ++g)
    if (int64_t at = first + g * columns; at < a.layout.columns) {
      float &sum = sums[order.spreadGroups ? g : 0];
      sum = addGroup(token, at, columns, sum);
    }
}

/// −scale · zero · Σx of a unit's groups as two products of tf32, in which both
/// factors are the sums of two numbers; of zero + base where groups start at 0.
float OrderedLinear::addZeros(const Token &token, int64_t unit,
                              float sum) const {
  bool halves = format.scale == quant::ScaleType::F16 && !format.hasTwoLevels();
  float product[2 * mostGroups] = {}, upperX[2 * mostGroups] = {},
                    lowerX[2 * mostGroups] = {};
  float unsaid = order.corrects ? 0 : base;
  for (int64_t g = 0; g < mostGroups; ++g) {
    int64_t group = unit * mostGroups + g;
    if (group >= int64_t(zeros.size()))
      break;
    float scale = scales[size_t(group)], zero = -zeros[size_t(group)] - unsaid;
    double exact = double(scale) * double(zero);
    float upper, lower;
    if (halves) {
      upper = quant::halfToFloat(quant::floatToHalf(float(exact)));
      lower = quant::halfToFloat(quant::floatToHalf(float(exact - upper)));
    } else {
      upper = tf32Of(scale * zero);
      lower = scale * zero - upper;
    }
    float sumX = token.sums[size_t(group)];
    product[g] = tf32Of(upper);
    product[g + mostGroups] = tf32Of(lower);
    upperX[g] = upperX[g + mostGroups] = tf32Of(sumX);
    lowerX[g] = lowerX[g + mostGroups] = tf32Of(sumX - upperX[g]);
  }
  sum = productSum(product, upperX, 2 * mostGroups, leastExponentOfFloat, sum);
  return productSum(product, lowerX, 2 * mostGroups, leastExponentOfFloat, sum);
}

// Sums of warps, blocks and slices --------------------------------------------

/// The units of steps [from, to) that are the warp's.
float OrderedLinear::sumOfUnits(const Token &token, int64_t slice, int64_t from,
                                int64_t to, int64_t warp) const {
  float sums[mostGroups] = {};
  int64_t begin = slice * order.unitsPerSlice;
  int64_t here = std::min(units - begin, order.unitsPerSlice);
  int64_t end = std::min(to * order.unitsPerStep, here);
  for (int64_t u = from * order.unitsPerStep + warp; u < end;
       u += order.columnWarps)
    addUnit(token, begin + u, sums);
  int64_t count = order.spreadGroups ? unitColumns / groupColumns : 1;
  for (int64_t distance = 1; distance < count; distance *= 2)
    for (int64_t g = 0; g < count; g += 2 * distance)
      sums[g] = sums[g] + sums[g + distance];
  return sums[0];
}

float OrderedLinear::sumOfWarps(const Token &token, int64_t slice, int64_t from,
                                int64_t to) const {
  float sum = sumOfUnits(token, slice, from, to, 0);
  for (int64_t warp = 1; warp < order.columnWarps; ++warp)
    sum = sum + sumOfUnits(token, slice, from, to, warp);
  return sum;
}

/// Block b has the steps [b · all / blocks, (b + 1) · all / blocks) of all
/// tiles.
float OrderedLinear::sumOfBlocks(const Token &token, int64_t slice) const {
  if (!order.blocks)
    return sumOfWarps(token, slice, 0, steps);
  int64_t all = tiles * steps, begin = tile * steps;
  auto ownerOf = [&](int64_t step) {
    return ((step + 1) * order.blocks - 1) / all;
  };
  float sum = 0;
  for (int64_t b = ownerOf(begin); b <= ownerOf(begin + steps - 1); ++b) {
    int64_t from = b * all / order.blocks, to = (b + 1) * all / order.blocks;
    sum = sum + sumOfWarps(token, slice, std::max(from - begin, int64_t(0)),
                           std::min(to - begin, steps));
  }
  return sum;
}

float OrderedLinear::sumOfSlices(const Token &token) const {
  float sum = sumOfBlocks(token, 0);
  for (int64_t slice = 1; slice < order.slices; ++slice)
    sum = sum + sumOfBlocks(token, slice);
  return sum;
}

float OrderedLinear::finish(const Token &token, int64_t n) const {
  float y = sumOfSlices(token);
  if (!format.isGrouped() && !scales.empty())
    y = y * scales[0];
  return a.bias ? y + a.bias[n] : y;
}

void OrderedLinear::addRow(int64_t n) {
  unpackRow(n);
  for (int64_t m = 0; m < a.rows; ++m) {
    float y = finish(tokens[size_t(m)], n);
    if (a.residual)
      y = y + a.residual[m * a.residualStride + n];
    a.output[m * a.outputStride + n] = y;
  }
}

void addTiles(const LinearArguments &arguments, int64_t begin, int64_t end) {
  OrderedLinear linear(arguments);
  int64_t last = std::min(end * tileRows, arguments.layout.rows);
  for (int64_t n = begin * tileRows; n < last; ++n)
    linear.addRow(n);
}

} // namespace

LinearBody orderedLinear(const LinearArguments &) { return addTiles; }

/// Whether the numbers of an order that rounds no weights are such as the rest
/// of this file reads.
static bool fitsGroups(const LinearSumOrder &order,
                       const LinearLayout &layout) {
  const quant::Format &format = layout.format;
  bool grouped = format.isGrouped();
  bool smallGroups = grouped && format.groupSize < mostUnitColumns;
  int64_t group =
      grouped ? std::min(format.groupSize, mostUnitColumns) : mostUnitColumns;
  return order.unitColumns == mostUnitColumns &&
         order.sumColumns >= chunkColumns && group % order.sumColumns == 0 &&
         (group == 32 || group == 64 || group == mostUnitColumns) &&
         (!order.spreadGroups || smallGroups) &&
         (!order.corrects || !format.isFloat()) &&
         (!order.zerosByProduct ||
          (group == 32 && !format.isSymmetric() && order.sumColumns == group &&
           !order.spreadGroups &&
           (order.corrects || format.zero == quant::ZeroType::U8)));
}

static bool fitsRoundedWeights(const LinearSumOrder &order) {
  return (order.unitColumns == mostUnitColumns / 2 ||
          order.unitColumns == mostUnitColumns) &&
         order.scaleFactor >= 1 && !order.spreadGroups &&
         !order.zerosByProduct && !order.corrects;
}

Status isValid(const LinearSumOrder &order, const LinearLayout &layout) {
  constexpr int64_t most = 1 << 20;
  for (int64_t number :
       {order.unitColumns, order.slices, order.unitsPerSlice, order.columnWarps,
        order.unitsPerStep, order.tileStrips, order.blocks + 1})
    if (number < 1 || number > most)
      return Status(StatusCode::InvalidArgument,
                    "an order of sums without warps, units or slices");
  int64_t units = ceilDiv(layout.columns, order.unitColumns);
  bool covers = order.unitsPerSlice * order.slices >= units &&
                order.unitsPerSlice * (order.slices - 1) < units;
  bool fits = order.roundsWeights ? fitsRoundedWeights(order)
                                  : fitsGroups(order, layout);
  if (!covers || !fits || (order.paired && layout.rows % 2))
    return Status(StatusCode::InvalidArgument,
                  "an order of sums for other weights than " +
                      quant::spell(layout.format) + " of " +
                      std::to_string(layout.rows) + "x" +
                      std::to_string(layout.columns));
  return Status();
}

} // namespace qopt::host
