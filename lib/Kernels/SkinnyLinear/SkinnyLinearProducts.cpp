// The consumers' main loop: units of weights from the ring times activations
// from shared memory. A read of activations serves all strips of the warp, an
// unpacked fragment all tokens.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/Builder/Fragments.h"
#include "lib/Kernels/SkinnyLinear/SkinnyLinearBody.h"
#include "lib/Kernels/SkinnyLinear/SkinnyLinearBook.h"

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::skinny_linear;

constexpr int chunkColumns = 32; // of one read of activations, two products

static void push(Kernel::Values &values, const std::vector<Accumulator> &sums) {
  for (const Accumulator &sum : sums)
    for (Real value : sum)
      values.push_back(value.value);
}

static std::vector<Accumulator> pop(Kernel &k, Kernel::Values &values,
                                    size_t count) {
  std::vector<Accumulator> sums(count);
  size_t first = values.size() - 4 * count;
  for (size_t i = 0; i < 4 * count; ++i)
    sums[i / 4][i % 4] = {{&k, values[first + i]}};
  values.resize(first);
  return sums;
}

Body::Sums Body::zeroSums() {
  Real zero = problem.hasCodes() ? Real{{&k, k.constant(0).value}} : k.real(0);
  return Sums(schedule.stripsPerWarp * plan.tokenTiles,
              Accumulator{zero, zero, zero, zero});
}

void Body::consume() {
  loadNormVectors();
  makeSegmentBook(0);
  k.waitForPredecessor();
  stageActivations();
  if (schedule.slices > 1)
    return consumeSlices();
  Kernel::Values carried;
  Ring::push(carried, weights().start());
  Ring::push(carried, partials().start());
  for (size_t i = 0; i < segments.size(); ++i) {
    beginSegment(i);
    carried = forTiles(segments[i], carried,
                       [&](TileSteps tile, Kernel::Values values) {
                         return consumeTile(i, tile, std::move(values));
                       });
  }
}

/// The book of a segment is there when all consumers have met.
void Body::makeSegmentBook(size_t segment) {
  book =
      makeBook(problem.segments[segment].weight, activation,
               k.pointer(Arguments::Weights).at(segments[segment].bookOffset),
               table, k.thread(), 32 * schedule.consumers());
}

/// Ahead of the products of a segment: those of the one before are done where
/// its table was.
void Body::beginSegment(size_t segment) {
  if (!segment)
    return;
  bool hasTable = bookBytes(problem.segments[segment].weight) > 0;
  if (hasTable)
    k.syncThreads(consumerBarrier, 32 * schedule.consumers());
  makeSegmentBook(segment);
  if (hasTable)
    k.syncThreads(consumerBarrier, 32 * schedule.consumers());
}

Body::Sums Body::multiplyTile(size_t segment, TileSteps tile,
                              Kernel::Values &values) {
  size_t count = zeroSums().size();
  int units = schedule.unitsPerStage[segment];
  push(values, zeroSums());
  values = k.loop(tile.from * units + columnWarp(),
                  tile.to * units + columnWarp(), k.constant(units),
                  std::move(values), [&](Int unit, Kernel::Values state) {
                    Sums sums = pop(k, state, count);
                    Ring::Cursor in = weights().pop(state);
                    weights().waitFull(in);
                    sums = multiplyStage(segment, weights().stage(in), unit,
                                         std::move(sums));
                    weights().release(in);
                    Ring::push(state, weights().next(in));
                    push(state, sums);
                    return state;
                  });
  Sums sums = pop(k, values, count);
  addGroups(segment, sums);
  return sums;
}

Kernel::Values Body::consumeTile(size_t segment, TileSteps tile,
                                 Kernel::Values values) {
  Ring::Cursor out = partials().pop(values);
  Sums sums = multiplyTile(segment, tile, values);
  partials().waitEmpty(out);
  storeSums(partials().stage(out), sums);
  partials().publish(out);
  Ring::push(values, partials().next(out));
  return values;
}

