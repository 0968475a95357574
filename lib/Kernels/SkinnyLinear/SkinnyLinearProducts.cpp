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
