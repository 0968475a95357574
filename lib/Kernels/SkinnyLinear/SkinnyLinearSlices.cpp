// Sums of blocks that have different slices of the columns. Each consumer warp
// has whole sums of its slice, and stores them as its registers hold them:
//
//   workspace[tile][slice][strip of the tile][token tile][lane][4]
//
// The blocks of all slices with the same range of tiles cut it into as many
// parts as there are slices, and slice s begins with part s:
//
//   slice 0   part 0 ▸ part 1 ▸ part 2     Whoever finishes a part last adds
//   its slice 1   part 1 ▸ part 2 ▸ part 0     slices, in their order, when the
//   slice 2   part 2 ▸ part 0 ▸ part 1     block's own products are done.
//
// So all blocks end with about the same work, and none waits for another.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/SkinnyLinear/SkinnyLinearBody.h"

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::skinny_linear;

constexpr int64_t tileBytes = 32 * 16; // 16 rows × 8 tokens of f32

void Body::consumeSlices() {
  Kernel::Values carried;
  Ring::push(carried, weights().start());
  for (size_t i = 0; i < segments.size(); ++i) {
    beginSegment(i);
    carried = forTiles(segments[i], carried,
                       [&](TileSteps tile, Kernel::Values values) {
                         storeSlice(i, tile, multiplyTile(i, tile, values));
                         endPart(i, tile);
                         return values;
                       });
  }
  k.syncThreads(consumerBarrier, 32 * schedule.consumers());
  for (size_t i = 0; i < segments.size(); ++i)
    finishParts(i);
}

/// Bytes of a slice of a tile.
int64_t Body::sliceBytes() const {
  return schedule.tileStrips() * plan.tokenTiles * tileBytes;
}

/// The lane's first sums of a slice of a tile.
Global Body::sliceOf(size_t segment, Int tile, Int slice) {
  Int index = tile + segments[segment].firstTile;
  return k.pointer(Arguments::Workspace)
      .at(index, schedule.slices * sliceBytes())
      .at(slice, sliceBytes())
      .at(k.lane(), 16);
}

void Body::storeSlice(size_t segment, TileSteps tile, const Sums &sums) {
  Global mine = sliceOf(segment, tile.tile, slice)
                    .at(firstStrip(), plan.tokenTiles * tileBytes);
  for (size_t i = 0; i < sums.size(); ++i) {
    std::vector<Int> words;
    for (Real value : sums[i])
      words.push_back(wordOf(value));
    k.store(mine.at(int64_t(i) * tileBytes), words);
  }
}

/// Behind the last tile of a part: counts the block, and notes for all warps
/// whether it was the last one.
void Body::endPart(size_t segment, TileSteps tile) {
  int64_t slices = schedule.slices;
  Int done = tile.tile - tile.first + 1;
  // Part p begins at tile floor(p · count / slices).
  Int part = (done * slices - 1) / tile.count;
  k.when(done == (part + 1) * tile.count / slices, [&] {
    k.syncThreads(consumerBarrier, 32 * schedule.consumers());
    k.when(k.thread() == 0, [&] {
      Int index = tile.tile + segments[segment].firstTile;
      Int before = k.arriveAt(k.pointer(Arguments::Counters).at(index, 4),
                              k.constant(slices - 1));
      k.storeShared(lastParts + part * 4, int64_t(segment) * slices * 4,
                    {before});
    });
  });
}

/// Finishes the parts of the block's range that it was the last to count.
void Body::finishParts(size_t segment) {
  int64_t slices = schedule.slices;
  auto [first, count] = tilesOf(segments[segment]);
  k.loop(k.constant(0), k.constant(slices), k.constant(1), {},
         [&, first = first, count = count](Int part, Kernel::Values) {
           Int from = part * count / slices, to = (part + 1) * count / slices;
           k.when(from < to, [&] {
             Int before = k.loadShared(lastParts + part * 4,
                                       int64_t(segment) * slices * 4, 1)[0];
             k.when(before == slices - 1,
                    [&] { addSlices(segment, first + from, to - from); });
           });
           return Kernel::Values();
         });
}

void Body::addSlices(size_t segment, Int firstTile, Int count) {
  int64_t strips = schedule.tileStrips(), tokenTiles = plan.tokenTiles;
  k.loop(k.warp(), count * (strips * tokenTiles),
         k.constant(schedule.consumers()), {}, [&](Int i, Kernel::Values) {
           addSlicesOf(segment, firstTile + i / (strips * tokenTiles),
                       i / tokenTiles % strips, i % tokenTiles);
           return Kernel::Values();
         });
}

void Body::addSlicesOf(size_t segment, Int tile, Int strip, Int tokenTile) {
  Global first = sliceOf(segment, tile, k.constant(0))
                     .at(strip * plan.tokenTiles + tokenTile, tileBytes);
  // All of them are on their way before the first one is added.
  std::vector<std::vector<Int>> loaded;
  for (int s = 0; s < schedule.slices; ++s)
    loaded.push_back(k.load(first.at(s * sliceBytes()), 4));
  std::vector<Int> sum = loaded[0];
  for (int s = 1; s < schedule.slices; ++s)
    for (size_t i = 0; i < 4; ++i)
      sum[i] = addWords(sum[i], loaded[s][i]);
  Int g = k.lane() >> 2, t = k.lane() & 3;
  for (int e = 0; e < 2; ++e) {
    Int token = tokenTile * 8 + (t * 2 + e);
    k.when(token < tokens, [&] {
      writeElement(segment, tile, {strip, token, g, k.constant(0)},
                   {sum[size_t(e)], sum[size_t(e) + 2]});
    });
  }
}