Int Body::columnWarp() { return k.warp() % schedule.columnWarps; }

/// First of the tile's strips that the warp works on.
Int Body::firstStrip() {
  return schedule.rowWarps == 1
             ? k.constant(0)
             : k.warp() / schedule.columnWarps * schedule.stripsPerWarp;
}

/// `unit` is the warp's first of the stage.
Body::Sums Body::multiplyStage(size_t segment, Int stage, Int unit, Sums sums) {
  int units = schedule.unitsPerStage[segment];
  int64_t unitBytes = segments[segment].unitBytes;
  Int place = firstStrip() * units + columnWarp();
  Int address = stage + (place * unitBytes + rowOfLane() * 4);
  // Unrolled where that gives the scheduler something to overlap; with many
  // tokens one unit has enough of it, and two have too many registers.
  if (!isRagged() && plan.tokenTiles < 4) {
    for (int i = 0; i < units; i += schedule.columnWarps)
      sums = multiplyUnit(segment, address + i * unitBytes, unit + i,
                          std::move(sums));
    return sums;
  }
  Int end = min(unitsHere() - unit, k.constant(units) - columnWarp());
  size_t count = sums.size();
  Kernel::Values carried;
  push(carried, sums);
  carried = k.loop(k.constant(0), end, k.constant(schedule.columnWarps),
                   std::move(carried), [&](Int i, Kernel::Values values) {
                     Sums next = multiplyUnit(segment, address + i * unitBytes,
                                              unit + i, pop(k, values, count));
                     push(values, next);
                     return values;
                   });
  return pop(k, carried, count);
}

Int Body::activationLane() {
  Int t = k.lane() & 3;
  Int address = activations + t * (problem.hasCodes() ? 8 : 16);
  return problem.tokens == 1
             ? address
             : address + (k.lane() >> 2) * plan.activationStride;
}

/// Row g of rows g and g+8 that the lane has of a strip.
Int Body::rowOfLane() { return k.lane() >> 2; }

/// `unitAddress` is that of a word of row g, as most planes have them; those of
/// `bytes` a row begin here.
Int Body::planesAddress(Int unitAddress, int64_t bytes) {
  return bytes == 4 ? unitAddress : unitAddress + rowOfLane() * (bytes - 4);
}

Body::Sums Body::multiplyUnit(size_t segment, Int unitAddress, Int unit,
                              Sums sums) {
  Int x = activationLane() + unit * plan.activationUnit;
  if (problem.hasCodes())
    return multiplyCodes(segment, planesAddress(unitAddress, 0), x,
                         std::move(sums));
  const quant::Format &format = problem.segments[segment].weight;
  blocks.clear();
  planes.clear();
  int groups = int(std::max<int64_t>(summedGroups(format), 1));
  Int none = k.constant(0), ofLane = k.lane() & (groups - 1);
  bool spread = spreadsGroups(problem, format);
  if (correctsByProduct(problem, format))
    sums = correctUnit({segment, 0, 1, ofLane, unit, unitAddress}, x,
                       std::move(sums));
  int rounds = spread ? 1 : groups;
  for (int group = 0; group < rounds; ++group) {
    Group part{segment, group,      rounds, spread ? ofLane : none,
               unit,    unitAddress};
    std::vector<std::array<Real, 2>> shifts, scales;
    for (int s = 0; s < schedule.stripsPerWarp && !roundsWeights(format); ++s) {
      shifts.push_back(shiftOf(part, s));
      scales.push_back(scaleOf(part, s));
    }
    // All tiles of tokens in turns: their products do not wait for each other,
    // and an unpacked fragment is needed no longer than that.
    std::vector<Sums> products;
    for (int tile = 0; tile < plan.tokenTiles; ++tile)
      products.push_back(beginGroup(part, tile, shifts, sums));
    multiplyGroup(part, x, products);
    for (int tile = 0; tile < plan.tokenTiles; ++tile)
      endGroup(part, tile, scales, products[tile], sums);
  }
  return sums;
}

