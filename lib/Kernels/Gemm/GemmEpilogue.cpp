// From sums in registers to y: column warps add theirs, each for half of the
// tiles; slices are added in their order by the block of a tile that arrives
// last; then each warp turns its sums in shared memory so that a lane has eight
// neighbouring columns of a token, and stores what the epilogue makes of them.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/Builder/Fragments.h"
#include "lib/Kernels/Builder/Functions.h"
#include "lib/Kernels/Builder/Region.h"
#include "lib/Kernels/Gemm/GemmBody.h"

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::gemm;
using skinny_linear::stripRows;

constexpr int64_t runColumns = 8;

void Body::finish(Kernel::Values sums) {
  k.syncBlock(); // the stages are free
  if (schedule.columnWarps > 1)
    sums = addColumnWarps(sums);
  if (schedule.slices == 1) {
    storeSums(sums);
    return writeTile();
  }
  int64_t slotBytes = sumsOfThread() * schedule.threads() * 4;
  Global slots = k.pointer(Arguments::Workspace)
                     .at(tileIndex, schedule.slices * slotBytes)
                     .at(k.thread(), 16);
  Global mine = slots.at(slice, slotBytes);
  for (int64_t quad = 0; quad < sumsOfThread() / 4; ++quad) {
    std::vector<Int> words;
    for (int i = 0; i < 4; ++i) {
      mlir::Value sum = sums[size_t(quad * 4 + i)];
      words.push_back(isInt8() ? Int{{&k, sum}} : k.bits(Real{{&k, sum}}));
    }
    storeWords(k, slotOf(mine, 0, quad), words);
  }
  k.syncBlock();
  Int last = k.constant(schedule.slices - 1);
  k.when(k.thread() == 0, [&] {
    Int before =
        k.arriveAt(k.pointer(Arguments::Counters).at(tileIndex, 4), last);
    k.storeShared(flag, 0, {before});
  });
  k.syncBlock();
  k.when(k.loadShared(flag, 0, 1)[0] == last, [&] {
    storeSums(addSlices(slots));
    writeTile();
  });
}

/// Of two warps with the same sums the first keeps the first half of the tiles,
/// the second the other, and each gives the rest to the other:
///
///   given[warp][strip][tile of the half][lane][4]
Kernel::Values Body::addColumnWarps(const Kernel::Values &sums) {
  int64_t quads = strips() * endTiles(), pair = schedule.warps() / 2;
  Flag first = columnWarp() == 0;
  auto sumAt = [&](int64_t quad, int64_t half, int64_t i) {
    int64_t strip = quad / endTiles(), tile = quad % endTiles();
    mlir::Value sum =
        sums[size_t((strip * tiles() + half * endTiles() + tile) * 4 + i)];
    return isInt8() ? Int{{&k, sum}} : k.bits(Real{{&k, sum}});
  };
  Int given = stages + k.warp() * plan.givenBytes + k.lane() * 16;
  for (int64_t quad = 0; quad < quads; ++quad) {
    std::vector<Int> words;
    for (int64_t i = 0; i < 4; ++i)
      words.push_back(select(first, sumAt(quad, 1, i), sumAt(quad, 0, i)));
    k.storeShared(given, quad * 512, words);
  }
  k.syncBlock();
  Int other = select(first, k.warp() + pair, k.warp() - pair);
  Int taken = stages + other * plan.givenBytes + k.lane() * 16;
  Kernel::Values kept;
  for (int64_t quad = 0; quad < quads; ++quad) {
    std::vector<Int> words = k.loadShared(taken, quad * 512, 4);
    for (int64_t i = 0; i < 4; ++i) {
      Int mine = select(first, sumAt(quad, 0, i), sumAt(quad, 1, i));
      Int sum = addSums(mine, words[size_t(i)]);
      kept.push_back(isInt8() ? sum.value : k.asReal(sum).value);
    }
  }
  if (schedule.slices == 1)
    k.syncBlock(); // the slabs may be used
  return kept;
}

Int Body::addSums(Int a, Int b) {
  return isInt8() ? a + b : k.bits(k.asReal(a) + k.asReal(b));
}

Global Body::slotOf(Global slots, int64_t slice, int64_t quad) {
  int64_t quads = sumsOfThread() / 4;
  return slots.at((slice * quads + quad) * schedule.threads() * 16);
}

Kernel::Values Body::addSlices(Global slots) {
  Kernel::Values sums;
  for (int64_t quad = 0; quad < sumsOfThread() / 4; ++quad) {
    std::vector<Int> total = k.load(slotOf(slots, 0, quad), 4);
    for (int64_t slice = 1; slice < schedule.slices; ++slice) {
      std::vector<Int> words = k.load(slotOf(slots, slice, quad), 4);
      for (int i = 0; i < 4; ++i)
        total[i] = addSums(total[i], words[i]);
    }
    for (Int word : total)
      sums.push_back(isInt8() ? word.value : k.asReal(word).value);
  }
  return sums;
}

// The slab of a warp ----------------------------------------------------------

/// slab[token][16 rows a strip, 4 unused]
void Body::storeSums(const Kernel::Values &sums) {
  Int g = k.lane() >> 2, t = k.lane() & 3;
  int64_t tokenBytes = plan.slabStride * 4;
  Int address = slab + t * (2 * tokenBytes) + g * 4;
  for (int64_t s = 0; s < strips(); ++s)
    for (int64_t tile = 0; tile < endTiles(); ++tile)
      for (int64_t i = 0; i < 4; ++i) {
        int64_t offset =
            (tile * 8 + i % 2) * tokenBytes + (s * stripRows + i / 2 * 8) * 4;
        mlir::Value sum = sums[size_t((s * endTiles() + tile) * 4 + i)];
        if (isInt8())
          k.storeShared(address, offset, {Int{{&k, sum}}});
        else
          k.storeSharedReal(address, offset, Real{{&k, sum}});
      }
  k.syncWarp();
}

