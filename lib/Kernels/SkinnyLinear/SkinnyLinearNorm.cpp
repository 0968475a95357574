// What is ahead of the product: every block normalises the rows of x that it
// reads, or makes codes of them, on their way to shared memory; ahead of that,
// a residual sum of such a norm. One token's row stays in registers between its
// read and its result, beside scales that were read before the dependency
// point; rows of many tokens lie in shared memory meanwhile.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/SkinnyLinear/SkinnyLinearBody.h"

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::skinny_linear;
using quant::ElementType;

/// Chunks of a row with the zeros that the slices end with.
int64_t Body::rowChunks() const {
  return plan.unitsPerSlice * schedule.slices * unitColumns / chunkElements;
}

// One token -------------------------------------------------------------------

int64_t Body::heldChunks() const {
  return skinny_linear::heldChunks(problem, schedule);
}

Int Body::heldChunk(int64_t index) {
  return k.thread() + index * 32 * schedule.consumers();
}

/// Whether the thread's chunk `index` is among the first `chunks`, where only
/// some threads' are.
std::optional<Flag> Body::holdsChunk(int64_t index, int64_t chunks) {
  if ((index + 1) * 32 * schedule.consumers() <= chunks)
    return std::nullopt;
  return heldChunk(index) < k.constant(chunks);
}

/// Before the dependency point. Behind the last column they are zeros.
std::vector<Run> Body::loadNormVector(ElementType element, unsigned argument) {
  std::vector<Run> vector;
  mlir::Type type = typeOf(element);
  for (int64_t i = 0; i < heldChunks(); ++i) {
    auto load = [&](Kernel::Values) {
      Kernel::Values values;
      for (Real value :
           loadRun(k,
                   k.pointer(argument).at(
                       heldChunk(i), chunkElements * (type.isF32() ? 4 : 2)),
                   type, int(chunkElements)))
        values.push_back(value.value);
      return values;
    };
    auto inside = holdsChunk(i, problem.columns / chunkElements);
    Kernel::Values zeros(chunkElements, k.real(0).value);
    Run run;
    for (mlir::Value value : inside ? k.when(*inside, zeros, load) : load({}))
      run.push_back({{&k, value}});
    vector.push_back(run);
  }
  return vector;
}

Body::HeldNorm Body::loadHeldNorm(const Norm &norm, unsigned scale,
                                  int64_t sums) {
  HeldNorm held{norm, sums};
  held.scales = loadNormVector(norm.scale, scale);
  if (norm.bias)
    held.biases = loadNormVector(norm.scale, scale + 1);
  return held;
}

void Body::loadNormVectors() {
  int64_t sums = 0;
  if (problem.sum) {
    sumNorm = loadHeldNorm(*problem.sum, arguments.sumNorm, sums);
    sums += normSumBytes(*problem.sum, schedule.consumers());
  }
  if (!problem.norm.empty())
    norm = loadHeldNorm(problem.norm.front(), Arguments::FirstOptional, sums);
}

/// The thread's chunks; zeros behind the last one of the row.
Body::HeldWords Body::loadHeld(unsigned argument) {
  HeldWords words;
  for (int64_t i = 0; i < heldChunks(); ++i)
    words.push_back(loadChunkIf(holdsChunk(i, rowChunks()), k.constant(0),
                                heldChunk(i) * chunkElements, argument));
  return words;
}

/// What is normalised, made codes of or multiplied: x or a sum.
Body::HeldWords Body::heldRow() {
  HeldWords words = loadHeld(Arguments::X);
  return problem.sum ? addResidual(words, loadHeld(arguments.residual)) : words;
}

/// residual + norm(x), both rounded. The first block has a whole row, too, if
/// columns are in slices; it stores the sum.
Body::HeldWords Body::addResidual(HeldWords words, const HeldWords &residual) {
  RowStatistic statistic = heldStatistic(words, *sumNorm);
  Flag isFirst = k.block() == 0;
  for (int64_t i = 0; i < heldChunks(); ++i) {
    Run run = roundRun(
        k, normalised(heldRun(words[size_t(i)]), i, *sumNorm, statistic),
        activation);
    Run other = heldRun(residual[size_t(i)]);
    for (size_t e = 0; e < run.size(); ++e)
      run[e] = run[e] + other[e];
    for (size_t e = 0; e < run.size(); e += 2)
      words[size_t(i)][e / 2] = k.packHalves(run[e], run[e + 1], activation);
    auto inside = holdsChunk(i, problem.columns / chunkElements);
    k.when(inside ? isFirst && *inside : isFirst, [&] {
      k.store(k.pointer(arguments.residual + 1).at(heldChunk(i), chunkBytes),
              words[size_t(i)]);
    });
  }
  return words;
}

