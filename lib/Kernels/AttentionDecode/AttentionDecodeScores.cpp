// Queries in registers, their products with the keys of a tile, and the online
// softmax in base 2.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/AttentionDecode/AttentionDecodeBody.h"
#include "lib/Kernels/Builder/Fp8.h"
#include "lib/Quant/Element.h"

#include <limits>
#include <numbers>
#include <numeric>

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::attention_decode;
using quant::ElementType;

constexpr unsigned queryArgument = 0, slopesArgument = 8;
constexpr double log2e = std::numbers::log2e;

// Rows ------------------------------------------------------------------------

/// The lane's eight channels of a step of row `row`, in the order in which
/// unpackKeys gives those of keys; zeros where there are none. A load has as
/// many as every head is aligned to.
std::vector<Int> Body::queryWords(Int row, int step) {
  int64_t size = problem.cache.keySize;
  int width =
      int(std::gcd(std::gcd(size, problem.queryStride), int64_t(laneChannels)));
  int atOnce = width == 1 ? laneChannels : width;
  std::vector<Int> words;
  for (int first = 0; first < laneChannels; first += atOnce) {
    Int channel = t * laneChannels + (step * stepChannels + first);
    Flag exists = row < rows && channel < size;
    for (Int word : loadWhere(exists, unsigned(atOnce) / 2, [&] {
           Int place = firstRow + row;
           Int token = tokenStart + place / sharing;
           Int head = keyHead * sharing + place % sharing;
           Global tokens =
               k.pointer(queryArgument).at(token, problem.queryStride * 2);
           return width == 1 ? loadChannels(tokens.at(head * size, 2), channel)
                             : k.load(tokens.at(head * size + channel, 2),
                                      unsigned(width) / 2);
         }))
      words.push_back(word);
  }
  return arrange(words);
}

/// Eight channels from `channel` on, one by one, with zeros behind the head.
std::vector<Int> Body::loadChannels(Global head, Int channel) {
  Int last = k.constant(problem.cache.keySize - 1);
  std::vector<Int> halves;
  for (int64_t i = 0; i < laneChannels; ++i) {
    Int at = channel + i;
    Int half = k.loadHalfWord(head.at(min(at, last), 2));
    halves.push_back(select(last < at, k.constant(0), half));
  }
  std::vector<Int> words;
  for (size_t i = 0; i < halves.size(); i += 2)
    words.push_back(halves[i] | halves[i + 1] << int64_t(16));
  return words;
}

std::vector<Int> Body::loadWhere(Flag exists, unsigned count,
                                 llvm::function_ref<std::vector<Int>()> load) {
  Kernel::Values words(count, k.constant(0).value);
  words = k.when(exists, words, [&](Kernel::Values) {
    Kernel::Values loaded;
    for (Int word : load())
      loaded.push_back(word.value);
    return loaded;
  });
  std::vector<Int> result;
  for (mlir::Value word : words)
    result.push_back({{&k, word}});
  return result;
}

std::vector<Int> Body::arrange(const std::vector<Int> &q) {
  constexpr uint32_t lows = 0x5410, highs = 0x7632;
  switch (problem.cache.key.element) {
  case ElementType::Int8: // bytes 0 and 2, 1 and 3
    return {k.prmt(q[0], q[1], lows), k.prmt(q[0], q[1], highs),
            k.prmt(q[2], q[3], lows), k.prmt(q[2], q[3], highs)};
  case ElementType::Int4: // nibbles i and i + 4
    return {k.prmt(q[0], q[2], lows), k.prmt(q[0], q[2], highs),
            k.prmt(q[1], q[3], lows), k.prmt(q[1], q[3], highs)};
  default:
    return q;
  }
}

/// In shared memory a lane's own words, which no other reads:
/// [step][row tile][thread] 16 bytes.
void Body::loadQueries() {
  queries.clear();
  int64_t place = 0, pieceBytes = schedule.threads() * 16;
  for (int step = 0; step < keySteps(); ++step)
    for (int tile = 0; tile < schedule.rowTiles; ++tile) {
      std::vector<Int> words = queryWords(g + tile * 8, step);
      if (plan.queryBytes)
        k.storeShared(queryPlace, place, words);
      else
        queries.insert(queries.end(), words.begin(), words.end());
      place += pieceBytes;
    }
}

