// The end of an `attention_decode` kernel: what the warps of a block have, then
// what the splits of a sequence have, becomes the output. Every sum is over
// warps or splits in their order, so that it does not depend on who was first.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/AttentionDecode/AttentionDecodeBody.h"

#include <cmath>
#include <numbers>

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::attention_decode;
using quant::ElementType;

constexpr unsigned outputArgument = 1, workspaceArgument = 6,
                   countersArgument = 7, slopesArgument = 8;
constexpr int splitsAtOnce = 8; // whose loads a thread has in flight

/// Channel of row g + 8 · half of a tile.
static Int channelOf(const Problem &problem, int tile, int half, Int g) {
  switch (problem.cache.value.element) {
  case ElementType::Int8:
  case ElementType::Fp8E4m3:
    return g * 2 + (tile * 16 + half);
  case ElementType::Int4:
    return g * 4 + (tile / 2 * 32 + tile % 2 * 2 + half);
  case ElementType::Int3:
  case ElementType::Int2:
    return g * 8 + (tile / 4 * 64 + tile % 4 * 2 + half);
  default:
    return g + (tile * 16 + half * 8);
  }
}

/// [warp][row] outputs of partialStride floats, then [warp][row] maximum, sum.
void Body::storePartials(const State &state) {
  int64_t rowBytes = partialStride * 4;
  int64_t warpBytes = schedule.rows() * rowBytes;
  Int place = part ? k.warp() + part * schedule.warps : k.warp();
  Int output = partials + place * warpBytes + t * (2 * rowBytes);
  Int pairs = partials + parts * schedule.warps * warpBytes +
              place * (schedule.rows() * 8) + t * 16;
  for (int row = 0; row < schedule.rowTiles; ++row)
    for (int side = 0; side < 2; ++side) {
      Real sum = state.sums[row][side];
      for (int distance : {4, 8, 16})
        sum = k.addFromLane(sum, distance);
      int64_t at = row * 8 + side;
      k.when(g == 0, [&] {
        k.storeShared(pairs, at * 8,
                      {k.bits(state.maxima[row][side]), k.bits(sum)});
      });
      for (int tile = 0; tile < plan.valueTiles; ++tile)
        for (int half = 0; half < 2; ++half)
          k.storeSharedReal(output + channelOf(problem, tile, half, g) * 4,
                            at * rowBytes,
                            state.output.at(tile, row)[2 * half + side]);
    }
}

/// Every row and the first of every outputChannels channels of the slice, for a
/// thread each.
void Body::forElements(Int begin, int step,
                       llvm::function_ref<void(Int, Int)> body) {
  int64_t perRow = problem.sliceChannels() / outputChannels;
  int64_t size = problem.cache.valueSize;
  k.loop(begin, rows * perRow, k.constant(step), {},
         [&](Int i, Kernel::Values) {
           Int row = i / perRow, channel = i % perRow * outputChannels;
           if (size % problem.sliceChannels() == 0)
             body(row, channel);
           else // the last slice is shorter
             k.when(firstChannel + channel < size, [&] { body(row, channel); });
           return Kernel::Values();
         });
}

Body::Sum Body::add(Sum a, Sum b) {
  Real maximum = max(a.maximum, b.maximum);
  Real left = exp2(a.maximum - maximum), right = exp2(b.maximum - maximum);
  Sum sum = {maximum, fma(a.total, left, b.total * right), {}};
  for (int i = 0; i < outputChannels; ++i)
    sum.values.push_back(fma(a.values[i], left, b.values[i] * right));
  return sum;
}

Body::Sum Body::emptySum() {
  return {k.real(-1e30), k.real(0), Run(outputChannels, k.real(0))};
}

/// The split's slot of the workspace: [row][channel] outputs, then [row]
/// maximum, sum.
Global Body::slotOf(Int split) {
  Int place = sequence * blocksY(k) + blockY(k);
  return k.pointer(workspaceArgument)
      .at(place * blocksX(k) + split, plan.slotFloats * 4);
}

/// What storePartials stored.
Body::Sum Body::ofWarp(Int warp, Int row, Int channel) {
  int64_t rowBytes = partialStride * 4;
  int64_t warpBytes = schedule.rows() * rowBytes;
  Int value = partials + warp * warpBytes + row * rowBytes + channel * 4;
  Int pair = partials + parts * schedule.warps * warpBytes +
             warp * (schedule.rows() * 8) + row * 8;
  std::vector<Int> words = k.loadShared(pair, 0, 2);
  Sum sum = {k.asReal(words[0]), k.asReal(words[1]), {}};
  for (Int word : k.loadShared(value, 0, outputChannels))
    sum.values.push_back(k.asReal(word));
  return sum;
}

Body::Sum Body::ofWarps(Int row, Int channel) {
  Sum sum = ofWarp(k.constant(0), row, channel);
  for (int warp = 1; warp < parts * schedule.warps; ++warp)
    sum = add(sum, ofWarp(k.constant(warp), row, channel));
  return sum;
}