/// Of the row. Zeros behind the last column are none of it.
Body::RowStatistic Body::heldStatistic(const HeldWords &words,
                                       const HeldNorm &held) {
  bool isLayer = isLayerNorm(held.norm);
  Real zero = k.real(0), mean = zero, sum = zero;
  auto forValues =
      [&](llvm::function_ref<void(Real, std::optional<Flag>)> body) {
        for (int64_t i = 0; i < heldChunks(); ++i) {
          auto inside = holdsChunk(i, problem.columns / chunkElements);
          for (Int word : words[size_t(i)]) {
            body(k.lowHalf(word, activation), inside);
            body(k.highHalf(word, activation), inside);
          }
        }
      };
  if (isLayer) {
    forValues([&](Real value, std::optional<Flag>) { sum = sum + value; });
    mean = meanOf(sumOverTeam(sum, schedule.consumers(), held.sums));
    sum = zero;
  }
  forValues([&](Real value, std::optional<Flag> inside) {
    if (isLayer) {
      value = value - mean;
      value = inside ? select(*inside, value, zero) : value;
    }
    sum = fma(value, value, sum);
  });
  int64_t offset = held.sums;
  if (isLayer)
    offset += normSumBytes(held.norm, schedule.consumers()) / 2;
  sum = sumOverTeam(sum, schedule.consumers(), offset);
  return {mean, normFactor(sum, held.norm)};
}

/// The elements of a chunk.
Run Body::heldRun(const std::vector<Int> &words) {
  Run run;
  for (Int word : words) {
    run.push_back(k.lowHalf(word, activation));
    run.push_back(k.highHalf(word, activation));
  }
  return run;
}

/// A chunk of the row behind a norm, not rounded.
Run Body::normalised(Run run, int64_t index, const HeldNorm &held,
                     const RowStatistic &statistic) {
  for (size_t i = 0; i < run.size(); ++i) {
    Real value = isLayerNorm(held.norm) ? run[i] - statistic.mean : run[i];
    Real y = value * statistic.factor, scale = held.scales[size_t(index)][i];
    run[i] = held.biases.empty() ? y * scale
                                 : fma(y, scale, held.biases[size_t(index)][i]);
  }
  return run;
}

/// The thread's chunks behind the norm ahead of the product, if there is one.
std::vector<Run> Body::normalisedRow(const HeldWords &words) {
  std::optional<RowStatistic> statistic;
  if (norm)
    statistic = heldStatistic(words, *norm);
  std::vector<Run> runs;
  for (int64_t i = 0; i < heldChunks(); ++i) {
    Run run = heldRun(words[size_t(i)]);
    runs.push_back(statistic ? normalised(run, i, *norm, *statistic) : run);
  }
  return runs;
}

/// Runs `store` with the place in shared memory of chunk `index`, which has so
/// many bytes there, where it is in the block's slice.
void Body::storeHeld(int64_t index, int64_t bytes,
                     llvm::function_ref<void(Int)> store) {
  int64_t sliceChunks = plan.unitsPerSlice * unitColumns / chunkElements;
  Int inSlice = heldChunk(index) - slice * sliceChunks;
  auto here = [&] { store(activations + inSlice * bytes); };
  if (!holdsChunk(index, rowChunks()) && schedule.slices == 1)
    here();
  else
    k.when(inSlice >= 0 && inSlice < k.constant(sliceChunks), here);
}

void Body::normaliseHeld() {
  std::vector<Run> runs = normalisedRow(heldRow());
  int64_t sliceChunks = plan.unitsPerSlice * unitColumns / chunkElements;
  for (int64_t i = 0; i < heldChunks(); ++i) {
    const Run &run = runs[size_t(i)];
    std::vector<Int> halves;
    for (size_t e = 0; e < run.size(); e += 2)
      halves.push_back(k.packHalves(run[e], run[e + 1], activation));
    storeHeld(i, chunkBytes,
              [&](Int place) { k.storeShared(place, 0, halves); });
    Int inSlice = heldChunk(i) - slice * sliceChunks;
    if (sumsWhileStaging())
      sumChunk(halves, inSlice,
               inSlice >= 0 && inSlice < k.constant(sliceChunks));
  }
}