std::vector<Int> Body::queriesOf(int step) {
  if (plan.queryBytes)
    return storedQueries(k.constant(step));
  auto begin = queries.begin() + step * schedule.rowTiles * 4;
  return {begin, begin + schedule.rowTiles * 4};
}

std::vector<Int> Body::storedQueries(Int step) {
  std::vector<Int> words;
  int64_t pieceBytes = schedule.threads() * 16;
  Int place = queryPlace + step * (schedule.rowTiles * pieceBytes);
  for (int tile = 0; tile < schedule.rowTiles; ++tile)
    for (Int word : k.loadShared(place, tile * pieceBytes, 4))
      words.push_back(word);
  return words;
}

/// Positions and slopes of the rows in the lane's columns of a fragment. A row
/// that does not exist is taken for the last one.
void Body::findRows() {
  for (int tile = 0; tile < schedule.rowTiles; ++tile) {
    std::array<Int, 2> position;
    std::array<Real, 2> slope{k.real(0), k.real(0)};
    for (int side = 0; side < 2; ++side) {
      Int row = max(min(t * 2 + (tile * 8 + side), rows - 1), k.constant(0));
      position[side] = positionOf(row);
      if (!problem.slopes)
        continue;
      Int head = keyHead * sharing + (firstRow + row) % sharing;
      Global address = k.pointer(slopesArgument).at(head, 4);
      slope[side] = k.asReal(k.loadConstant(address, 1)[0]) * log2e;
    }
    positions.push_back(position);
    slopes.push_back(slope);
  }
}

// Products --------------------------------------------------------------------

/// The four registers that a lane has of a position's eight channels, for two
/// products: {product 0, product 1} × {first, second half of k}.
std::vector<std::array<Int, 2>> Body::unpackKeys(std::vector<Int> words) {
  switch (problem.cache.key.element) {
  case ElementType::Fp8E4m3:
    return {unpackE4m3(k, words[0], activation, BytePairs::Neighbours),
            unpackE4m3(k, words[1], activation, BytePairs::Neighbours)};
  case ElementType::Int8:
    return {unpackInt8(k, words[0], activation),
            unpackInt8(k, words[1], activation)};
  case ElementType::Int4: {
    std::array<Int, 4> n = unpackInt4(k, words[0], activation);
    return {{n[0], n[1]}, {n[2], n[3]}};
  }
  default:
    return {{words[0], words[1]}, {words[2], words[3]}};
  }
}

Body::Scores Body::multiplyKeys(Int stage) {
  if (plan.queryBytes)
    return addCodes(stage, zeroScores(),
                    [](Step, const std::vector<Int> &rows) { return rows; });
  int64_t bits = quant::elementOf(problem.cache.key.element).bits;
  int64_t stride = plan.keyStride, stepChunks = bits / 4;
  SharedTile::Row row = keyTile(stage).row(g);
  int steps = keySteps();
  Scores sums = zeroScores();
  for (int block = 0; block < sums.rows(); ++block)
    for (int step = 0; step < steps; ++step) {
      Int place = row.at(t * bits, step * stepChunks);
      int64_t offset = block * 16 * stride;
      unsigned words = unsigned(bits / 4);
      auto low = unpackKeys(k.loadShared(place, offset, words));
      auto high = unpackKeys(k.loadShared(place, offset + 8 * stride, words));
      std::vector<Int> rows = queriesOf(step);
      for (int tile = 0; tile < schedule.rowTiles; ++tile)
        for (int product = 0; product < 2; ++product) {
          const Int *q = &rows[size_t(tile * 4 + 2 * product)];
          Accumulator &sum = sums.at(block, tile);
          sum = k.mma(activation,
                      {low[product][0], high[product][0], low[product][1],
                       high[product][1]},
                      {q[0], q[1]}, sum);
        }
    }
  return sums;
}

// Scores ----------------------------------------------------------------------

