// The epilogue's warp: sums of the consumer warps, of the blocks that share a
// tile, and what is done to each element before it is stored. All sums have one
// order, whatever arrives first: warps by index, then blocks.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/Builder/Functions.h"
#include "lib/Kernels/Builder/Region.h"
#include "lib/Kernels/SkinnyLinear/SkinnyLinearBody.h"

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::skinny_linear;

void Body::finish() {
  if (appender && problem.tokens == 1) {
    appender->setToken(k.constant(0));
    appender->locate();
  }
  k.waitForPredecessor();
  Kernel::Values carried;
  Ring::push(carried, partials().start());
  for (size_t i = 0; i < segments.size(); ++i)
    carried = forTiles(segments[i], carried,
                       [&](TileSteps tile, Kernel::Values values) {
                         Ring::Cursor cursor = partials().pop(values);
                         partials().waitFull(cursor);
                         finishTile(i, tile, partials().stage(cursor));
                         partials().release(cursor);
                         // The consumers need not wait for the heads.
                         if (!sharesTiles(i))
                           finishHeads(i, tile.tile);
                         Ring::push(values, partials().next(cursor));
                         return values;
                       });
}

/// Floats of a round of elements in the workspace.
int64_t Body::roundFloats() const { return problem.tokens == 1 ? 16 : 64; }

/// Lane (token, g) of a warp has rows g and g+8 of four tokens at a time, or of
/// one alone.
void Body::forElements(llvm::function_ref<void(Element)> body) {
  int64_t rounds = problem.tokens == 1 ? 1 : plan.tokenTiles * 2;
  int64_t all = schedule.tileStrips() * rounds;
  Int g = k.lane() & 7, row = k.lane() >> 3;
  auto element = [&](Int i) {
    Int strip = i / rounds, token = row + i % rounds * 4;
    Int position = i * roundFloats() + k.lane() * 2;
    k.when(token < tokens, [&] { body({strip, token, g, position}); });
  };
  if (all <= 4) {
    for (int64_t i = 0; i < all; ++i)
      element(k.constant(i));
    return;
  }
  k.loop(k.constant(0), k.constant(all), k.constant(1), {},
         [&](Int i, Kernel::Values) {
           element(i);
           return Kernel::Values();
         });
}

std::array<Int, 2> Body::sumOfWarps(Int stage, Element element) {
  int64_t tokenRows = problem.tokens == 1 ? 1 : plan.tokenTiles * 8;
  int64_t tokenBytes = partialStride * 4, stripBytes = tokenRows * tokenBytes;
  Int address = stage + element.strip * stripBytes +
                element.token * tokenBytes + element.g * 4;
  std::array<Int, 2> sum;
  for (int half = 0; half < 2; ++half) {
    sum[half] = k.loadShared(address, half * 32, 1)[0];
    for (int w = 1; w < schedule.columnWarps; ++w)
      sum[half] = addWords(
          sum[half],
          k.loadShared(address,
                       w * schedule.tileStrips() * stripBytes + half * 32,
                       1)[0]);
  }
  return sum;
}

bool Body::sharesTiles(size_t segment) const {
  return segments[segment].contributors > 1;
}

void Body::finishTile(size_t segment, TileSteps tile, Int stage) {
  const SegmentPlan &part = segments[segment];
  auto alone = [&] {
    forElements([&](Element element) {
      writeElement(segment, tile.tile, element, sumOfWarps(stage, element));
    });
  };
  if (part.contributors == 1)
    return alone();
  Int begin = tile.tile * part.steps;
  Int first = ownerOf(part, begin),
      last = ownerOf(part, begin + (part.steps - 1));
  Int blocks = last - first + 1;
  k.when(blocks == 1, [&] {
    alone();
    finishHeads(segment, tile.tile);
  });
  k.when(k.constant(1) < blocks,
         [&] { shareTile(segment, tile, stage, first, blocks); });
}