/// The codes of the slice, and the scale of the row for the epilogue.
void Body::quantizeHeld() {
  std::vector<Run> runs = normalisedRow(heldRow());
  Real most = k.real(0);
  for (const Run &run : runs)
    for (Real value : run)
      most = largest(most, absolute(value));
  most = reduceWarp(k, most, Reduction::Largest);
  k.storeSharedReal(warpsLargest + k.warp() * 4, 0, most);
  k.syncThreads(consumerBarrier, 32 * schedule.consumers());
  most = k.loadSharedReal(warpsLargest, 0);
  for (int64_t i = 1; i < schedule.consumers(); ++i)
    most = largest(most, k.loadSharedReal(warpsLargest, 4 * i));
  CodeScale scale = codeScaleOf(most);
  k.when(k.thread() == 0,
         [&] { k.storeSharedReal(tokenScale, 0, scale.step); });
  for (int64_t i = 0; i < heldChunks(); ++i)
    storeHeld(i, chunkElements, [&](Int place) {
      k.storeShared(place, 0, encodeRun(k, runs[size_t(i)], scale.inverse));
    });
}

Real Body::meanOf(Real sum) { return sum * (1.0 / double(problem.columns)); }

/// rsqrt(mean + epsilon) of a sum of squares.
Real Body::normFactor(Real squares, const Norm &norm) {
  return k.reciprocalRoot(meanOf(squares) + k.real(norm.epsilon));
}

// Many tokens -----------------------------------------------------------------

/// Each row belongs to a team of warps: all of them for one token, one each for
/// many. The statistic is of the whole row, the stored part the block's slice.
void Body::normaliseActivations() {
  if (heldChunks())
    return normaliseHeld();
  int teamWarps = problem.tokens == 1 ? schedule.consumers() : 1;
  int teams = schedule.consumers() / teamWarps;
  Int teamThread = teamWarps == 1 ? k.lane() : k.thread();
  Int firstRow = teamWarps == 1 ? k.warp() : k.constant(0);
  if (plan.activationRows == teams)
    return normaliseRow(firstRow, teamThread, teamWarps);
  k.loop(firstRow, k.constant(plan.activationRows), k.constant(teams), {},
         [&](Int row, Kernel::Values) {
           normaliseRow(row, teamThread, teamWarps);
           return Kernel::Values();
         });
}

void Body::normaliseRow(Int row, Int teamThread, int teamWarps) {
  int teamThreads = 32 * teamWarps;
  RowStatistic statistic{
      k.real(0),
      sumOverTeam(storeAndSum(row, teamThread, teamThreads), teamWarps)};
  if (isLayerNorm(problem)) {
    statistic.mean = meanOf(statistic.factor);
    statistic.factor = sumOverTeam(
        sumOfDeviations(row, teamThread, teamThreads, statistic.mean),
        teamWarps, plan.normBytes / 2);
  }
  statistic.factor = normFactor(statistic.factor, problem.norm.front());
  scaleRow(row, teamThread, teamThreads, statistic);
}

/// Runs `body` on a thread's chunks of a row: index in the row, and in the
/// block's slice, where `stored` says that it lies.
void Body::forRowChunks(
    Int teamThread, int teamThreads, Kernel::Values &carried,
    llvm::function_ref<Kernel::Values(Int, Int, Flag, Kernel::Values)> body) {
  int64_t chunks = rowChunks();
  int64_t sliceChunks = plan.unitsPerSlice * unitColumns / chunkElements;
  carried = k.loop(teamThread, k.constant(chunks), k.constant(teamThreads),
                   carried, [&](Int chunk, Kernel::Values values) {
                     Int inSlice = chunk - slice * sliceChunks;
                     Flag stored =
                         inSlice >= 0 && inSlice < k.constant(sliceChunks);
                     return body(chunk, inSlice, stored, std::move(values));
                   });
}

