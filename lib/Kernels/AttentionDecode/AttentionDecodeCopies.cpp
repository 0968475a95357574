// Copies of a tile from its pages into a stage; how a stage lies is drawn in
// AttentionDecode.h.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/AttentionDecode/AttentionDecodeBody.h"

#include <algorithm>
#include <numeric>

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::attention_decode;

constexpr unsigned pageTableArgument = 3;

/// Of the position's bits, those that tell rows in the same banks apart, the
/// lowest one first: reversed, so that neighbours are far from each other.
static Swizzle swizzleOf(int64_t stride) {
  switch (std::gcd<int64_t>(stride / 16, 8)) {
  case 8:
    return {{{0, 2}, {1, 1}, {2, 0}}};
  case 4:
    return {{{1, 1}, {2, 0}}};
  case 2:
    return {{{2, 0}}};
  default:
    return {};
  }
}

Layout attention_decode::layoutOf(const Plan &plan, int64_t stride) {
  Layout layout = {stride, swizzleOf(stride)};
  int64_t exchanged = layout.swizzle.period() * 16;
  layout.aligned = stride % exchanged == 0 && plan.keyBytes % exchanged == 0 &&
                   plan.stageBytes % exchanged == 0;
  return layout;
}

static int64_t positionsOfPiece(const Problem &problem,
                                const Schedule &schedule) {
  return std::min<int64_t>(schedule.tile, problem.cache.page);
}

/// Entries of the page table for the pieces of a tile; a piece without a
/// position that somebody sees gets a neighbour's.
std::vector<Int> Body::findPages(Int tile) {
  int64_t piece = positionsOfPiece(problem, schedule);
  int64_t page = problem.cache.page;
  Global table =
      k.pointer(pageTableArgument).at(sequence, problem.pageStride() * 4);
  std::vector<Int> pages;
  for (int64_t i = 0; i < schedule.tile / piece; ++i) {
    Int position = tile * schedule.tile + i * piece;
    position = max(min(position, end - 1), first);
    pages.push_back(k.loadConstant(table.at(position / page, 4), 1)[0]);
  }
  return pages;
}

void Body::copyTile(Int tile, const std::vector<Int> &pages, Int stage) {
  const cuda::KvPageLayout &cache = problem.cache;
  int64_t positions = positionsOfPiece(problem, schedule);
  int64_t keyScales = plan.keyBytes + plan.valueBytes;
  for (size_t i = 0; i < pages.size(); ++i) {
    int64_t inTile = int64_t(i) * positions;
    Int start = tile * schedule.tile + inTile;
    Int inPage = start % cache.page;
    Int present = end - start;
    // A page that no row sees any more may be another's, or gone.
    if (problem.window && pages.size() > 1)
      present = select(first < start + positions, present, k.constant(0));
    Global head = keys.at(pages[i], cache.pageBytes());
    Global values = head.at(cache.valueOffset(0));
    Int withCodes = present;
    if (cache.keyGroup()) {
      Flag isFull = !(length < groupEnd(tile));
      withCodes = select(isFull, present, k.constant(0));
      Global scales =
          head.at(cache.keyCodeBytes())
              .at(inPage / cache.keyGroup(), cache.groupScaleBytes());
      copyChannels(scales, stage + keyScales, isFull);
      if (cache.keyOffsets())
        copyChannels(scales.at(cache.keyRow() * 2),
                     stage + (keyScales + plan.keyScaleBytes / 2), isFull);
    }
    copyCodes({head.at(inPage, plan.keyRow), plan.keyRow, withCodes, positions},
              k.constant(plan.keyRow),
              keyTile(stage + inTile * plan.keyStride));
    Global rows = values.at(inPage, plan.valueRow);
    Int rowBytes = k.constant(plan.sliceRow);
    if (plan.sliceRow < plan.valueRow) {
      Int begin = firstChannel * plan.sliceRow / problem.sliceChannels();
      rows = rows.at(begin, 1);
      rowBytes = min(rowBytes, k.constant(plan.valueRow) - begin);
    }
    copyCodes({rows, plan.valueRow, present, positions}, rowBytes,
              valueTile(stage + inTile * plan.valueStride));
    if (plan.keyScaleBytes && !cache.keyGroup())
      copyScales(
          {head.at(cache.keyCodeBytes()).at(inPage, 2), 2, present, positions},
          stage + (keyScales + inTile * 2), 0);
    if (!plan.valueScaleBytes)
      continue;
    GlobalTile scales = {values.at(cache.valueCodeBytes()).at(inPage, 2), 2,
                         present, positions};
    Int place = stage + (keyScales + plan.keyScaleBytes + inTile * 2);
    if (cache.valueGroup())
      copyGroupNumbers(scales, place);
    else
      copyScales(scales, place, 16);
  }
}