/// Scales of positions g and g + 8 of a block of 16.
std::array<Real, 2> Body::scalesOf(Int stage, int64_t offset, int block) {
  mlir::Type f16 = k.builder().getF16Type();
  Int address = stage + (g >> 1) * 4, shift = (g & 1) << 4;
  std::array<Real, 2> scales;
  for (int side = 0; side < 2; ++side) {
    Int pair = k.loadShared(address, offset + block * 32 + side * 16, 1)[0];
    scales[side] = k.lowHalf(pair >> shift, f16);
  }
  return scales;
}

Real Body::finishScore(Real score, Real factor, Int position, size_t row,
                       int side) {
  Real result = score * factor;
  if (problem.softcap > 0) {
    // c · tanh(x / c) = c − 2c / (e^(2x/c) + 1), where factor has 2 / c.
    double cap = problem.softcap * log2e;
    Real power = exp2(result);
    result = fma(reciprocal(power + k.real(1)), k.real(-2 * cap), k.real(cap));
  }
  if (problem.slopes)
    result =
        fma(slopes[row][side], toReal(position - positions[row][side]), result);
  return result;
}

Body::Scores Body::finishScores(Int stage, Int tile, Scores scores) {
  double scale = double(problem.scale) * log2e;
  if (problem.softcap > 0)
    scale *= 2 / double(problem.softcap);
  Int start = tile * schedule.tile + g;
  int64_t scaleOffset = plan.keyBytes + plan.valueBytes;
  for (int block = 0; block < schedule.tile / 16; ++block) {
    std::array<Real, 2> factors{k.real(scale), k.real(scale)};
    if (plan.keyScaleBytes && !problem.cache.keyGroup()) {
      factors = scalesOf(stage, scaleOffset, block);
      for (Real &factor : factors)
        factor = factor * scale;
    }
    for (int row = 0; row < schedule.rowTiles; ++row)
      for (int i = 0; i < 4; ++i) {
        Real &score = scores.at(block, row)[i];
        Int position = start + (block * 16 + i / 2 * 8);
        score =
            finishScore(score, factors[i / 2], position, size_t(row), i % 2);
      }
  }
  if (part || problem.cache.recent)
    return maskParts(tile, std::move(scores));
  return maskScores(tile, std::move(scores));
}

/// Hides what a row does not see, in the tiles where some row does not see all.
Body::Scores Body::maskScores(Int tile, Scores scores) {
  Int start = tile * schedule.tile;
  Int sure = problem.causal ? positionOf(k.constant(0)) : end - 1;
  Flag hides = sure < start + (schedule.tile - 1);
  if (problem.window)
    hides = hides || start + (problem.window - 1) < end - 1;
  Kernel::Values values;
  scores.push(values);
  values = k.when(hides, values, [&](Kernel::Values all) {
    Real hidden = k.real(-std::numeric_limits<double>::infinity());
    for (size_t j = 0; j < all.size(); ++j) {
      size_t i = j % 4, row = j / 4 % schedule.rowTiles,
             block = j / 4 / schedule.rowTiles;
      Int position = start + g + int64_t(block * 16 + i / 2 * 8);
      Int own = positions[row][i % 2];
      Flag sees = position < (problem.causal ? own + 1 : end);
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

/// Scores become probabilities relative to the running maximum, and everything
/// so far is corrected to it.
void Body::exponentiate(Scores &scores, State &state) {
  for (int row = 0; row < scores.columns(); ++row)
    for (int side = 0; side < 2; ++side) {
      Real highest = scores.at(0, row)[side];
      for (int block = 0; block < scores.rows(); ++block)
        for (int i = side; i < 4; i += 2)
          highest = max(highest, scores.at(block, row)[i]);
      for (int distance : {4, 8, 16})
        highest = maxFromLane(highest, distance);
      Real &maximum = state.maxima[row][side], &sum = state.sums[row][side];
      Real next = max(maximum, highest);
      Real correction = exp2(maximum - next);
      Real base = next - k.real(bias());
      maximum = next;
      sum = sum * correction;
      for (int block = 0; block < scores.rows(); ++block)
        for (int i = side; i < 4; i += 2) {
          Real &score = scores.at(block, row)[i];
          score = exp2(score - base);
          sum = sum + score;
        }
      for (int tile = 0; tile < state.output.rows(); ++tile)
        for (int i = side; i < 4; i += 2) {
          Real &value = state.output.at(tile, row)[i];
          value = value * correction;
        }
    }
}
