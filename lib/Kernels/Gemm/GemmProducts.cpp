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
    sum = problem.codes == skinny_linear::Codes::Unsigned ? mmaBytes(a, b, sum)
                                                          : mmaInt8(a, b, sum);
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
  // Where lanes have two groups of 32 columns, both of their products.
  int64_t perGroup =
      panelProducts * schedule.panels / std::max<int64_t>(part.groups, 1);
  int64_t perPlane =
      skinny_linear::splitsChunks(format()) ? 2 * perGroup : perGroup;
  if (product % std::min(perPlane, schedule.products()) == 0) {
    operands.planes.assign(size_t(strips()), {});
    for (int64_t s = 0; part.groups && s < strips(); ++s)
      operands.planes[size_t(s)] =
          loadPlanes(w, schedule.products() / perGroup, s * part.stripBytes,
                     product / perGroup);
  }
}

/// What group `group` of the warp, which has `warpGroups`, has of a strip:
/// scales, zero points and the units of scales of two levels, for rows g and
/// g+8; of two groups, which lanes share, that of the lane.
std::vector<Int> Body::loadPlanes(Int strips, int64_t warpGroups,
                                  int64_t offset, int64_t group) {
  offset += part.codeBytes;
  std::vector<Int> words;
  auto load = [&](int64_t plane, bool wide) {
    Int numbers = strips;
    if (schedule.columnWarps > 1)
      numbers = numbers + columnWarp() * (warpGroups * plane);
    if (skinny_linear::splitsChunks(format()))
      numbers = numbers + skinny_linear::groupOfLane(k) * plane;
    skinny_linear::loadPlane(words, format(), numbers, offset + group * plane,
                             wide);
    offset += part.groups * plane;
  };
  if (format().isGrouped())
    load(skinny_linear::scalePlaneBytes(format()),
         skinny_linear::hasWideScales(format()));
  if (!format().isSymmetric())
    load(skinny_linear::zeroPlaneBytes(format()),
         skinny_linear::hasWideZeros(format()));
  if (format().hasScaleFields())
    words.push_back(k.loadShared(strips + (k.lane() >> 2) * 4, offset, 1)[0]);
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

Fragment Body::weightsOf(const std::vector<Int> &block, int64_t product,
                         const std::vector<Int> &planes) {
  int perBlock = skinny_linear::productsPerBlock(format());
  Fragment numbers = skinny_linear::unpackProduct(
      k, format(), activation, block, int(product % perBlock), book);
  return skinny_linear::roundedWeights(k, format(), activation, planes,
                                       numbers);
}
