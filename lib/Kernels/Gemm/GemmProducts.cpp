// The main loop: stages of columns, of which each warp multiplies its strips by
// its tiles of tokens. A fragment of weights is made once and serves all tiles
// of the warp, one of activations all strips. What a product needs is loaded
// while the one before is computed, from one stage to the next, too:
//
//   load 1, multiply 0 ─ load 2, multiply 1 ─ load 3, multiply 2 ─
//   wait for the next stage ─ barrier ─ refill this one ─ load 0, multiply 3
//
// or, spread, with a part of the stage before refilled at each product, so that
// loads do not wait behind all copies. Stages of two panels have eight
// products.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/Builder/Fragments.h"
#include "lib/Kernels/Gemm/GemmBody.h"
#include "lib/Quant/Element.h"

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::gemm;
using skinny_linear::Fragment;
using skinny_linear::Numbers;

constexpr int64_t tileBytes = 8 * panelRowBytes; // of 8 tokens in a panel

Kernel::Values Body::multiplyColumns() {
  auto stageAt = [&](int i) { return stages + i * plan.stageBytes; };
  int filled = schedule.stages - schedule.spread;
  for (int i = 0; i < filled; ++i)
    ifStep(k.constant(i), [&] { copyWeights(copyOf(stageAt(i), i)); });
  if (appender)
    storePlaces();
  k.waitForPredecessor();
  for (int i = 0; i < filled; ++i) {
    ifStep(k.constant(i), [&] { copyActivations(copyOf(stageAt(i), i)); });
    commitCopies(k);
  }
  waitForCopies(k, unsigned(filled - 1));
  k.syncBlock();
  Operands operands;
  load(stages, 0, operands);
  mlir::Value zero = isInt8() ? k.constant(0).value : k.real(0).value;
  auto count = size_t(4 * strips() * tiles());
  Kernel::Values carried(count, zero);
  carried.push_back(stages.value);
  operands.push(carried);
  carried = k.loop(k.constant(0), steps, k.constant(1), std::move(carried),
                   [&](Int step, Kernel::Values values) {
                     Operands now = operands; // of the same shape
                     now.pop(k, values);
                     Int stage{{&k, values.back()}};
                     values.pop_back();
                     Int last = stageAt(schedule.stages - 1);
                     Int next =
                         select(stage == last, stages, stage + plan.stageBytes);
                     Copy refill;
                     refill.stage = !schedule.spread
                                        ? stage
                                        : select(stage == stages, last,
                                                 stage - plan.stageBytes);
                     Int later = step + filled;
                     refill.step = firstStep + later;
                     refill.exists = later < steps;
                     // Behind the last stage once more its own: no branch
                     // around loads.
                     Int ahead = select(step + 1 < steps, next, stage);
                     multiplyStage(stage, ahead, refill, now, values);
                     values.push_back(next.value);
                     now.push(values);
                     return values;
                   });
  // Zeros of steps that do not exist are on their way to where the sums go.
  if (schedule.spread)
    waitForCopies(k, 0);
  carried.resize(count);
  return carried;
}

/// Multiplies a stage, whose first operands are loaded, and refills another;
/// leaves the first operands of the next one.
void Body::multiplyStage(Int stage, Int next, Copy refill, Operands &operands,
                         Kernel::Values &sums) {
  int64_t products = schedule.products();
  for (int64_t product = 0; product < products; ++product) {
    if (product)
      load(stage, product, operands);
    if (schedule.spread) {
      refill.part = product;
      copyWeights(refill);
      copyActivations(refill);
    }
    std::vector<Fragment> a;
    for (int64_t s = 0; s < strips(); ++s)
      a.push_back(
          isInt8() ? skinny_linear::unpackCodes(k, operands.block[s])
                   : weightsOf(operands.block[s], product, operands.planes[s]));
    std::vector<std::array<Int, 2>> b = activationsOf(operands, product);
    if (product + 1 == products) {
      // All of the stage is in registers.
      if (schedule.spread)
        commitCopies(k);
      waitForCopies(k, unsigned(schedule.stages - 2));
      k.syncBlock();
      if (!schedule.spread) {
        Flag exists = *refill.exists;
        refill.exists.reset();
        k.when(exists, [&] {
          copyWeights(refill);
          copyActivations(refill);
        });
      }
      load(next, 0, operands);
      // Behind the loads, which LLVM else moves to the begin of the loop.
      if (!schedule.spread)
        commitCopies(k);
    }
    for (int64_t s = 0; s < strips(); ++s)
      for (int64_t tile = 0; tile < tiles(); ++tile)
        multiply(a[s], b[tile], &sums[(s * tiles() + tile) * 4]);
  }
}

