// What the products of a unit's groups start with, are scaled by and corrected
// with: SkinnyLinearGroups.h draws it.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/Builder/Fragments.h"
#include "lib/Kernels/SkinnyLinear/SkinnyLinearBody.h"

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::skinny_linear;

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