/// The fragments of product `product` of a group, of each strip.
std::vector<Fragment> Body::unpackProducts(const Group &part, int product) {
  const quant::Format &format = problem.segments[part.segment].weight;
  int products = int(unitColumns / 16) / part.groups;
  int perBlock = productsPerBlock(format);
  std::vector<Fragment> a;
  for (int s = 0; s < schedule.stripsPerWarp; ++s) {
    int of = part.group * products + product;
    Fragment numbers =
        unpackProduct(k, format, activation, blockOf(part, s, of / perBlock),
                      of % perBlock, book);
    a.push_back(roundsWeights(format)
                    ? roundedWeights(k, format, activation,
                                     planesOf(part, s, of / 2), numbers)
                    : numbers);
  }
  return a;
}

/// A block of the unit, loaded once.
const std::vector<Int> &Body::blockOf(const Group &part, int strip, int block) {
  auto [place, isNew] = blocks.try_emplace({strip, block});
  if (isNew)
    place->second = loadBlock(problem.segments[part.segment].weight,
                              {planesAddress(part.unitAddress, 0),
                               stripOffset(part.segment, strip),
                               unitColumns / 16, k.constant(0)},
                              block);
  return place->second;
}

/// Scale, zero point and unit of the lane's group of a chunk of the unit,
/// loaded once.
const std::vector<Int> &Body::planesOf(const Group &part, int strip,
                                       int chunk) {
  auto [place, isNew] = planes.try_emplace({strip, chunk});
  std::vector<Int> &words = place->second;
  if (!isNew)
    return words;
  const quant::Format &format = problem.segments[part.segment].weight;
  Group lanes = part;
  lanes.unitAddress = planesAddress(part.unitAddress, 0);
  lanes.group = 2 * chunk;
  lanes.ofLane = groupOfLane(k);
  Plane scales = scalePlane(lanes, strip);
  loadPlane(words, format, scales.address, scales.offset,
            hasWideScales(format));
  if (!format.isSymmetric()) {
    Plane zeros = zeroPlane(lanes, strip);
    loadPlane(words, format, zeros.address, zeros.offset, hasWideZeros(format));
  }
  if (format.hasScaleFields())
    words.push_back(scaleUnits(part, strip));
  return words;
}

/// products[tile][strip]: the sums of a group, brought up to date.
void Body::multiplyGroup(const Group &part, Int x,
                         std::vector<Sums> &products) {
  int strips = schedule.stripsPerWarp;
  int chunks = int(unitColumns / chunkColumns) / part.groups;
  bool spread = spreadsGroups(problem, problem.segments[part.segment].weight);
  // Where a warp has one product in flight only, a second chain of sums hides
  // half of its latency; the other groups of a unit do so, too.
  bool alone = strips * products.size() == 1 && part.groups == 1;
  Accumulator second = zeroSums()[0];
  for (int chunk = 0; chunk < chunks; ++chunk) {
    std::vector<std::vector<Int>> b;
    Int columns = spread ? spreadActivations(part.segment, chunk, x) : x;
    for (size_t tile = 0; tile < products.size(); ++tile)
      b.push_back(
          k.loadShared(columns,
                       (part.group * chunks + chunk) * chunkColumns * 2 +
                           int64_t(tile) * 8 * plan.activationStride,
                       4));
    for (int half = 0; half < 2; ++half) {
      std::vector<Fragment> a = unpackProducts(part, 2 * chunk + half);
      for (size_t tile = 0; tile < products.size(); ++tile)
        for (int s = 0; s < strips; ++s) {
          Accumulator &sum = alone && half ? second : products[tile][s];
          sum = k.mma(activation, a[s],
                      {b[tile][2 * half], b[tile][2 * half + 1]}, sum);
        }
    }
  }
  for (int i = 0; alone && i < 4; ++i)
    products[0][0][i] = products[0][0][i] + second[i];
}