/// Stores the block's sums in its slot; the last block to do so adds all slots
/// in their order and finishes the tile.
void Body::shareTile(size_t segment, TileSteps tile, Int stage, Int first,
                     Int blocks) {
  const SegmentPlan &part = segments[segment];
  int64_t slotBytes = plan.workspaceBytes / (plan.tiles * plan.slots);
  Int index = tile.tile + part.firstTile;
  Global slots =
      k.pointer(Arguments::Workspace).at(index, plan.slots * slotBytes);
  Global mine = slots.at(blockOfSlice - first, slotBytes);
  forElements([&](Element element) {
    std::array<Int, 2> sum = sumOfWarps(stage, element);
    Global address = mine.at(element.position, 4);
    storeWords(k, address, sum[0]);
    storeWords(k, address.at(4), sum[1]);
  });
  k.syncWarp();
  Kernel::Values before =
      k.when(k.lane() == 0, {k.constant(0).value}, [&](Kernel::Values) {
        Global counter = k.pointer(Arguments::Counters).at(index, 4);
        return Kernel::Values{k.arriveAt(counter, blocks - 1).value};
      });
  Int arrived = k.fromLane({{&k, before[0]}}, 0);
  // What the first lane acquired, the others may read behind this.
  k.syncWarp();
  k.when(arrived == blocks - 1, [&] {
    forElements([&](Element element) {
      writeElement(segment, tile.tile, element,
                   sumOfBlocks(slots, slotBytes, blocks, element));
    });
    finishHeads(segment, tile.tile);
  });
}

std::array<Int, 2> Body::sumOfBlocks(Global slots, int64_t slotBytes,
                                     Int blocks, Element element) {
  Kernel::Values sums(2, k.constant(0).value);
  sums = k.loop(k.constant(0), blocks, k.constant(1), sums,
                [&](Int block, Kernel::Values values) {
                  Global address =
                      slots.at(block, slotBytes).at(element.position, 4);
                  for (int half = 0; half < 2; ++half) {
                    Int word = k.load(address.at(4 * half), 1)[0];
                    values[half] = addWords({{&k, values[half]}}, word).value;
                  }
                  return values;
                });
  return {Int{{&k, sums[0]}}, Int{{&k, sums[1]}}};
}

// Heads -----------------------------------------------------------------------

/// Counts the tile at each head that has rows in it. The last tile of a head
/// sees all of it in y, and goes on with it.
void Body::finishHeads(size_t segment, Int tile) {
  if (!appender)
    return;
  const SegmentPlan &part = segments[segment];
  int64_t size = problem.append->cache.keySize,
          rows = schedule.tileStrips() * 16,
          last = problem.segments[segment].rows / size - 1;
  Int begin = tile * rows;
  Int end = min((begin + (rows - 1)) / size, k.constant(last));
  // The lanes have stored the rows.
  k.syncWarp();
  k.loop(
      begin / size, end + 1, k.constant(1), {}, [&](Int head, Kernel::Values) {
        Int tiles = (head * size + (size - 1)) / rows - head * size / rows;
        Int index = head + part.firstRow / size;
        int64_t firstCounter = plan.counters - problem.heads();
        Kernel::Values before =
            k.when(k.lane() == 0, {k.constant(0).value}, [&](Kernel::Values) {
              Global counter = k.pointer(Arguments::Counters)
                                   .at(firstCounter * 4)
                                   .at(index, 4);
              return Kernel::Values{k.arriveAt(counter, tiles).value};
            });
        Int arrived = k.fromLane({{&k, before[0]}}, 0);
        k.syncWarp();
        k.when(arrived == tiles, [&] { appendHead(index); });
        return Kernel::Values();
      });
}

void Body::appendHead(Int head) {
  if (problem.tokens == 1)
    return k.when(appender->isPresent(), [&] { appender->run(head); });
  k.loop(k.constant(0), tokens, k.constant(1), {},
         [&](Int token, Kernel::Values) {
           appender->setToken(token);
           k.when(appender->isPresent(), [&] {
             appender->locate();
             appender->run(head);
           });
           return Kernel::Values();
         });
}