/// Stores the slice of a row; the thread's part of Σ x of a layer_norm, of Σ x²
/// else.
Real Body::storeAndSum(Int row, Int teamThread, int teamThreads) {
  Kernel::Values sum = {k.real(0).value};
  forRowChunks(teamThread, teamThreads, sum,
               [&](Int chunk, Int inSlice, Flag stored, Kernel::Values values) {
                 std::vector<Int> words = loadChunk(row, chunk * chunkElements);
                 k.when(stored, [&] {
                   k.storeShared(activationAddress(row, inSlice), 0, words);
                 });
                 Real total{{&k, values[0]}};
                 for (Int word : words) {
                   Real low = k.lowHalf(word, activation),
                        high = k.highHalf(word, activation);
                   total = isLayerNorm(problem)
                               ? total + low + high
                               : fma(high, high, fma(low, low, total));
                 }
                 return Kernel::Values{total.value};
               });
  return {{&k, sum[0]}};
}

/// The thread's part of Σ (x − mean)² over the row.
Real Body::sumOfDeviations(Int row, Int teamThread, int teamThreads,
                           Real mean) {
  Kernel::Values sum = {k.real(0).value};
  bool padded = problem.columns < rowChunks() * chunkElements;
  forRowChunks(teamThread, teamThreads, sum,
               [&](Int chunk, Int, Flag, Kernel::Values values) {
                 std::vector<Int> words = loadChunk(row, chunk * chunkElements);
                 Real total{{&k, values[0]}};
                 for (int64_t e = 0; e < chunkElements; ++e) {
                   Int word = words[size_t(e / 2)];
                   Real value = (e % 2 ? k.highHalf(word, activation)
                                       : k.lowHalf(word, activation)) -
                                mean;
                   if (padded)
                     value = select(chunk * chunkElements + e < problem.columns,
                                    value, k.real(0));
                   total = fma(value, value, total);
                 }
                 return Kernel::Values{total.value};
               });
  return {{&k, sum[0]}};
}

/// `offset`: of the sums of the warps, so that those before may still be read.
Real Body::sumOverTeam(Real value, int teamWarps, int64_t offset) {
  for (int distance = 16; distance; distance /= 2)
    value = k.addFromLane(value, distance);
  if (teamWarps == 1)
    return value;
  k.storeSharedReal(normSums + k.warp() * 4, offset, value);
  k.syncThreads(consumerBarrier, 32 * teamWarps);
  Real sum = k.loadSharedReal(normSums, offset);
  for (int i = 1; i < teamWarps; ++i)
    sum = sum + k.loadSharedReal(normSums, offset + 4 * i);
  return sum;
}

/// A thread scales the chunks that it stored.
void Body::scaleRow(Int row, Int teamThread, int teamThreads,
                    const RowStatistic &statistic) {
  Kernel::Values none;
  forRowChunks(teamThread, teamThreads, none,
               [&](Int chunk, Int inSlice, Flag stored, Kernel::Values) {
                 k.when(stored, [&] {
                   Int address = activationAddress(row, inSlice);
                   std::vector<Int> words = k.loadShared(address, 0, 4);
                   for (int64_t i = 0; i < chunkElements / 2; ++i)
                     words[i] = scaleWord(
                         words[i], chunk * chunkElements + 2 * i, statistic);
                   k.storeShared(address, 0, words);
                 });
                 return Kernel::Values();
               });
}

Int Body::scaleWord(Int word, Int column, const RowStatistic &statistic) {
  const Norm &norm = problem.norm.front();
  mlir::Type type = typeOf(norm.scale);
  std::array<Real, 2> value = {k.lowHalf(word, activation),
                               k.highHalf(word, activation)};
  bool padded = problem.columns < rowChunks() * chunkElements;
  for (int64_t e = 0; e < 2; ++e) {
    Int at = column + e;
    Flag inside = at < k.constant(problem.columns);
    if (padded) // zeros behind the last column stay zeros
      at = min(at, k.constant(problem.columns - 1));
    auto vectorAt = [&](unsigned argument) {
      return k.loadReal(k.pointer(argument).at(at, type.isF32() ? 4 : 2), type,
                        /*alone=*/padded);
    };
    Real x = isLayerNorm(problem) ? value[e] - statistic.mean : value[e];
    Real y = x * statistic.factor, scale = vectorAt(Arguments::FirstOptional);
    y = norm.bias ? fma(y, scale, vectorAt(Arguments::FirstOptional + 1))
                  : y * scale;
    value[e] =
        padded && isLayerNorm(problem) ? select(inside, y, k.real(0)) : y;
  }
  return k.packHalves(value[0], value[1], activation);
}
