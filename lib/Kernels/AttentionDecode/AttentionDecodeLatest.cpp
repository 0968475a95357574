// Positions that are read with 16 bits, beside the codes of all others: which
// tiles they are, where they lie, and which rows see them.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/AttentionDecode/AttentionDecodeBody.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

#include <limits>

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::attention_decode;

constexpr unsigned pagesArgument = 2, pageTableArgument = 3, rowsArgument = 8;
constexpr int64_t tilePositions = 16; ///< of halves

static Global choose(Flag condition, Global a, Global b) {
  Kernel &k = *a.kernel;
  return {{&k, mlir::arith::SelectOp::create(
                   k.builder(), k.loc(), condition.value, a.value, b.value)}};
}

Body::Body(const Body &codes, const Problem &problem, const Schedule &schedule)
    : Body(codes.k, problem, schedule) {
  exponent = codes.exponent;
  partialStride = codes.partialStride, ringBytes = codes.ringBytes;
  parts = codes.parts;
  part = 1;
  stages = codes.stages, partials = codes.partials;
  probabilities = codes.probabilities, queryPlace = codes.queryPlace;
  g = codes.g, t = codes.t;
  sequence = codes.sequence, keyHead = codes.keyHead, split = codes.split;
  firstChannel = codes.firstChannel;
  tokenStart = codes.tokenStart, context = codes.context;
  length = codes.length;
  firstRow = codes.firstRow, rows = codes.rows;
  first = codes.first, end = codes.end;
  positions = codes.positions, slopes = codes.slopes;
  splitBegin = codes.splitBegin, splitEnd = codes.splitEnd;
  codeTiles = codes.codeTiles, firstTiles = codes.firstTiles;
  latestBegin = codes.latestBegin;
  stepBase = codes.stepBase, stepCount = codes.stepCount;
  slot = codes.slot, stepRows = codes.stepRows;
  recent = codes.recent, sinkPositions = codes.sinkPositions;
}

/// The block's tiles, those of codes first, and the split's part of them. Rows
/// are the block's still.
void Body::findLatest() {
  const cuda::KvPageLayout &cache = problem.cache;
  recent = cache.recent, sinkPositions = cache.first;
  Int zero = k.constant(0), one = k.constant(1);
  // The first latest position of the first row, and of the last.
  Int firstLatest = max(positionOf(zero) + 1 - recent, first);
  Int lastLatest = max(end - recent, zero);
  Int begin = max(first, k.constant(sinkPositions)) / schedule.tile;
  codeTiles =
      max((lastLatest + (schedule.tile - 1)) / schedule.tile - begin, zero);
  Int sinks = min(lastLatest, k.constant(sinkPositions));
  firstTiles = select(first < sinks,
                      (sinks + (tilePositions - 1)) / tilePositions, zero);
  latestBegin = firstLatest & ~(tilePositions - 1);
  Int tiles = codeTiles + firstTiles +
              (end - latestBegin + (tilePositions - 1)) / tilePositions;
  int least = schedule.warps * schedule.tilesPerWarp;
  active = max(min(blocksX(k), (tiles + (least - 1)) / least), one);
  splitBegin = split * tiles / active;
  splitEnd = (split + 1) * tiles / active;
  tileBegin = begin + splitBegin;
  count = max(min(splitEnd, codeTiles) - splitBegin, zero);
  if (!dividesRows())
    count = (count + (schedule.warps - 1) - k.warp()) / schedule.warps;

  keys = k.pointer(pagesArgument).at(keyHead, cache.keyOffset(1));
  Global table = k.pointer(pageTableArgument)
                     .at(sequence, problem.pageStride() * 4)
                     .at((problem.pageStride() - 1) * 4);
  slot = k.pointer(pagesArgument)
             .at(k.loadConstant(table, 1)[0], cache.slotBytes())
             .at(keyHead, cache.halvesHeadBytes());
  stepBase = max(context - recent, zero) & ~(tilePositions - 1);
  stepCount = (length - stepBase + 15) & ~int64_t(15);
  unsigned argument =
      rowsArgument + (problem.slopes ? 1 : 0) + (problem.sinks ? 1 : 0);
  int64_t bytes = cache.keyHalfBytes() + cache.valueHalfBytes();
  stepRows = k.pointer(argument)
                 .at(tokenStart + sequence * (recent + cache.stepPadding),
                     cache.stepRowBytes())
                 .at(keyHead * stepCount, bytes);
}

