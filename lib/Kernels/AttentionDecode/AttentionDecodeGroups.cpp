// Keys whose scales are those of a channel for a group of positions. Products
// with the codes of a full group take queries that its scales are in already;
// the open group is read as it waits, with 16 bits.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/AttentionDecode/AttentionDecodeBody.h"
#include "lib/Quant/Element.h"

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::attention_decode;

/// Runs `body` for each step, which adds to `sums`: in a loop where the outputs
/// leave no registers for several steps at once.
void Body::forSteps(AccumulatorTile &sums, StepBody body) {
  if (!plan.queryBytes) {
    for (int step = 0; step < keySteps(); ++step)
      body({step, k.constant(0)}, queriesOf(step));
    return;
  }
  Kernel::Values values;
  sums.push(values);
  values = k.loop(k.constant(0), k.constant(keySteps()), k.constant(1), values,
                  [&](Int step, const Kernel::Values &now) {
                    llvm::ArrayRef<mlir::Value> left = now;
                    sums.pop(left);
                    body({0, step}, storedQueries(step));
                    Kernel::Values next;
                    sums.push(next);
                    return next;
                  });
  llvm::ArrayRef<mlir::Value> left = values;
  sums.pop(left);
}

/// The lane's eight channels of a step, of scales or offsets: f16 in a stage.
std::vector<Int> Body::channelWords(Int stage, int64_t offset, Step step) {
  int64_t bytes = stepChannels * 2;
  return arrange(k.loadShared(
      stage + t * 16 + step.looped * bytes,
      plan.keyBytes + plan.valueBytes + offset + step.unrolled * bytes, 4));
}

/// The lane's queries of a step times the scales of the tile's group.
std::vector<Int> Body::scaledQueries(Int stage, Step step,
                                     std::vector<Int> words) {
  mlir::Type f16 = k.builder().getF16Type();
  std::vector<Int> scales = channelWords(stage, 0, step);
  for (size_t i = 0; i < words.size(); ++i) {
    Int scale = scales[i % 4], &q = words[i];
    q = k.packHalves(k.lowHalf(q, activation) * k.lowHalf(scale, f16),
                     k.highHalf(q, activation) * k.highHalf(scale, f16),
                     activation);
  }
  return words;
}

/// Queries times the group's offsets, the same for all of its positions.
AccumulatorTile Body::offsetSums(Int stage) {
  mlir::Type f16 = k.builder().getF16Type();
  AccumulatorTile sums(k, 1, schedule.rowTiles);
  if (!problem.cache.keyOffsets())
    return sums;
  forSteps(sums, [&](Step step, const std::vector<Int> &q) {
    std::vector<Int> words = channelWords(stage, plan.keyScaleBytes / 2, step);
    if (activation != f16)
      for (Int &word : words)
        word = k.packHalves(k.lowHalf(word, f16), k.highHalf(word, f16),
                            activation);
    for (int tile = 0; tile < schedule.rowTiles; ++tile)
      for (size_t i = 0; i < 4; i += 2) {
        const Int *row = &q[size_t(tile) * 4 + i];
        Accumulator &sum = sums.at(0, tile);
        sum =
            k.mma(activation, {words[i], words[i], words[i + 1], words[i + 1]},
                  {row[0], row[1]}, sum);
      }
  });
  return sums;
}

/// The products of a step, added to the sums of all blocks of 16 positions.
/// `keys`: the registers of positions g + 8 · side of a block.
void Body::multiplyStep(const std::vector<Int> &queries,
                        llvm::function_ref<KeyWords(int block, int side)> keys,
                        Scores &sums) {
  for (int block = 0; block < sums.rows(); ++block) {
    KeyWords low = keys(block, 0), high = keys(block, 1);
    for (int tile = 0; tile < sums.columns(); ++tile)
      for (size_t i = 0; i < 2; ++i) {
        const Int *q = &queries[size_t(tile) * 4 + 2 * i];
        Accumulator &sum = sums.at(block, tile);
        sum = k.mma(activation, {low[i][0], high[i][0], low[i][1], high[i][1]},
                    {q[0], q[1]}, sum);
      }
  }
}