int64_t Body::stripOffset(size_t segment, int strip) const {
  return int64_t(strip) * schedule.unitsPerStage[segment] *
         segments[segment].unitBytes;
}

// Groups ----------------------------------------------------------------------

/// The activations of chunk `chunk` of a unit for column lane/4 of B: zeros
/// where that is another group's. Lanes that are served at once have the same
/// group, so that x and zeros meet in no bank.
Int Body::spreadActivations(size_t segment, int chunk, Int x) {
  int64_t groups = summedGroups(problem.segments[segment].weight);
  int64_t group = chunk * groups / (unitColumns / chunkColumns);
  Flag mine = ((k.lane() >> 3) & (groups - 1)) == group;
  return select(mine, x, zeros + (k.lane() & 3) * chunkBytes);
}

/// Whether what a format's codes are unpacked to is corrected by Σx.
bool Body::isShifted(const quant::Format &format) const {
  return !roundsWeights(format) &&
         (!format.isSymmetric() ||
          numbersOf(format, problem.activation).needsCorrection());
}

/// What Σx is multiplied by where the sums of a group of rows g and g+8 start.
std::array<double, 2> Body::startFactors(const quant::Format &format) const {
  Numbers numbers = numbersOf(format, problem.activation);
  double zero = format.isSymmetric() ? numbers.zero : 0;
  return {-(numbers.base[0] + zero), -(numbers.base[1] + zero)};
}

/// Where the table of a format begins.
Int Body::startAddress(const quant::Format &format) {
  std::vector<quant::Format> formats = startFormats(problem);
  int64_t offset = 0;
  for (int64_t i = 0; i < startIndex(problem, format); ++i)
    offset += startBytes(plan, formats[size_t(i)]);
  return starts + offset;
}

/// a · b of rows g and g+8 as sums of two numbers of tf32.
static std::array<std::array<Real, 2>, 2> splitProducts(std::array<Real, 2> a,
                                                        std::array<Real, 2> b) {
  auto low = splitTf32(a[0] * b[0]), high = splitTf32(a[1] * b[1]);
  return {std::array{low[0], high[0]}, std::array{low[1], high[1]}};
}

/// The start of a group of all strips.
Accumulator Body::startOf(const Group &part, int tile) {
  const quant::Format &format = problem.segments[part.segment].weight;
  int64_t stride = startStride(plan);
  Int address = startAddress(format) +
                part.unit * (summedGroups(format) * stride) +
                (k.lane() & 3) * 16;
  std::vector<Int> words =
      k.loadShared(address, part.group * stride + int64_t(tile) * 64, 4);
  Accumulator start;
  for (size_t i = 0; i < start.size(); ++i)
    start[i] = k.asReal(words[i]);
  return start;
}

/// −scale · zero of rows g and g+8, or −scale · (base + zero), as sums of two
/// numbers of tf32: products of halves, or of a code of 4 bits with a scale of
/// 17; with f32 scales to 22 bits.
std::array<std::array<Real, 2>, 2> Body::zeroProducts(const Group &part,
                                                      int strip) {
  const quant::Format &format = problem.segments[part.segment].weight;
  if (hasWideZeros(format)) {
    std::array<Real, 2> zero = zeroOf(part, strip);
    return splitProducts(scaleOf(part, strip),
                         {k.real(0) - zero[0], k.real(0) - zero[1]});
  }
  mlir::Type f16 = k.builder().getF16Type();
  Int zero = negateHalves(zeroHalves(part, strip), f16);
  if (sumsBesideX(problem, format)) {
    double base = numbersOf(format, problem.activation).base[0];
    zero = k.addHalves(zero, bothHalves(k, -base, f16), f16);
  }
  if (format.hasScaleFields() || hasWideScales(format))
    return splitProducts(scaleOf(part, strip), valuesOf(zero));
  std::array<Int, 2> halves = exactProduct(scaleHalves(part, strip), zero, f16);
  return {valuesOf(halves[0]), valuesOf(halves[1])};
}

