// Heads of queries, keys and values from shared memory to where rotary_append
// would put them. A tile has whole heads, of some of the tokens:
//
//   slab of a warp:  token 0: | 8 values, 16 unused bytes | 8 values …
//                    token 1: …
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/Gemm/GemmBody.h"

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::gemm;
using skinny_linear::stripRows;

constexpr int64_t cellChannels = 8, cellBytes = cellChannels * 4;

/// Each thread looks for its own token, while the first weights arrive.
void Body::storePlaces() {
  Int count = min(tokens - firstToken, k.constant(schedule.blockTokens()));
  k.loop(k.thread(), count, k.constant(schedule.threads()), {},
         [&](Int token, Kernel::Values) {
           auto place = appender->placeOf(firstToken + token);
           k.storeShared(places + token * tokenPlaceBytes, 0,
                         {place.position, place.page});
           return Kernel::Values();
         });
}

/// Eight values of y over the sums that they were made of.
void Body::storeCell(Int cell, const Run &values) {
  mlir::Type type = typeOf(k, problem.output);
  std::vector<Int> words;
  for (size_t i = 0; i < values.size(); i += 2)
    words.push_back(k.packHalves(values[i], values[i + 1], type));
  k.storeShared(cell, 0, words);
}

/// The cells of a token of the tile, in the slab of the first warp that has it.
Int Body::tokenCells(Int token) {
  int64_t perTokenWarp = tiles() * 8, perSlab = endTiles() * 8;
  Int warp = token / perTokenWarp * int64_t(schedule.rowWarps);
  if (schedule.columnWarps > 1)
    warp = warp + token % perTokenWarp / perSlab *
                      int64_t(schedule.rowWarps * schedule.tokenWarps);
  return stages + warp * plan.slabBytes +
         token % perSlab * (plan.slabStride * 4);
}

/// A lane's channels from row `row` of the tile on.
Run Body::loadChannels(Int cells, Int row) {
  int64_t warpRows = strips() * stripRows;
  Int cell = cells + row / warpRows * plan.slabBytes +
             row % warpRows / cellChannels * cellBytes;
  mlir::Type type = typeOf(k, problem.output);
  Run run;
  for (Int word : k.loadShared(cell + row % cellChannels * 2, 0,
                               unsigned(appendWidth) / 2)) {
    run.push_back(k.lowHalf(word, type));
    run.push_back(k.highHalf(word, type));
  }
  return run;
}

void Body::appendHeads() {
  k.syncBlock(); // a head may lie in the slabs of several warps
  int64_t size = problem.append->cache.keySize;
  Int inSegment = firstStrip * stripRows / size;
  Int heads = min(k.constant(segment().rows / size) - inSegment,
                  k.constant(schedule.blockStrips() * stripRows / size));
  Int count = min(tokens - firstToken, k.constant(schedule.blockTokens()));
  int64_t atOnce = tokensAtOnce(appendWidth);
  k.loop(k.constant(0), heads, k.constant(1), {},
         [&](Int head, Kernel::Values) {
           Int job = inSegment + head + part.firstRow / size;
           appender->forKind(job, [&](Kind kind, Int index) {
             k.loop(k.warp() * atOnce, count,
                    k.constant(schedule.warps() * atOnce), {},
                    [&](Int token, Kernel::Values) {
                      appendTokens(kind, index, head * size, token, count);
                      return Kernel::Values();
                    });
           });
           return Kernel::Values();
         });
}

/// All loads, then all stores, as the compiler would not order them.
void Body::appendTokens(Kind kind, Int index, Int firstRow, Int token,
                        Int count) {
  int64_t atOnce = tokensAtOnce(appendWidth);
  std::vector<rotary_append::Body> bodies(size_t(atOnce), *appender);
  std::vector<rotary_append::Body::Head> heads;
  for (int64_t i = 0; i < atOnce; ++i) {
    // Behind the last token, that one's once more.
    Int here = min(token + i, count - 1);
    std::vector<Int> place =
        k.loadShared(places + here * tokenPlaceBytes, 0, 2);
    bodies[size_t(i)].setPlace(firstToken + here, {place[0], place[1]});
    Int cells = tokenCells(here);
    heads.push_back(bodies[size_t(i)].rotated(kind, index, [&](Int channel) {
      return loadChannels(cells, firstRow + channel);
    }));
  }
  // Else the first token's loads would move to its stores.
  k.syncWarp();
  for (int64_t i = 0; i < atOnce; ++i) {
    rotary_append::Body &body = bodies[size_t(i)];
    k.when(token + i < count && body.isPlaced(),
           [&] { body.store(kind, heads[size_t(i)], index); });
  }
}