/// A tile's keys and values, which lie side by side each.
void Body::copyHalves(Int start, Int stage) {
  int64_t keyBytes = problem.cache.keyHalfBytes(),
          valueBytes = problem.cache.valueHalfBytes();
  Int ring = start % recent, inStep = start - stepBase;
  Flag single = length == context + 1;
  auto place = [&](int64_t rowBytes, int64_t ofFirst, int64_t ofLatest,
                   Int ofStep) {
    Global latest = slot.at(ofLatest).at(ring, rowBytes);
    Global step = stepRows.at(ofStep, keyBytes).at(inStep, rowBytes);
    return choose(isOfFirst, slot.at(ofFirst).at(start, rowBytes),
                  choose(single, latest, step));
  };
  int64_t firsts = recent * (keyBytes + valueBytes);
  Global keyRows = place(keyBytes, firsts, 0, k.constant(0));
  Global valueRows = place(valueBytes, firsts + sinkPositions * keyBytes,
                           recent * keyBytes, stepCount);
  Int present = end - start;
  copyCodes({keyRows, plan.keyRow, present, tilePositions},
            k.constant(plan.keyRow), keyTile(stage));
  copyCodes({valueRows, plan.valueRow, present, tilePositions},
            k.constant(plan.valueRow), valueTile(stage));
  commitCopies(k);
  waitForCopies(k, 0);
}

void Body::walkHalves() {
  loadQueries();
  Int stage = dividesRows() ? stages : stages + k.warp() * ringBytes;
  Int from = max(splitBegin - codeTiles, k.constant(0));
  Int step = k.constant(dividesRows() ? 1 : schedule.warps);
  if (!dividesRows())
    from = from + k.warp();
  Kernel::Values values;
  push(values, startState());
  values =
      k.loop(from, splitEnd - codeTiles, step, values,
             [&](Int index, Kernel::Values carried) {
               llvm::ArrayRef<mlir::Value> now = carried;
               State state = pop(now);
               isOfFirst = index < firstTiles;
               Int start =
                   select(isOfFirst, index * tilePositions,
                          latestBegin + (index - firstTiles) * tilePositions);
               syncReaders(); // of the tile before
               copyHalves(start, stage);
               syncReaders();
               Int tile = start / tilePositions;
               Scores scores = finishScores(stage, tile, multiplyKeys(stage));
               exponentiate(scores, state);
               multiplyValues(stage, scores, state);
               Kernel::Values result;
               push(result, state);
               return result;
             });
  llvm::ArrayRef<mlir::Value> left = values;
  storePartials(pop(left));
}

/// Hides what a row does not see, and what it reads in the other part.
Body::Scores Body::maskParts(Int tile, Scores scores) {
  Int start = tile * schedule.tile;
  Flag hides = k.constant(0) == 0; // of halves always
  if (!part) {
    Int latest = positionOf(k.constant(0)) - recent; // the last one of codes
    hides = latest < start + (schedule.tile - 1) ||
            start < k.constant(sinkPositions);
    if (problem.window)
      hides = hides || start + (problem.window - 1) < end - 1;
  }
  Kernel::Values values;
  scores.push(values);
  values = k.when(hides, values, [&](Kernel::Values all) {
    Real hidden = k.real(-std::numeric_limits<double>::infinity());
    for (size_t j = 0; j < all.size(); ++j) {
      size_t i = j % 4, row = j / 4 % schedule.rowTiles,
             block = j / 4 / schedule.rowTiles;
      Int position = start + g + int64_t(block * 16 + i / 2 * 8);
      Int own = positions[row][i % 2];
      Flag isOld = position < own + 1 - recent;
      Flag isSink = position < k.constant(sinkPositions);
      Flag sees = isOld && !isSink;
      if (part) // of tiles of the first positions those, else the latest
        sees = (isOfFirst && isOld && isSink) ||
               (!isOfFirst && !isOld && position < own + 1);
      if (problem.window)
        sees = sees && own - problem.window < position;
      all[j] = select(sees, Real{{&k, all[j]}}, hidden).value;
    }
    return all;
  });
  llvm::ArrayRef<mlir::Value> left = values;
  scores.pop(left);
  return scores;
}
