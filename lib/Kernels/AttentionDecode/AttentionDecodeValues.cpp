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
  bool hasScales = plan.valueScaleBytes && !problem.cache.valueGroup();
  Int mine = probabilities + g * 16 + t * 4;
  for (int block = 0; block < blocks; ++block) {
    std::array<Real, 2> scales;
    if (hasScales)
      scales = scalesOf(stage, offset, block);
    for (int row = 0; row < rowTiles; ++row)
      for (int side = 0; side < 2; ++side) {
        const Accumulator &p = scores.at(block, row);
        Real low = p[2 * side], high = p[2 * side + 1];
        if (hasScales) {
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
///   int3, int2  channels 8g … 8g+7:  rows g and g+8 of four tiles a chunk
Body::Fragments Body::valueFragments(Int stage, int block, int pair) {
  Int r = k.lane() & 7, side = (k.lane() >> 3) & 1, half = k.lane() >> 4;
  SharedTile::Row row = valueTile(stage).row(half * 8 + r);
  Int place = row.at(side * 16, 2 * pair);
  if (plan.sliceRow == plan.valueRow && problem.slices() > 1) // int3
    place = row.at(min(firstChannel / 4 + side * 16 + pair * 32,
                       k.constant(plan.valueStride - 16)));
  Int address = place + block * 16 * plan.valueStride;
  std::vector<Int> m = loadTransposed(address, 4);
  if (problem.cache.value.isFloat())
    return {{m[0], m[1], m[2], m[3]}};
  Fragments tiles;
  for (int c = 0; c < 2; ++c)
    for (const std::array<Int, 4> &tile :
         isShort(problem.cache.value)
             ? unpackShort({m[c], m[c + 2]}, stage, block, 2 * pair + c)
             : unpackValues({m[c], m[c + 2]}))
      tiles.push_back(tile);
  if (problem.cache.valueGroup())
    scaleValues(stage, block, pair, tiles);
  return tiles;
}

/// Of a chunk's words, of the first and the last eight positions.
Body::Fragments Body::unpackValues(std::array<Int, 2> words) {
  ElementType element = problem.cache.value.element;
  if (element == ElementType::Int4) {
    std::array<Int, 4> low = unpackInt4(k, words[0], activation),
                       high = unpackInt4(k, words[1], activation);
    return {{low[0], low[1], high[0], high[1]},
            {low[2], low[3], high[2], high[3]}};
  }
  auto unpackBytes = [&](Int word) {
    return element == ElementType::Fp8E4m3
               ? unpackE4m3(k, word, activation, BytePairs::EveryOther)
               : unpackInt8(k, word, activation);
  };
  std::array<Int, 2> low = unpackBytes(words[0]), high = unpackBytes(words[1]);
  return {{low[0], low[1], high[0], high[1]}};
}

/// The same of two and three bits: even channels, then odd ones.
Body::Fragments Body::unpackShort(std::array<Int, 2> words, Int stage,
                                  int block, int chunk) {
  std::array<std::array<Int, 4>, 4> numbers; // low even, low odd, high …
  if (chunk * 4 >= plan.valueTiles)
    return {}; // padding
  for (int half = 0; half < 2; ++half) {
    Int even = words[half], odd = even >> 2;
    if (problem.cache.value.element == ElementType::Int2) {
      numbers[2 * half] = unpackInt2(k, even, activation);
      numbers[2 * half + 1] = unpackInt2(k, odd, activation);
      continue;
    }
    Int thirds = thirdBits(stage, block * 16 + half * 8, chunk);
    numbers[2 * half] = unpackInt3(k, even, thirds, activation);
    numbers[2 * half + 1] = unpackInt3(k, odd, thirds >> 1, activation);
  }
  Fragments tiles;
  for (size_t i = 0; i < 4; ++i)
    tiles.push_back(
        {numbers[0][i], numbers[1][i], numbers[2][i], numbers[3][i]});
  return tiles;
}

/// Third bits of a chunk's channels 8g … 8g+7, at the positions 2t and 2t+1
/// behind `first`: bytes of both halves.
Int Body::thirdBits(Int stage, int first, int chunk) {
  int64_t begin = problem.cache.valueRow() / 4 + chunk * 8;
  Int byte = (g & 6) + begin, shift = (g & 1) * 8;
  if (problem.slices() > 1)
    byte = min(byte + firstChannel / 8, k.constant(plan.valueStride - 2));
  Int bits[2];
  for (int further = 0; further < 2; ++further) {
    Int place = valueTile(stage).row(t * 2, further).at(byte);
    Int pair = k.loadSharedHalfWord(place, first * plan.valueStride);
    bits[further] = pair >> shift & 0xff;
  }
  return bits[0] | bits[1] << 16;
}

Body::GroupNumbers Body::groupNumbers(Int stage, int block, Int group) {
  const cuda::KvPageLayout &cache = problem.cache;
  int64_t numberBytes = schedule.tile * 2;
  int64_t groups = cache.valueSize / cache.valueGroup();
  int64_t begin =
      plan.keyBytes + plan.valueBytes + plan.keyScaleBytes + block * 32;
  Int address = stage + group * numberBytes + t * 4;
  mlir::Type f16 = k.builder().getF16Type();
  auto load = [&](int64_t offset) {
    Int word = k.loadShared(address, begin + offset, 1)[0];
    return activation == f16 ? word
                             : k.packHalves(k.lowHalf(word, f16),
                                            k.highHalf(word, f16), activation);
  };
  GroupNumbers numbers;
  for (int half = 0; half < 2; ++half) {
    numbers.scales[half] = load(half * 16);
    if (cache.valueOffsets())
      numbers.offsets[half] = load(groups * numberBytes + half * 16);
  }
  return numbers;
}

/// Codes of a pair of chunks become values. A lane's channels of a chunk lie in
/// one group.
void Body::scaleValues(Int stage, int block, int pair, Fragments &tiles) {
  const cuda::KvPageLayout &cache = problem.cache;
  int64_t channels = plan.chunkChannels, group = cache.valueGroup();
  std::optional<int64_t> known;
  GroupNumbers numbers;
  for (size_t i = 0; i < tiles.size(); ++i) {
    auto inPair = int64_t(i) * 16;
    if (inPair % channels == 0) {
      Int first = firstChannel + (2 * pair * channels + inPair);
      if (group % channels != 0)
        first = first + g * (channels / 8);
      // Behind the head's end, the last one.
      Int index = min(first / group, k.constant(cache.valueSize / group - 1));
      if (!known || index.constant() != known)
        numbers = groupNumbers(stage, block, index);
      known = index.constant();
    }
    for (size_t j = 0; j < 4; ++j) {
      Int &value = tiles[i][j], scale = numbers.scales[j / 2];
      value = cache.valueOffsets()
                  ? fmaHalves(value, scale, numbers.offsets[j / 2], activation)
                  : mulHalves(value, scale, activation);
    }
  }
}

void Body::multiplyValues(Int stage, const Scores &scores, State &state) {
  int rowTiles = schedule.rowTiles, blocks = schedule.tile / 16;
  std::vector<std::array<Int, 2>> p = turnProbabilities(stage, scores);
  int pairs = int(plan.chunkPairs);
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