void Body::multiply(const Fragment &a, std::array<Int, 2> b,
                    mlir::Value *sums) {
  if (isInt8()) {
    IntAccumulator sum;
    for (int i = 0; i < 4; ++i)
      sum[i] = {{&k, sums[i]}};
    sum = mmaInt8(a, b, sum);
    for (int i = 0; i < 4; ++i)
      sums[i] = sum[i].value;
    return;
  }
  Accumulator sum;
  for (int i = 0; i < 4; ++i)
    sum[i] = {{&k, sums[i]}};
  sum = k.mma(activation, a, b, sum);
  for (int i = 0; i < 4; ++i)
    sums[i] = sum[i].value;
}

// Operands --------------------------------------------------------------------

static void push(Kernel::Values &values,
                 const std::vector<std::vector<Int>> &words) {
  for (const std::vector<Int> &row : words)
    for (Int word : row)
      values.push_back(word.value);
}

static void pop(Kernel &k, Kernel::Values &values,
                std::vector<std::vector<Int>> &words) {
  for (auto row = words.rbegin(); row != words.rend(); ++row)
    for (auto word = row->rbegin(); word != row->rend(); ++word) {
      *word = {{&k, values.back()}};
      values.pop_back();
    }
}

void Body::Operands::push(Kernel::Values &values) const {
  ::push(values, b);
  ::push(values, block);
  ::push(values, planes);
}

void Body::Operands::pop(Kernel &k, Kernel::Values &values) {
  ::pop(k, values, planes);
  ::pop(k, values, block);
  ::pop(k, values, b);
}

/// Loads what product `product` of a stage needs and the one before did not.
void Body::load(Int stage, int64_t product, Operands &operands) {
  Int lane = k.lane(), g = lane >> 2, t = lane & 3;
  // int8: a chunk of 32 bytes a product; else of 64 bytes, for two.
  int64_t perChunk = isInt8() ? 1 : 2;
  if (product % perChunk == 0) {
    Int x = stage + tokenWarp() * (tiles() * tileBytes);
    if (schedule.columnWarps > 1)
      x = x + columnWarp() *
                  (schedule.products() / panelProducts * plan.panelBytes);
    Int place = activations(x).row(g).at(t * (isInt8() ? 8 : 16),
                                         product % panelProducts * 2);
    int64_t panel = product / panelProducts * plan.panelBytes;
    operands.b.clear();
    for (int64_t tile = 0; tile < tiles(); ++tile)
      operands.b.push_back(
          k.loadShared(place, panel + tile * tileBytes, isInt8() ? 2 : 4));
  }
  Int w =
      stage + plan.activationBytes + rowWarp() * (strips() * part.stripBytes);
  // int8: a block is two products of 16 columns, one of 32.
  int64_t perBlock = isInt8() ? 1 : skinny_linear::productsPerBlock(format());
  if (product % perBlock == 0) {
    operands.block.clear();
    Int first = schedule.columnWarps > 1
                    ? columnWarp() * (schedule.products() / perBlock)
                    : k.constant(0);
    for (int64_t s = 0; s < strips(); ++s)
      operands.block.push_back(skinny_linear::loadBlock(
          format(),
          {w, s * part.stripBytes, panelProducts * schedule.panels, first},
          product / perBlock));
  }
  int64_t perGroup =
      panelProducts * schedule.panels / std::max<int64_t>(part.groups, 1);
  if (product % std::min(perGroup, schedule.products()) == 0) {
    operands.planes.assign(size_t(strips()), {});
    for (int64_t s = 0; part.groups && s < strips(); ++s)
      operands.planes[size_t(s)] =
          loadPlanes(w, schedule.products() / perGroup, s * part.stripBytes,
                     product / perGroup);
  }
}

/// What group `group` of the warp, which has `warpGroups`, has of a strip:
/// scales, zero points and the units of scales of two levels, for rows g and
/// g+8.
std::vector<Int> Body::loadPlanes(Int strips, int64_t warpGroups,
                                  int64_t offset, int64_t group) {
  Int g = k.lane() >> 2;
  offset += part.codeBytes;
  std::vector<Int> words;
  auto load = [&](int64_t plane, bool wide) {
    Int numbers = strips;
    if (schedule.columnWarps > 1)
      numbers = strips + columnWarp() * (warpGroups * plane);
    int64_t at = offset + group * plane;
    if (format().hasTwoLevels())
      words.push_back(k.loadSharedHalfWord(numbers + g * 2, at));
    else
      for (Int word :
           k.loadShared(numbers + g * (wide ? 8 : 4), at, wide ? 2 : 1))
        words.push_back(word);
    offset += part.groups * plane;
  };
  load(skinny_linear::scalePlaneBytes(format()),
       skinny_linear::hasWideScales(format()));
  if (!format().isSymmetric())
    load(skinny_linear::zeroPlaneBytes(format()),
         skinny_linear::hasWideZeros(format()));
  if (format().hasTwoLevels())
    words.push_back(k.loadShared(strips + g * 4, offset, 1)[0]);
  return words;
}

std::vector<std::array<Int, 2>> Body::activationsOf(const Operands &operands,
                                                    int64_t product) {
  size_t first = isInt8() ? 0 : size_t(product % 2 * 2);
  std::vector<std::array<Int, 2>> b;
  for (const std::vector<Int> &words : operands.b)
    b.push_back({words[first], words[first + 1]});
  return b;
}