/// Rows of codes, padded with zeros to their stride. A thread's pieces are 16
/// bytes, or as many as rows are aligned to.
void Body::copyCodes(const GlobalTile &source, Int rowBytes,
                     const SharedTile &destination) {
  int64_t stride = destination.layout.stride;
  int64_t size = std::gcd<int64_t>(source.rowBytes, 16);
  int64_t perRow = stride / size;
  int64_t total = source.rows * perRow, threads = copiers();
  bool isEven = threads % perRow == 0 && (perRow & (perRow - 1)) == 0;
  // The piece `index`; the row's constant part apart, in whose bits the other
  // part has none.
  auto copyPiece = [&](Int index, int64_t rowConstant) {
    Int row = index / perRow, column = index % perRow;
    Int offset = column * size;
    Int place = destination.row(row, rowConstant).at(offset);
    Flag exists = row < source.present - rowConstant;
    Int from = (row + rowConstant) * source.rowBytes + offset;
    if (source.rowBytes != stride) {
      Flag isCode = offset < rowBytes;
      exists = exists && isCode;
      from = select(isCode, from, k.constant(0));
    }
    Int present = select(exists, k.constant(size), k.constant(0));
    copyAsync(place, source.base.at(from, 1), present, unsigned(size));
  };
  if (plan.queryBytes) { // the addresses of all would take registers
    k.loop(copier(), k.constant(total), k.constant(threads), {},
           [&](Int index, const Kernel::Values &) {
             copyPiece(index, 0);
             return Kernel::Values();
           });
    return;
  }
  for (int64_t i = 0; i < total; i += threads) {
    auto copy = [&] {
      copyPiece(isEven ? copier() : copier() + i, isEven ? i / perRow : 0);
    };
    if (i + threads <= total)
      copy();
    else
      k.when(copier() < total - i, copy);
  }
}

/// Scales of a piece's positions, 8 a lane.
void Body::copyScales(const GlobalTile &source, Int destination,
                      int firstLane) {
  int lanes = int(source.rows / 8);
  Int index = copier() - firstLane;
  for (int i = 0; i < lanes; i += 16) {
    Int at = index + i;
    Flag mine = k.constant(firstLane - 1) < copier() &&
                copier() < firstLane + std::min(16, lanes - i);
    k.when(mine, [&] {
      Int present = (source.present - at * 8) * 2;
      present = max(min(present, k.constant(16)), k.constant(0));
      copyAsync(destination + at * 16, source.base.at(at, 16), present, 16);
    });
  }
}

/// The scales of all groups of values, then their offsets: of each the
/// positions of a piece, 8 a copy.
void Body::copyGroupNumbers(const GlobalTile &source, Int destination) {
  int64_t pieces = source.rows / 8,
          total = problem.cache.valueNumbers() * pieces;
  for (int64_t first = 0; first < total; first += copiers()) {
    Int index = copier() + first;
    auto copy = [&] {
      Int number = index / pieces, at = index % pieces;
      Int present = (source.present - at * 8) * 2;
      present = max(min(present, k.constant(16)), k.constant(0));
      Global from = source.base.at(number, problem.cache.page * 2).at(at, 16);
      copyAsync(destination + number * (schedule.tile * 2) + at * 16, from,
                present, 16);
    };
    if (first + copiers() <= total)
      copy();
    else
      k.when(index < total, copy);
  }
}

/// Scales or offsets of the group's channels, 8 a piece, with zeros behind
/// them; a group that is not full has none.
void Body::copyChannels(Global source, Int destination, Flag isFull) {
  int64_t channels = problem.cache.keyRow(), pieces = plan.keyChannels / 8;
  for (int64_t first = 0; first < pieces; first += copiers()) {
    Int piece = copier() + first;
    k.when(piece < k.constant(pieces), [&] {
      Flag exists = isFull && piece * 8 < k.constant(channels);
      Int at = select(exists, piece, k.constant(0));
      copyAsync(destination + piece * 16, source.at(at, 16),
                select(exists, k.constant(16), k.constant(0)), 16);
    });
  }
}