/// Adds −scale · zero · Σx of a unit's groups as products: lane 4g+t has those
/// of group t; `x` is the address of its activations.
Body::Sums Body::correctUnit(const Group &part, Int x, Sums sums) {
  const quant::Format &format = problem.segments[part.segment].weight;
  std::vector<std::array<Real, 4>> zeros;
  for (int s = 0; s < schedule.stripsPerWarp; ++s) {
    auto [product, rest] = zeroProducts(part, s);
    zeros.push_back({product[0], product[1], rest[0], rest[1]});
  }
  for (int64_t tile = 0; tile < plan.tokenTiles; ++tile) {
    std::vector<Real> of = sumsBesideX(problem, format)
                               ? splitSumsBeside(x, tile)
                               : splitSumsOf(part, tile);
    for (int s = 0; s < schedule.stripsPerWarp; ++s) {
      Accumulator &sum = sums[size_t(s * plan.tokenTiles + tile)];
      for (size_t half = 0; half < 2; ++half)
        sum = mmaTf32(zeros[size_t(s)], {of[2 * half], of[2 * half + 1]}, sum);
    }
  }
  return sums;
}

/// Σx of the lane's group and token lane/4 as two numbers of tf32, each twice.
std::vector<Real> Body::splitSumsOf(const Group &part, int64_t tile) {
  Int address = corrections + part.unit * (4 * plan.correctionStride) +
                part.ofLane * plan.correctionStride + (k.lane() >> 2) * 4;
  auto [upper, lower] = splitTf32(k.loadSharedReal(address, tile * 32));
  return {upper, upper, lower, lower};
}

/// The same, which storeGroupSums has put beside x.
std::vector<Real> Body::splitSumsBeside(Int x, int64_t tile) {
  std::vector<Real> sums;
  for (Int word :
       k.loadShared(x, unitColumns * 2 + tile * 8 * plan.activationStride, 4))
    sums.push_back(k.asReal(word));
  return sums;
}

/// The groups of one token, each in lanes of its own, become its sums.
void Body::addGroups(size_t segment, Sums &sums) {
  const quant::Format &format = problem.segments[segment].weight;
  if (!spreadsGroups(problem, format))
    return;
  for (Accumulator &sum : sums)
    for (int row = 0; row < 2; ++row)
      for (int distance = 1; distance < summedGroups(format); distance *= 2)
        sum[2 * row] = k.addFromLane(sum[2 * row], distance);
}

/// Σx of the lane's two tokens over the columns of a group.
std::array<Real, 2> Body::correctionOf(const Group &part, int tile) {
  const quant::Format &format = problem.segments[part.segment].weight;
  int64_t perUnit = unitColumns / correctionColumns(problem);
  int64_t rowBytes = plan.correctionStride;
  int64_t count = perUnit / std::max<int64_t>(summedGroups(format), 1);
  Int address = corrections + part.unit * (perUnit * rowBytes) +
                part.ofLane * (count * rowBytes);
  bool alone = problem.tokens == 1; // all columns of B are the same token
  if (!alone)
    address = address + (k.lane() & 3) * 8;
  std::array<Real, 2> sum;
  for (int64_t i = 0; i < count; ++i) {
    int64_t offset = (part.group * count + i) * rowBytes + tile * 32;
    std::vector<Int> words = k.loadShared(address, offset, alone ? 1 : 2);
    words.resize(2, Int(words[0]));
    for (int e = 0; e < 2; ++e)
      sum[e] = i ? sum[e] + k.asReal(words[e]) : k.asReal(words[e]);
  }
  return sum;
}

Body::Plane Body::planeOf(const Group &part, int strip, int64_t begin,
                          int64_t groupBytes) {
  return {part.unitAddress + part.ofLane * groupBytes,
          begin + stripOffset(part.segment, strip) + part.group * groupBytes};
}