Body::GroupNumbers Body::numbersOf(const std::vector<Int> &planes) {
  GroupNumbers result;
  mlir::Type f16 = k.builder().getF16Type();
  auto valuesOf = [&](Int word) -> std::array<Real, 2> {
    return {k.lowHalf(word, f16), k.highHalf(word, f16)};
  };
  bool twoLevels = format().hasTwoLevels();
  size_t next = 0;
  auto take = [&](bool wide, int offset) -> std::array<Real, 2> {
    size_t first = next;
    next += wide ? 2 : 1;
    if (wide)
      return {k.asReal(planes[first]), k.asReal(planes[first + 1])};
    return valuesOf(twoLevels
                        ? skinny_linear::codesToHalves(planes[first], offset)
                        : planes[first]);
  };
  if (part.groups)
    result.scale = take(skinny_linear::hasWideScales(format()),
                        skinny_linear::scaleCodeOffset(format()));
  if (!format().isSymmetric())
    result.zero = take(skinny_linear::hasWideZeros(format()), 0);
  if (twoLevels) {
    std::array<Real, 2> unit = valuesOf(planes.back());
    for (size_t i = 0; i < unit.size(); ++i)
      result.scale[i] = result.scale[i] * unit[i];
  }
  return result;
}

/// What f32 scales are multiplied by before they become halves, and numbers
/// divided: the power of two of the largest number, so that a scale has as many
/// bits as its weights.
double Body::scaleFactor() const {
  if (!skinny_linear::hasWideScales(format()) || activation.isBF16())
    return 1;
  if (format().element == quant::ElementType::Fp8E4m3)
    return 256;
  constexpr double ofBook = 128;
  return skinny_linear::hasBook(format())
             ? ofBook
             : skinny_linear::numbersOf(format(), problem.activation).zero;
}

void Body::setScale(Group &group, int row, Real scale) {
  if (!skinny_linear::hasWideScales(format())) {
    group.scale[size_t(row)] = bothHalves(scale, activation);
    return;
  }
  Real factored = scale * k.real(scaleFactor());
  Int high = bothHalves(factored, activation);
  group.scale[size_t(row)] = high;
  group.lowScale[size_t(row)] =
      bothHalves(factored - k.lowHalf(high, activation), activation);
}

/// For rows g and g+8:
///   weight = (number + shift) · scale + rest
///   shift = −(base + nearest integer of zero)
/// and with f32 scales, F their factor:
///   weight = (number + shift) / F · scale + ((number + shift) / F · low +
///   rest)
Body::Group Body::groupOf(const std::vector<Int> &planes) {
  Group result;
  Numbers numbers = skinny_linear::numbersOf(format(), problem.activation);
  result.shifted = !format().isSymmetric() || numbers.needsCorrection();
  result.scaled = part.groups > 0;
  result.fraction = format().zero == quant::ZeroType::Float;
  GroupNumbers group = numbersOf(planes);
  double factor = 1 / scaleFactor();
  for (int i = 0; i < 2; ++i) {
    double base = numbers.base[i];
    Real whole;
    if (format().isSymmetric()) {
      result.shift[i] =
          bothHalves(k, -(base + numbers.zero) * factor, activation);
    } else {
      whole =
          result.fraction ? toReal(roundToInt(group.zero[i])) : group.zero[i];
      Real shift = k.real(-base) - whole;
      if (factor != 1)
        shift = shift * k.real(factor);
      result.shift[i] = bothHalves(shift, activation);
    }
    if (result.scaled)
      setScale(result, i, group.scale[i]);
    if (result.fraction)
      result.rest[i] =
          bothHalves((whole - group.zero[i]) * group.scale[i], activation);
  }
  return result;
}

Fragment Body::weightsOf(const std::vector<Int> &block, int64_t product,
                         const std::vector<Int> &planes) {
  Group group = groupOf(planes);
  int perBlock = skinny_linear::productsPerBlock(format());
  Fragment words = skinny_linear::unpackProduct(k, format(), activation, block,
                                                int(product % perBlock), book);
  bool wide = skinny_linear::hasWideScales(format());
  double factor = 1 / scaleFactor();
  auto times = [&](Int a, Int b, std::optional<Int> c) {
    return c ? fmaHalves(a, b, *c, activation) : mulHalves(a, b, activation);
  };
  for (int i = 0; i < 4; ++i) {
    int row = i % 2; // of rows g and g+8
    std::optional<Int> shift, rest;
    if (group.shifted)
      shift = group.shift[row];
    if (factor != 1)
      words[i] = times(words[i], bothHalves(k, factor, activation), shift);
    else if (shift)
      words[i] = k.addHalves(words[i], *shift, activation);
    if (group.fraction)
      rest = group.rest[row];
    if (wide)
      rest = times(words[i], group.lowScale[row], rest);
    if (group.scaled)
      words[i] = times(words[i], group.scale[row], rest);
  }
  return words;
}