// Elements --------------------------------------------------------------------

/// The row of y that a strip has as g, or as g+8; behind the segment's last
/// row, that one.
Int Body::outputRow(size_t segment, Int strip, Int g, int64_t half) {
  int64_t rows = problem.segments[segment].rows,
          first = segments[segment].firstRow;
  if (problem.paired)
    return min(strip * 8 + g, k.constant(rows / 2 - 1)) +
           (first + half * (rows / 2));
  return min(strip * 16 + (g + 8 * half), k.constant(rows - 1)) + first;
}

/// The sums of rows g and g+8 with the scales of rows and tokens.
std::array<Real, 2> Body::scaled(size_t segment, Int strip, Element element,
                                 std::array<Int, 2> words) {
  const SegmentPlan &part = segments[segment];
  const quant::Format &format = problem.segments[segment].weight;
  mlir::Type f32 = k.builder().getF32Type();
  std::array<Real, 2> values = {valueOf(words[0]), valueOf(words[1])};
  if (!hasRowScales(format))
    return values;
  // Tiles may end behind the last strip.
  Int stored = min(strip, k.constant(part.strips - 1));
  Global scales = k.pointer(Arguments::Weights)
                      .at(part.scaleOffset)
                      .at(stored * 16 + element.g, 4);
  for (int half = 0; half < 2; ++half) {
    Real scale = k.loadReal(scales.at(32 * half), f32);
    if (isCentred(problem.codes)) {
      values[half] =
          centredValue(k, problem, words[half],
                       outputRow(segment, strip, element.g, half), scale);
      continue;
    }
    if (problem.source)
      values[half] = values[half] * k.loadSharedReal(tokenScale, 0);
    else if (problem.hasCodes())
      values[half] =
          values[half] *
          k.loadReal(k.pointer(Arguments::Scales).at(element.token, 4), f32);
    values[half] = values[half] * scale;
  }
  return values;
}

void Body::writeElement(size_t segment, Int tile, Element element,
                        std::array<Int, 2> words) {
  const SegmentPlan &part = segments[segment];
  const Segment &rows = problem.segments[segment];
  Int strip = tile * schedule.tileStrips() + element.strip;
  std::array<Real, 2> sums = scaled(segment, strip, element, words);
  if (problem.paired) {
    Int row = strip * 8 + element.g;
    return k.when(row < rows.rows / 2, [&] {
      if (problem.gate)
        return writeValue(
            element.token, row + part.firstRow / 2,
            gated(*problem.gate, sums[0], sums[1], typeOf(problem.output)));
      for (int64_t half = 0; half < 2; ++half)
        writeValue(element.token, row + (part.firstRow + half * rows.rows / 2),
                   sums[size_t(half)]);
    });
  }
  for (int half = 0; half < 2; ++half) {
    Int row = strip * 16 + (element.g + 8 * half);
    auto write = [&] {
      writeValue(element.token, row + part.firstRow, sums[half]);
    };
    bool padded = rows.rows % (16 * schedule.tileStrips());
    if (padded)
      k.when(row < rows.rows, write);
    else
      write();
  }
}

void Body::writeValue(Int token, Int column, Real result) {
  int64_t columns = problem.outputColumns();
  mlir::Type type = typeOf(problem.output);
  auto elementAt = [&](Global base, mlir::Type type) {
    int64_t bytes = type.isF32() ? 4 : 2;
    return base.at(token, columns * bytes).at(column, bytes);
  };
  std::vector<Real> values = {result};
  unsigned pointer = arguments.operands;
  for (const Operand &operand : problem.operands) {
    mlir::Type operandType = typeOf(operand.type);
    Global base = k.pointer(pointer++);
    Global address = operand.shape == OperandShape::Element
                         ? elementAt(base, operandType)
                         : base.at(column, operandType.isF32() ? 4 : 2);
    values.push_back(k.loadReal(address, operandType));
  }
  result = finishElement(k, problem, epilogue, values);
  k.storeReal(elementAt(k.pointer(Arguments::Y), type), result, type);
}