Body::Plane Body::scalePlane(const Group &part, int strip) {
  const quant::Format &format = problem.segments[part.segment].weight;
  return planeOf(part, strip, scalesOffset(format), scalePlaneBytes(format));
}

Body::Plane Body::zeroPlane(const Group &part, int strip) {
  const quant::Format &format = problem.segments[part.segment].weight;
  return planeOf(part, strip, zerosOffset(format), zeroPlaneBytes(format));
}

/// The values of rows g and g+8 of a plane as halves; of two levels their
/// codes, which are too large by `codeOffset`.
Int Body::halvesOf(const Group &part, Plane plane, int codeOffset) {
  if (!problem.segments[part.segment].weight.hasScaleFields())
    return k.loadShared(planesAddress(plane.address, 4), plane.offset, 1)[0];
  return codesToHalves(
      k.loadSharedHalfWord(planesAddress(plane.address, 2), plane.offset),
      codeOffset);
}

/// The same of a plane of f32. Where lanes have four groups, all of a unit,
/// those of the first and third lie in the same banks: lanes of the upper two
/// begin with row g+8.
std::array<Real, 2> Body::floatsOf(const Group &part, Plane plane) {
  const quant::Format &format = problem.segments[part.segment].weight;
  Int address = planesAddress(plane.address, 8);
  if (part.groups > 1 || summedGroups(format) < 4) {
    std::vector<Int> words = k.loadShared(address, plane.offset, 2);
    return {k.asReal(words[0]), k.asReal(words[1])};
  }
  Int upper = (k.lane() & 2) * 2; // 4 bytes
  Real first = k.asReal(k.loadShared(address + upper, plane.offset, 1)[0]),
       second =
           k.asReal(k.loadShared(address + (upper ^ 4), plane.offset, 1)[0]);
  Flag inOrder = upper == 0;
  return {select(inOrder, first, second), select(inOrder, second, first)};
}

Int Body::scaleHalves(const Group &part, int strip) {
  const quant::Format &format = problem.segments[part.segment].weight;
  return halvesOf(part, scalePlane(part, strip), scaleCodeOffset(format));
}

Int Body::zeroHalves(const Group &part, int strip) {
  return halvesOf(part, zeroPlane(part, strip), 0);
}

std::array<Real, 2> Body::valuesOf(Int halves) {
  mlir::Type f16 = k.builder().getF16Type();
  return {k.lowHalf(halves, f16), k.highHalf(halves, f16)};
}

/// Zero points of rows g and g+8.
std::array<Real, 2> Body::zeroOf(const Group &part, int strip) {
  return hasWideZeros(problem.segments[part.segment].weight)
             ? floatsOf(part, zeroPlane(part, strip))
             : valuesOf(zeroHalves(part, strip));
}

/// −(base + zero) of rows g and g+8.
std::array<Real, 2> Body::shiftOf(const Group &part, int strip) {
  const quant::Format &format = problem.segments[part.segment].weight;
  Numbers numbers = numbersOf(format, problem.activation);
  if (format.isSymmetric())
    return {k.real(-(numbers.base[0] + numbers.zero)),
            k.real(-(numbers.base[1] + numbers.zero))};
  if (format.zero == quant::ZeroType::U8) { // integers that halves have
    mlir::Type f16 = k.builder().getF16Type();
    Int bases =
        k.packHalves(k.real(-numbers.base[0]), k.real(-numbers.base[1]), f16);
    return valuesOf(
        fmaHalves(zeroHalves(part, strip), bothHalves(k, -1, f16), bases, f16));
  }
  std::array<Real, 2> zero = zeroOf(part, strip);
  return {k.real(-numbers.base[0]) - zero[0],
          k.real(-numbers.base[1]) - zero[1]};
}

/// What the scales of two levels of rows g and g+8 are multiples of, as halves.
Int Body::scaleUnits(const Group &part, int strip) {
  const quant::Format &format = problem.segments[part.segment].weight;
  return k.loadShared(
      planesAddress(part.unitAddress, 4),
      stripOffset(part.segment, strip) + scaleUnitsOffset(format), 1)[0];
}