Body::Sum Body::ofOwnWarp(Int row, Int channel) {
  Sum sum = ofWarp(k.warp(), row, channel);
  for (int other = 1; other < parts; ++other)
    sum = add(sum, ofWarp(k.warp() + other * schedule.warps, row, channel));
  return sum;
}

/// Where warps have rows of their own, each stores them.
void Body::storeRows() {
  forElements(k.lane(), 32, [&](Int row, Int channel) {
    storeOutput(row, channel, ofOwnWarp(row, channel));
  });
}

void Body::combineWarps() {
  Flag alone = active == 1;
  k.when(alone, [&] {
    forElements(k.thread(), schedule.threads(), [&](Int row, Int channel) {
      storeOutput(row, channel, ofWarps(row, channel));
    });
  });
  k.when(k.constant(1) < active, [&] {
    Global slot = slotOf(split);
    int64_t channels = problem.sliceChannels();
    mlir::Type f32 = k.builder().getF32Type();
    forElements(k.thread(), schedule.threads(), [&](Int row, Int channel) {
      Sum sum = ofWarps(row, channel);
      storeRun(k, slot.at(row * channels + channel, 4), sum.values, f32);
      k.when(channel == 0, [&] {
        Global pair = slot.at(row * 2 + schedule.rows() * channels, 4);
        k.storeReal(pair, sum.maximum, f32);
        k.storeReal(pair.at(4), sum.total, f32);
      });
    });
    Int place = sequence * blocksY(k) + blockY(k);
    combineSplits(slot, k.pointer(countersArgument).at(place, 4));
  });
}

/// The split that arrives last has everybody's before it.
void Body::combineSplits(Global slot, Global counter) {
  k.syncBlock();
  k.when(k.thread() == 0, [&] {
    Int before = k.arriveAt(counter, active - 1);
    k.storeShared(flag, 0, {before});
  });
  k.syncBlock();
  Int before = k.loadShared(flag, 0, 1)[0];
  k.when(before == active - 1, [&] {
    forElements(k.thread(), schedule.threads(), [&](Int row, Int channel) {
      storeOutput(row, channel, ofSplits(row, channel));
    });
  });
}

/// In groups of splits whose loads are in flight together.
Body::Sum Body::ofSplits(Int row, Int channel) {
  int64_t channels = problem.sliceChannels();
  mlir::Type f32 = k.builder().getF32Type();
  auto pushSum = [](const Sum &sum) {
    Kernel::Values values = {sum.maximum.value, sum.total.value};
    for (Real value : sum.values)
      values.push_back(value.value);
    return values;
  };
  auto popSum = [&](const Kernel::Values &values) {
    Sum sum = {{{&k, values[0]}}, {{&k, values[1]}}, {}};
    for (int i = 0; i < outputChannels; ++i)
      sum.values.push_back({{&k, values[2 + i]}});
    return sum;
  };
  auto load = [&](Int split) {
    Global slot = slotOf(split);
    Run pair =
        loadRun(k, slot.at(row * 2 + schedule.rows() * channels, 4), f32, 2);
    Global values = slot.at(row * channels + channel, 4);
    return Sum{pair[0], pair[1], loadRun(k, values, f32, outputChannels)};
  };
  return popSum(k.loop(
      k.constant(0), active, k.constant(splitsAtOnce), pushSum(emptySum()),
      [&](Int begin, const Kernel::Values &now) {
        std::vector<Sum> loaded;
        for (int i = 0; i < splitsAtOnce; ++i)
          loaded.push_back(load(min(begin + i, active - 1)));
        Sum sum = popSum(now);
        for (int i = 0; i < splitsAtOnce; ++i)
          sum = add(sum, either(begin + i < active, loaded[i], emptySum()));
        return pushSum(sum);
      }));
}

Body::Sum Body::either(Flag first, const Sum &a, const Sum &b) {
  Sum chosen = {
      select(first, a.maximum, b.maximum), select(first, a.total, b.total), {}};
  for (int i = 0; i < outputChannels; ++i)
    chosen.values.push_back(select(first, a.values[i], b.values[i]));
  return chosen;
}

/// A row that sees nothing gives 0.
void Body::storeOutput(Int row, Int channel, Sum sum) {
  Int place = firstRow + row;
  Int token = tokenStart + place / sharing;
  Int head = keyHead * sharing + place % sharing;
  if (problem.sinks) {
    unsigned argument = slopesArgument + (problem.slopes ? 1 : 0);
    Global address = k.pointer(argument).at(head, 4);
    Real sink = k.asReal(k.loadConstant(address, 1)[0]) * std::numbers::log2e;
    Sum nothing = emptySum();
    sum = add(sum, {sink, k.real(std::exp2(bias())), nothing.values});
  }
  Real inverse =
      select(k.real(0) < sum.total, reciprocal(sum.total), k.real(0));
  for (Real &value : sum.values)
    value = value * inverse;
  int64_t channels = problem.cache.valueSize;
  Global output = k.pointer(outputArgument)
                      .at(token, problem.heads * channels * 2)
                      .at(head * channels + channel, 2);
  if (problem.slices() > 1)
    output = output.at(firstChannel, 2);
  storeRun(k, output, sum.values, activation);
}