/// Runs of eight columns, those of a token side by side.
void Body::writeTile() {
  int64_t runs = problem.paired ? strips() : 2 * strips();
  k.loop(k.lane(), k.constant(endTiles() * 8 * runs), k.constant(32), {},
         [&](Int i, Kernel::Values) {
           writeRun(i / runs, i % runs);
           return Kernel::Values();
         });
  if (appender)
    appendHeads();
}

int64_t Body::segmentOutputs() const {
  return problem.paired ? segment().rows / 2 : segment().rows;
}

bool Body::hasWholeRuns() const {
  return problem.outputColumns() % runColumns == 0 &&
         segmentOutputs() % runColumns == 0;
}

Real Body::sumAt(Int address, int64_t offset) {
  return isInt8() ? toReal(k.loadShared(address, offset, 1)[0])
                  : k.loadSharedReal(address, offset);
}

/// The sums of element `element` of a run, of paired rows two, with the scales
/// of rows and tokens.
std::vector<Real> Body::valuesAt(const Place &place, int64_t element) {
  mlir::Type f32 = k.builder().getF32Type();
  std::vector<Real> values;
  for (int64_t half = 0; half < halves(); ++half) {
    int64_t offset = half * 32 + element * 4;
    if (isCentred(problem.codes)) {
      values.push_back(skinny_linear::centredValue(
          k, problem, k.loadShared(place.address, offset, 1)[0],
          place.row + (part.firstRow + half * segmentOutputs() + element),
          k.loadReal(place.scales.at(offset), f32)));
      continue;
    }
    Real value = sumAt(place.address, offset);
    if (isInt8())
      value = value *
              k.loadReal(k.pointer(Arguments::Scales).at(place.token, 4), f32);
    if (skinny_linear::hasRowScales(format()))
      value = value * k.loadReal(place.scales.at(offset), f32);
    values.push_back(value);
  }
  return values;
}

void Body::writeRun(Int inWarp, Int run) {
  Int token = firstToken + tokenWarp() * (tiles() * 8) + inWarp;
  if (schedule.columnWarps > 1)
    token = token + columnWarp() * (endTiles() * 8);
  int64_t rowsOfRun = problem.paired ? 16 : 8; // packed, of W
  Int packedRow =
      (firstStrip + rowWarp() * strips()) * stripRows + run * rowsOfRun;
  Int output = problem.paired ? packedRow >> 1 : packedRow;
  Int column = output + part.firstRow / (problem.gate ? 2 : 1);
  Int address = slab + inWarp * (plan.slabStride * 4) + run * (rowsOfRun * 4);
  Global scales =
      k.pointer(Arguments::Weights).at(part.scaleOffset).at(packedRow, 4);
  Place place = {address, token, output, scales};
  // Of paired rows without a gate the second halves are columns further on.
  auto write = [&](Int column, const std::vector<std::vector<Real>> &values) {
    for (int half = 0; half < (problem.gate ? 1 : halves()); ++half) {
      Run run;
      for (const std::vector<Real> &pair : values)
        run.push_back(problem.gate ? gated(*problem.gate, pair[0], pair[1],
                                           typeOf(k, problem.output))
                                   : pair[size_t(half)]);
      writeValues(token, column + half * segmentOutputs(), run, address);
    }
  };
  Flag there = token < tokens && output < k.constant(segmentOutputs());
  k.when(there, [&] {
    if (hasWholeRuns()) {
      std::vector<std::vector<Real>> values;
      for (int64_t i = 0; i < runColumns; ++i)
        values.push_back(valuesAt(place, i));
      return write(column, values);
    }
    Int count =
        min(k.constant(segmentOutputs()) - output, k.constant(runColumns));
    k.loop(k.constant(0), count, k.constant(1), {}, [&](Int i, Kernel::Values) {
      Int next = column + i;
      Place at = {address + i * 4, token, output + i, scales.at(i, 4)};
      write(next, {valuesAt(at, 0)});
      return Kernel::Values();
    });
  });
}

/// Heads stay in shared memory, in the place of their sums.
void Body::writeValues(Int token, Int column, const Run &values, Int sums) {
  int count = int(values.size());
  auto elementAt = [&](Global base, mlir::Type type) {
    int64_t bytes = type.getIntOrFloatBitWidth() / 8;
    return base.at(token, problem.outputColumns() * bytes).at(column, bytes);
  };
  std::vector<Run> operands;
  unsigned pointer = arguments.operands;
  for (const Operand &operand : problem.operands) {
    mlir::Type type = typeOf(k, operand.type);
    Global base = k.pointer(pointer++);
    Global address = operand.shape == OperandShape::Element
                         ? elementAt(base, type)
                         : base.at(column, type.getIntOrFloatBitWidth() / 8);
    operands.push_back(loadRun(k, address, type, count));
  }
  Run results;
  for (int i = 0; i < count; ++i) {
    std::vector<Real> arguments = {values[size_t(i)]};
    for (const Run &operand : operands)
      arguments.push_back(operand[size_t(i)]);
    results.push_back(
        skinny_linear::finishElement(k, problem, epilogue, arguments));
  }
  mlir::Type type = typeOf(k, problem.output);
  if (appender)
    return storeCell(sums, results);
  storeRun(k, elementAt(k.pointer(Arguments::Y), type), results, type);
}