/// Scales of rows g and g+8; of formats with a scale a row, none: the epilogue
/// has them. Those of two levels are exact in f32.
std::array<Real, 2> Body::scaleOf(const Group &part, int strip) {
  const quant::Format &format = problem.segments[part.segment].weight;
  if (!summedGroups(format))
    return {};
  if (hasWideScales(format))
    return floatsOf(part, scalePlane(part, strip));
  std::array<Real, 2> scale = valuesOf(scaleHalves(part, strip));
  if (!format.hasScaleFields())
    return scale;
  std::array<Real, 2> unit = valuesOf(scaleUnits(part, strip));
  return {scale[0] * unit[0], scale[1] * unit[1]};
}

/// What the products of a group start with: that of the table, or the shift
/// times Σx, and the sums so far where the format has one scale a row.
std::vector<Accumulator>
Body::beginGroup(const Group &part, int tile,
                 const std::vector<std::array<Real, 2>> &shifts,
                 const Sums &sums) {
  const quant::Format &format = problem.segments[part.segment].weight;
  if (startIndex(problem, format) >= 0)
    return std::vector<Accumulator>(size_t(schedule.stripsPerWarp),
                                    startOf(part, tile));
  bool grouped = summedGroups(format) > 0;
  bool shifted = isShifted(format) && !sumsBesideX(problem, format);
  std::array<Real, 2> x;
  if (shifted)
    x = correctionOf(part, tile);
  std::vector<Accumulator> start;
  for (int s = 0; s < schedule.stripsPerWarp; ++s) {
    Accumulator sum =
        grouped ? zeroSums()[0] : sums[s * plan.tokenTiles + tile];
    for (int i = 0; shifted && i < 4; ++i)
      sum[i] = grouped ? x[i % 2] * shifts[s][i / 2]
                       : fma(x[i % 2], shifts[s][i / 2], sum[i]);
    start.push_back(sum);
  }
  return start;
}

void Body::endGroup(const Group &part, int tile,
                    const std::vector<std::array<Real, 2>> &scales,
                    const std::vector<Accumulator> &products, Sums &sums) {
  bool grouped = summedGroups(problem.segments[part.segment].weight) > 0;
  for (int s = 0; s < schedule.stripsPerWarp; ++s) {
    Accumulator &sum = sums[s * plan.tokenTiles + tile];
    for (int i = 0; i < 4; ++i)
      sum[i] = grouped ? fma(scales[s][i / 2], products[s][i], sum[i])
                       : products[s][i];
  }
}

// Partial sums ----------------------------------------------------------------

/// partial[column warp][strip of the tile][token][16 rows, 4 unused]
void Body::storeSums(Int stage, const Sums &sums) {
  int64_t tokenRows = problem.tokens == 1 ? 1 : plan.tokenTiles * 8;
  int64_t tokenBytes = partialStride * 4, stripBytes = tokenRows * tokenBytes;
  Int g = k.lane() >> 2, t = k.lane() & 3;
  Int strip = columnWarp() * schedule.tileStrips() + firstStrip();
  Int address = stage + strip * stripBytes + g * 4;
  if (problem.tokens > 1)
    address = address + t * (2 * tokenBytes);
  auto store = [&] {
    for (size_t i = 0; i < sums.size(); ++i)
      for (int j = 0; j < 4; ++j) {
        if (problem.tokens == 1 && j % 2)
          continue;
        int64_t offset = int64_t(i) / plan.tokenTiles * stripBytes +
                         int64_t(i) % plan.tokenTiles * 8 * tokenBytes +
                         j % 2 * tokenBytes + j / 2 * 32;
        k.storeShared(address, offset, {wordOf(sums[i][j])});
      }
  };
  if (problem.tokens == 1) // all lanes of a row hold the same token
    k.when(t == 0, store);
  else
    store();
}