/// Products of a tile's codes, added to `sums`. `rowsOf`: what they are
/// multiplied by in a step.
Body::Scores Body::addCodes(Int stage, Scores sums,
                            llvm::function_ref<std::vector<Int>(
                                Step step, const std::vector<Int> &queries)>
                                rowsOf) {
  int64_t bits = quant::elementOf(problem.cache.key.element).bits;
  SharedTile::Row row = keyTile(stage).row(g);
  forSteps(sums, [&](Step step, const std::vector<Int> &queries) {
    if (isShort(problem.cache.key))
      return addShortCodes(row, step, rowsOf(step, queries), sums);
    Int place =
        row.at(t * bits + step.looped * (4 * bits), step.unrolled * bits / 4);
    multiplyStep(
        rowsOf(step, queries),
        [&](int block, int side) {
          return unpackKeys(
              k.loadShared(place, (block * 16 + side * 8) * plan.keyStride,
                           unsigned(bits / 4)));
        },
        sums);
  });
  return sums;
}

bool Body::isShort(const quant::Format &format) {
  return quant::bitsOf(format.element) < 4;
}

/// A lane's eight codes of a step have two bytes at 2t of the step's eight, and
/// of int3 one at t of its four behind the row of the others.
void Body::addShortCodes(const SharedTile::Row &row, Step step,
                         const std::vector<Int> &queries, Scores &sums) {
  bool hasThirds = problem.cache.key.element == quant::ElementType::Int3;
  // The place of the half-word that a byte of a row lies in, or begins.
  auto placeOf = [&](Int inside, int64_t begin, int64_t stepBytes) {
    int64_t fixed = begin + step.unrolled * stepBytes;
    Int looped = step.looped * stepBytes;
    if (!step.looped.constant())
      return row.at(inside + looped + fixed);
    return row.at(inside + fixed % 16, fixed / 16);
  };
  Int place = placeOf(t * 2, 0, 8);
  Int thirds = place, shift = (t & 1) * 8;
  if (hasThirds)
    thirds = placeOf(t & 2, problem.cache.keyRow() / 4, 4);
  multiplyStep(
      queries,
      [&](int block, int side) -> KeyWords {
        int64_t offset = (block * 16 + side * 8) * plan.keyStride;
        // Neighbours in the halves of a word.
        Int codes = k.loadSharedHalfWord(place, offset);
        codes = codes | codes << 14;
        std::array<Int, 4> n;
        if (hasThirds) {
          Int third = k.loadSharedHalfWord(thirds, offset) >> shift & 0xff;
          n = unpackInt3(k, codes, third | third << 15, activation);
        } else {
          n = unpackInt2(k, codes, activation);
        }
        return {{n[0], n[1]}, {n[2], n[3]}};
      },
      sums);
}

/// Products with the codes of a full group.
Body::Scores Body::multiplyFull(Int stage) {
  AccumulatorTile first = offsetSums(stage);
  Scores sums = zeroScores();
  for (int block = 0; block < sums.rows(); ++block)
    for (int tile = 0; tile < sums.columns(); ++tile)
      sums.at(block, tile) = first.at(0, tile);
  return addCodes(stage, std::move(sums),
                  [&](Step step, const std::vector<Int> &queries) {
                    return scaledQueries(stage, step, queries);
                  });
}

/// The four words of a lane of an open group's key; zeros where there is none.
Body::KeyWords Body::openKey(Int position, Step step) {
  Int channel = t * laneChannels + step.of(stepChannels);
  Flag exists =
      position < length && channel < k.constant(problem.cache.keySize);
  std::vector<Int> key = arrange(loadWhere(exists, 4, [&] {
    Global row = openKeys.at(position % problem.cache.keyGroup(),
                             problem.cache.openRowBytes());
    return k.load(row.at(channel, 2), 4);
  }));
  return {{key[0], key[1]}, {key[2], key[3]}};
}

/// Products with the open group's keys, straight from the slot.
Body::Scores Body::multiplyOpen(Int tile) {
  Scores sums = zeroScores();
  Int first = tile * schedule.tile + g;
  forSteps(sums, [&](Step step, const std::vector<Int> &queries) {
    multiplyStep(
        queries,
        [&](int block, int side) {
          return openKey(first + (block * 16 + side * 8), step);
        },
        sums);
  });
  return sums;
}

Body::Scores Body::multiplyGroups(Int stage, Int tile) {
  if (problem.cache.recent) // what is in an open group is no row's as a code
    return multiplyFull(stage);
  auto flat = [](const Scores &scores) {
    Kernel::Values values;
    scores.push(values);
    return values;
  };
  Scores scores = zeroScores();
  Flag isFull = !(length < groupEnd(tile));
  Kernel::Values values = k.when(isFull, flat(scores), [&](Kernel::Values) {
    return flat(multiplyFull(stage));
  });
  values = k.when(!isFull, values,
                  [&](Kernel::Values) { return flat(multiplyOpen(tile)); });
  llvm::ArrayRef<mlir::Value> left = values;
  scores.pop(left);
  return scores;
}
