// The consumers' main loop: units of weights from the ring times activations
// from shared memory. A read of activations serves all strips of the warp, an
// unpacked fragment all tokens.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/SkinnyLinear/SkinnyLinearBody.h"

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
  Real zero = k.real(0);
  return Sums(schedule.stripsPerWarp * plan.tokenTiles,
              Accumulator{zero, zero, zero, zero});
}

void Body::consume() {
  k.waitForPredecessor();
  stageActivations();
  Kernel::Values carried;
  Ring::push(carried, weights().start());
  Ring::push(carried, partials().start());
  for (size_t i = 0; i < segments.size(); ++i)
    carried = forTiles(segments[i], carried,
                       [&](TileSteps tile, Kernel::Values values) {
                         return consumeTile(i, tile, std::move(values));
                       });
}

Kernel::Values Body::consumeTile(size_t segment, TileSteps tile,
                                 Kernel::Values values) {
  Ring::Cursor out = partials().pop(values);
  size_t count = zeroSums().size();
  push(values, zeroSums());
  values = k.loop(tile.from, tile.to, k.constant(1), std::move(values),
                  [&](Int step, Kernel::Values state) {
                    Sums sums = pop(k, state, count);
                    Ring::Cursor in = weights().pop(state);
                    weights().waitFull(in);
                    sums = multiplyStage(segment, weights().stage(in), step,
                                         std::move(sums));
                    weights().release(in);
                    Ring::push(state, weights().next(in));
                    push(state, sums);
                    return state;
                  });
  Sums sums = pop(k, values, count);
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

Body::Sums Body::multiplyStage(size_t segment, Int stage, Int step, Sums sums) {
  int units = schedule.unitsPerStage[segment];
  int64_t unitBytes = segments[segment].unitBytes;
  Int place = firstStrip() * units + columnWarp();
  Int address = stage + place * unitBytes;
  Int unit = step * units + columnWarp();
  for (int i = 0; i < units; i += schedule.columnWarps) {
    Int here = unit + i, codes = address + i * unitBytes;
    if (!isRagged()) {
      sums = multiplyUnit(segment, codes, here, std::move(sums));
      continue;
    }
    Kernel::Values carried;
    push(carried, sums);
    carried = k.when(here < unitsHere(), carried, [&](Kernel::Values values) {
      Sums next =
          multiplyUnit(segment, codes, here, pop(k, values, sums.size()));
      push(values, next);
      return values;
    });
    sums = pop(k, carried, sums.size());
  }
  return sums;
}

Int Body::activationLane() {
  Int t = k.lane() & 3;
  Int address = activations + t * 16;
  return problem.tokens == 1
             ? address
             : address + (k.lane() >> 2) * plan.activationStride;
}

Body::Sums Body::multiplyUnit(size_t segment, Int unitAddress, Int unit,
                              Sums sums) {
  const quant::Format &format = problem.segments[segment].weight;
  blocks.clear();
  Int codes = unitAddress + k.lane() * 16;
  Int x = activationLane() + unit * (unitColumns * 2);
  int groups = int(std::max<int64_t>(groupsPerUnit(format), 1));
  int chunks = int(unitColumns / chunkColumns) / groups;
  for (int group = 0; group < groups; ++group) {
    Sums products = beginGroup(segment, unit, group, unitAddress, sums);
    // Where a warp has one product in flight only, a second chain of sums hides
    // half of its latency.
    Sums second = products.size() == 1 ? zeroSums() : Sums();
    for (int chunk = group * chunks; chunk < (group + 1) * chunks; ++chunk)
      multiplyChunk(segment, codes, x, chunk, products, second);
    if (!second.empty())
      for (int i = 0; i < 4; ++i)
        products[0][i] = products[0][i] + second[0][i];
    sums = endGroup(segment, group, unitAddress, sums, products);
  }
  return sums;
}

void Body::multiplyChunk(size_t segment, Int codes, Int x, int chunk,
                         Sums &products, Sums &second) {
  const quant::Format &format = problem.segments[segment].weight;
  std::vector<std::array<Fragment, 2>> a;
  for (int s = 0; s < schedule.stripsPerWarp; ++s)
    a.push_back(
        {unpack(format, codes, stripOffset(segment, s), 2 * chunk),
         unpack(format, codes, stripOffset(segment, s), 2 * chunk + 1)});
  for (int tile = 0; tile < plan.tokenTiles; ++tile) {
    int64_t offset =
        chunk * chunkColumns * 2 + tile * 8 * plan.activationStride;
    std::vector<Int> b = k.loadShared(x, offset, 4);
    for (int s = 0; s < schedule.stripsPerWarp; ++s) {
      Accumulator &sum = products[s * plan.tokenTiles + tile];
      sum = k.mma(activation, a[s][0], {b[0], b[1]}, sum);
      Accumulator &other = second.empty() ? sum : second[0];
      other = k.mma(activation, a[s][1], {b[2], b[3]}, other);
    }
  }
}

int64_t Body::stripOffset(size_t segment, int strip) const {
  return int64_t(strip) * schedule.unitsPerStage[segment] *
         segments[segment].unitBytes;
}

// Groups ----------------------------------------------------------------------

/// Σx of the lane's two tokens over the columns of a group.
std::array<Real, 2> Body::correctionOf(Int unit, int group, int groups,
                                       int tile) {
  int64_t perUnit = unitColumns / correctionColumns(problem);
  int64_t rowBytes = plan.tokenTiles * 8 * 4;
  Int address = corrections + (k.lane() & 3) * 8 + unit * (perUnit * rowBytes);
  std::array<Real, 2> sum;
  int64_t count = perUnit / groups;
  for (int64_t i = 0; i < count; ++i) {
    int64_t offset = (group * count + i) * rowBytes + tile * 32;
    std::vector<Int> words = k.loadShared(address, offset, 2);
    for (int e = 0; e < 2; ++e)
      sum[e] = i ? sum[e] + k.asReal(words[e]) : k.asReal(words[e]);
  }
  return sum;
}

/// The values of rows g and g+8 in plane `plane` of a unit.
std::array<Real, 2> Body::planeValues(size_t segment, Int unitAddress,
                                      int strip, int plane) {
  const quant::Format &format = problem.segments[segment].weight;
  int64_t planes = groupsPerUnit(format) * (format.isSymmetric() ? 1 : 2);
  int64_t offset = stripOffset(segment, strip) + segments[segment].unitBytes -
                   (planes - plane) * 32;
  Int address = unitAddress + (k.lane() >> 2) * 4;
  Int word = k.loadShared(address, offset, 1)[0];
  mlir::Type f16 = k.builder().getF16Type();
  return {k.lowHalf(word, f16), k.highHalf(word, f16)};
}

/// What the products of a group start with: −(base + factor · zero) · Σx, and
/// the sums so far where the format has one scale a row.
Body::Sums Body::beginGroup(size_t segment, Int unit, int group,
                            Int unitAddress, const Sums &sums) {
  const quant::Format &format = problem.segments[segment].weight;
  Numbers numbers = numbersOf(format, activation);
  bool grouped = groupsPerUnit(format) > 0;
  Sums start = grouped ? zeroSums() : sums;
  if (format.isSymmetric() && !numbers.needsCorrection())
    return start;
  int groups = int(std::max<int64_t>(groupsPerUnit(format), 1));
  for (int tile = 0; tile < plan.tokenTiles; ++tile) {
    std::array<Real, 2> x = correctionOf(unit, group, groups, tile);
    for (int s = 0; s < schedule.stripsPerWarp; ++s) {
      std::array<Real, 2> shift =
          shiftOf(segment, group, groups, unitAddress, s, numbers);
      Accumulator &sum = start[s * plan.tokenTiles + tile];
      for (int i = 0; i < 4; ++i)
        sum[i] = grouped ? x[i % 2] * shift[i / 2]
                         : fma(x[i % 2], shift[i / 2], sum[i]);
    }
  }
  return start;
}

std::array<Real, 2> Body::shiftOf(size_t segment, int group, int groups,
                                  Int unitAddress, int strip,
                                  const Numbers &numbers) {
  const quant::Format &format = problem.segments[segment].weight;
  if (format.isSymmetric())
    return {k.real(-(numbers.base[0] + numbers.factor[0] * numbers.zero)),
            k.real(-(numbers.base[1] + numbers.factor[1] * numbers.zero))};
  std::array<Real, 2> zero =
      planeValues(segment, unitAddress, strip, groups + group);
  std::array<Real, 2> shift;
  for (int i = 0; i < 2; ++i)
    shift[i] =
        fma(zero[i], k.real(-numbers.factor[i]), k.real(-numbers.base[i]));
  return shift;
}

Body::Sums Body::endGroup(size_t segment, int group, Int unitAddress,
                          const Sums &sums, const Sums &products) {
  const quant::Format &format = problem.segments[segment].weight;
  if (!groupsPerUnit(format))
    return products;
  Numbers numbers = numbersOf(format, activation);
  Sums result = sums;
  for (int s = 0; s < schedule.stripsPerWarp; ++s) {
    std::array<Real, 2> scale = planeValues(segment, unitAddress, s, group);
    for (int i = 0; i < 2; ++i)
      if (numbers.factor[i] != 1)
        scale[i] = scale[i] * (1 / numbers.factor[i]);
    for (int tile = 0; tile < plan.tokenTiles; ++tile)
      for (int i = 0; i < 4; ++i) {
        size_t at = s * plan.tokenTiles + tile;
        result[at][i] = fma(scale[i / 2], products[at][i], sums[at][i]);
      }
  }
  return result;
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
        k.storeSharedReal(address, offset, sums[i][j]);
      }
  };
  if (problem.tokens == 1) // all lanes of a row hold the same token
    k.when(t == 0, store);
  else
    store();
}
