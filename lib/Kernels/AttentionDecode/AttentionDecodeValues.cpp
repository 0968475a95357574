// Probabilities times values. Which channel a row of the output has follows
// from how a format's codes lie in a chunk, see channelOf.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/AttentionDecode/AttentionDecodeBody.h"
#include "lib/Kernels/Builder/Fp8.h"

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::attention_decode;
using quant::ElementType;

/// Words of probabilities change from the lanes of positions to those of rows:
///
///   stored  [position]  rows 0 1 | 2 3 | 4 5 | 6 7     16 bytes
///   loaded, transposed: lane 4g+t has row g, positions 2t and 2t+1
///
/// The result: [row tile][block of 16 positions] registers of B.
std::vector<std::array<Int, 2>> Body::turnProbabilities(Int stage,
                                                        const Scores &scores) {
  int rowTiles = schedule.rowTiles, blocks = schedule.tile / 16;
  int64_t offset = plan.keyBytes + plan.valueBytes + plan.keyScaleBytes;
  Int mine = probabilities + g * 16 + t * 4;
  for (int block = 0; block < blocks; ++block) {
    std::array<Real, 2> scales;
    if (plan.valueScaleBytes)
      scales = scalesOf(stage, offset, block);
    for (int row = 0; row < rowTiles; ++row)
      for (int side = 0; side < 2; ++side) {
        const Accumulator &p = scores.at(block, row);
        Real low = p[2 * side], high = p[2 * side + 1];
        if (plan.valueScaleBytes) {
          low = low * scales[side];
          high = high * scales[side];
        }
        int64_t place = (row * blocks + block) * 256 + side * 128;
        k.storeShared(mine, place, {k.packHalves(low, high, activation)});
      }
  }
  k.syncWarp();
  std::vector<std::array<Int, 2>> turned;
  Int lane = probabilities + k.lane() * 16;
  for (int i = 0; i < rowTiles * blocks; i += 2) {
    unsigned count = i + 1 < rowTiles * blocks ? 4 : 2;
    // Two matrices take the addresses of the first 16 lanes; the others' lie in
    // the same memory.
    Int address = count == 4 ? lane + i * 256
                             : probabilities + (k.lane() & 15) * 16 + i * 256;
    std::vector<Int> words = loadTransposed(address, count);
    for (unsigned j = 0; j < count; j += 2)
      turned.push_back({words[j], words[j + 1]});
  }
  return turned;
}

/// A of the tiles of channels in chunks 2 · pair and 2 · pair + 1, for 16
/// positions. A transposed matrix gives a lane two codes' bytes of positions
/// 2t and 2t+1:
///
///   f16   channel g of a chunk:    chunk 2·pair has rows g, the other rows g+8
///   int8, fp8  channels 2g, 2g+1:  rows g and g+8; a tile is a chunk
///   int4  channels 4g … 4g+3:      rows g and g+8 of two tiles a chunk
std::vector<std::array<Int, 4>> Body::valueFragments(Int stage, int block,
                                                     int pair) {
  Int r = k.lane() & 7, side = (k.lane() >> 3) & 1, half = k.lane() >> 4;
  Int address = valueTile(stage).row(half * 8 + r).at(side * 16, 2 * pair) +
                block * 16 * plan.valueStride;
  std::vector<Int> m = loadTransposed(address, 4);
  ElementType element = problem.cache.value.element;
  if (problem.cache.value.isFloat())
    return {{m[0], m[1], m[2], m[3]}};
  auto unpackBytes = [&](Int word) {
    return element == ElementType::Fp8E4m3
               ? unpackE4m3(k, word, activation, BytePairs::EveryOther)
               : unpackInt8(k, word, activation);
  };
  std::vector<std::array<Int, 4>> tiles;
  for (int c = 0; c < 2; ++c) {
    if (element != ElementType::Int4) {
      std::array<Int, 2> low = unpackBytes(m[c]), high = unpackBytes(m[c + 2]);
      tiles.push_back({low[0], low[1], high[0], high[1]});
      continue;
    }
    std::array<Int, 4> low = unpackInt4(k, m[c], activation),
                       high = unpackInt4(k, m[c + 2], activation);
    tiles.push_back({low[0], low[1], high[0], high[1]});
    tiles.push_back({low[2], low[3], high[2], high[3]});
  }
  return tiles;
}

void Body::multiplyValues(Int stage, const Scores &scores, State &state) {
  int rowTiles = schedule.rowTiles, blocks = schedule.tile / 16;
  std::vector<std::array<Int, 2>> p = turnProbabilities(stage, scores);
  int pairs = int(plan.valueStride / 32);
  for (int block = 0; block < blocks; ++block) {
    int tile = 0;
    for (int pair = 0; pair < pairs; ++pair) {
      // Of large heads, the loads of all pairs at once would leave no registers
      // to the outputs: those behind a barrier wait for it.
      if (plan.valueTiles >= 16 && pair && pair % 4 == 0)
        k.syncWarp();
      for (const std::array<Int, 4> &a : valueFragments(stage, block, pair)) {
        if (tile == state.output.rows())
          break; // padding
        for (int row = 0; row < rowTiles; ++row) {
          Accumulator &sum = state.output.at(tile, row);
          sum = k.mma(activation, a, p[row * blocks + block], sum);
        }
        ++tile;
      }
    }
  }
}
