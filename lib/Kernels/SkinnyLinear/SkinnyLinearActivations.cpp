// The consumers' activations: the block's slice of x in shared memory as rows
// of halves or codes, and the sums that products of unsigned codes are
// corrected by. Columns behind the last one are zero; tokens behind the last
// one repeat it.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/Builder/Fragments.h"
#include "lib/Kernels/SkinnyLinear/SkinnyLinearBody.h"

#include <set>

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::skinny_linear;

void Body::stageActivations() {
  if (problem.source)
    quantizeHeld();
  else if (problem.norm.empty() && !problem.sum)
    copyActivations();
  else
    normaliseActivations();
  if (plan.zeroBytes)
    k.when(k.thread() < plan.zeroBytes / chunkBytes, [&] {
      std::vector<Int> words(chunkBytes / 4, k.constant(0));
      k.storeShared(zeros + k.thread() * chunkBytes, 0, words);
    });
  k.syncThreads(consumerBarrier, 32 * schedule.consumers());
  if (!needsSums() || sumsWhileStaging())
    return;
  sumActivations();
  k.syncThreads(consumerBarrier, 32 * schedule.consumers());
}

Int Body::activationAddress(Int row, Int chunk) {
  Int address = activations + row * plan.activationStride + chunk * chunkBytes;
  constexpr int64_t unitBytes = unitColumns * 2;
  if (plan.activationUnit <= unitBytes)
    return address;
  return address +
         chunk / (unitBytes / chunkBytes) * (plan.activationUnit - unitBytes);
}

static std::vector<Int> wordsOf(Kernel &k, const Kernel::Values &values) {
  std::vector<Int> words;
  for (mlir::Value value : values)
    words.push_back({{&k, value}});
  return words;
}

/// A chunk where `inside` holds; the other threads have zeros and read nothing.
std::vector<Int> Body::loadChunkIf(std::optional<Flag> inside, Int row,
                                   Int column, unsigned argument) {
  if (!inside)
    return loadChunk(row, column, argument);
  Kernel::Values zeros(chunkBytes / 4, k.constant(0).value);
  return wordsOf(k, k.when(*inside, zeros, [&](Kernel::Values) {
    Kernel::Values loaded;
    for (Int word : loadChunk(row, column, argument))
      loaded.push_back(word.value);
    return loaded;
  }));
}

/// A chunk of a token of x, or of another argument of its shape, from `column`
/// on, zeros behind the last column.
std::vector<Int> Body::loadChunk(Int row, Int column, unsigned argument) {
  int64_t bytes = elementBytes();
  // Of single bytes at an address that it knows to be aligned, LLVM makes one
  // load that goes on behind the last column.
  bool aligned = bytes > 1 || problem.columns % chunkBytes == 0;
  Int last = aligned ? tokens - 1 : k.integer(arguments.tokens) - 1;
  Int token = problem.tokens == 1 && aligned ? row : min(row, last);
  Global rowStart = k.pointer(argument).at(token, problem.columns * bytes);
  if (problem.columns % elementsOfChunk() == 0) {
    if (plan.units * unitColumns == problem.columns && !isRagged())
      return k.load(rowStart.at(column, bytes), 4);
    Kernel::Values zeros(chunkBytes / 4, k.constant(0).value);
    return wordsOf(k,
                   k.when(column < problem.columns, zeros, [&](Kernel::Values) {
                     Kernel::Values loaded;
                     for (Int word : k.load(rowStart.at(column, bytes), 4))
                       loaded.push_back(word.value);
                     return loaded;
                   }));
  }
  return loadElements(rowStart, column);
}

/// Rows that start anywhere: one element at a time.
std::vector<Int> Body::loadElements(Global rowStart, Int column) {
  std::vector<Int> words;
  int64_t bytes = elementBytes(), perWord = 4 / bytes;
  for (int64_t i = 0; i < elementsOfChunk(); ++i) {
    Int at = column + i;
    Kernel::Values element = k.when(
        at < problem.columns, {k.constant(0).value}, [&](Kernel::Values) {
          Global address = rowStart.at(at, bytes);
          Int loaded =
              bytes == 1 ? loadBytes(k, address, 1) : k.loadHalfWord(address);
          return Kernel::Values{loaded.value};
        });
    Int bits{{&k, element[0]}};
    if (i % perWord)
      words.back() = words.back() | (bits << (i % perWord * bytes * 8));
    else
      words.push_back(bits);
  }
  return words;
}

/// `count` chunks of a thread, the first one at index `first`, loaded before
/// any of them is stored.
void Body::copyChunks(Int first, int64_t count, bool checked) {
  int64_t rowChunks = plan.unitsPerSlice * unitColumns / elementsOfChunk();
  int64_t all = plan.activationRows * rowChunks;
  int64_t threads = 32 * schedule.consumers();
  std::vector<std::vector<Int>> loaded;
  std::vector<Int> addresses;
  for (int64_t i = 0; i < count; ++i) {
    Int index = first + i * threads;
    std::optional<Flag> inside;
    if (checked)
      inside = index < k.constant(all);
    Int row = plan.activationRows == 1 ? k.constant(0) : index / rowChunks;
    Int chunk = plan.activationRows == 1 ? index : index % rowChunks;
    Int column = (slice * rowChunks + chunk) * elementsOfChunk();
    loaded.push_back(loadChunkIf(inside, row, column));
    addresses.push_back(activationAddress(row, chunk));
  }
  for (int64_t i = 0; i < count; ++i) {
    auto store = [&] { k.storeShared(addresses[i], 0, loaded[i]); };
    if (checked)
      k.when(first + i * threads < k.constant(all), store);
    else
      store();
    if (sumsWhileStaging()) {
      std::optional<Flag> stored;
      if (checked)
        stored = first + i * threads < k.constant(all);
      sumChunk(loaded[i], first + i * threads, stored);
    }
  }
}

void Body::copyActivations() {
  int64_t all = plan.activationRows * plan.unitsPerSlice * unitColumns /
                elementsOfChunk();
  int64_t threads = 32 * schedule.consumers();
  constexpr int64_t most = 16; // registers: four a load
  int64_t loadsInFlight = std::min(chunksInFlight / threads, most);
  int64_t rounds = all / threads, whole = rounds / loadsInFlight;
  if (whole > 1)
    k.loop(k.constant(0), k.constant(whole), k.constant(1), {},
           [&](Int i, Kernel::Values) {
             copyChunks(k.thread() + i * (loadsInFlight * threads),
                        loadsInFlight, false);
             return Kernel::Values();
           });
  else if (whole == 1)
    copyChunks(k.thread(), loadsInFlight, false);
  int64_t done = whole * loadsInFlight;
  if (done < rounds)
    copyChunks(k.thread() + done * threads, rounds - done, false);
  if (rounds * threads < all)
    copyChunks(k.thread() + rounds * threads, 1, true);
}

// Corrections -----------------------------------------------------------------

bool Body::needsSums() const {
  if (problem.hasCodes())
    return false;
  for (const Segment &segment : problem.segments)
    if (isShifted(segment.weight))
      return true;
  return false;
}

/// Of one token a thread has few chunks, in registers, and each belongs to one
/// group: their sums need neither products nor another barrier.
bool Body::sumsWhileStaging() const {
  return needsSums() && problem.tokens == 1 &&
         (problem.norm.empty() || heldChunks() > 0);
}

/// Adds a chunk of the slice to those of its group, which neighbouring lanes
/// have; the first of them stores the sum if the chunk is one of the slice's.
void Body::sumChunk(const std::vector<Int> &words, Int chunk,
                    std::optional<Flag> stored) {
  int64_t lanes = correctionColumns(problem) / chunkElements;
  Real sum = k.lowHalf(words[0], activation) + k.highHalf(words[0], activation);
  for (size_t i = 1; i < words.size(); ++i)
    sum = sum +
          (k.lowHalf(words[i], activation) + k.highHalf(words[i], activation));
  for (int64_t distance = lanes / 2; distance; distance /= 2)
    sum = k.addFromLane(sum, int(distance));
  Flag isFirst = (chunk & (lanes - 1)) == 0;
  k.when(stored ? *stored && isFirst : isFirst, [&] {
    k.storeSharedReal(corrections + chunk / lanes * plan.correctionStride, 0,
                      sum);
  });
}

/// Σx of every group and token, and what follows from it.
void Body::sumActivations() {
  std::set<int64_t> sizes;
  if (plan.correctionBytes)
    sizes.insert(correctionColumns(problem));
  for (const quant::Format &format : startFormats(problem))
    sizes.insert(unitColumns / summedGroups(format));
  if (sumsBesideX(problem))
    sizes.insert(unitColumns / sumsBesideGroups);
  for (int64_t columns : sizes)
    sumGroups(columns);
}

/// Σx of groups of `columns` as products with ones, whose results lie in the
/// lanes that will ask for them. Two sums, so that products wait for each other
/// half as long; stores behind all products, which else would come to lie in
/// branches that lanes take or not.
void Body::sumGroups(int64_t columns) {
  int64_t groups = plan.unitsPerSlice * unitColumns / columns;
  Int one = k.constant(activation.isBF16() ? 0x3f803f80 : 0x3c003c00);
  k.loop(k.warp(), k.constant(groups), k.constant(schedule.consumers()), {},
         [&](Int group, Kernel::Values) {
           int64_t perUnit = unitColumns / columns;
           Int unit = group / perUnit * plan.activationUnit,
               inUnit = group % perUnit * (columns * 2);
           Int x = activationLane() + unit + inUnit;
           std::vector<std::array<Real, 2>> sums;
           for (int64_t tile = 0; tile < plan.tokenTiles; ++tile) {
             Accumulator sum = zeroSums()[0], second = sum;
             for (int64_t column = 0; column < columns; column += 32) {
               std::vector<Int> b = k.loadShared(
                   x, column * 2 + tile * 8 * plan.activationStride, 4);
               sum = k.mma(activation, {one, one, one, one}, {b[0], b[1]}, sum);
               second = k.mma(activation, {one, one, one, one}, {b[2], b[3]},
                              second);
             }
             sums.push_back({sum[0] + second[0], sum[1] + second[1]});
           }
           k.when(k.lane() < (problem.tokens == 1 ? 1 : 4),
                  [&] { storeGroupSums(group, columns, sums); });
           return Kernel::Values();
         });
}

/// Σx of a group and the lane's two tokens of each tile into what is read of
/// them.
void Body::storeGroupSums(Int group, int64_t columns,
                          const std::vector<std::array<Real, 2>> &sums) {
  auto t = k.lane() & 3;
  if (plan.correctionBytes && columns == correctionColumns(problem))
    for (size_t tile = 0; tile < sums.size(); ++tile) {
      std::vector<Int> words = {k.bits(sums[tile][0]), k.bits(sums[tile][1])};
      words.resize(problem.tokens == 1 ? 1 : 2, words[0]);
      k.storeShared(corrections + group * plan.correctionStride + t * 8,
                    int64_t(tile) * 32, words);
    }
  if (sumsBesideX(problem) && columns == unitColumns / sumsBesideGroups)
    storeSumsBesideX(group, sums);
  for (const quant::Format &format : startFormats(problem)) {
    if (unitColumns / summedGroups(format) != columns)
      continue;
    auto [low, high] = startFactors(format);
    Int address = startAddress(format) + group * startStride(plan) + t * 16;
    for (size_t tile = 0; tile < sums.size(); ++tile) {
      auto [first, second] = sums[tile];
      k.storeShared(address, int64_t(tile) * 64,
                    {k.bits(first * low), k.bits(second * low),
                     k.bits(first * high), k.bits(second * high)});
    }
  }
}

/// As the registers of B that correctUnit reads: of each token twice the upper
/// and twice the lower number of tf32.
void Body::storeSumsBesideX(Int group,
                            const std::vector<std::array<Real, 2>> &sums) {
  constexpr int64_t perUnit = sumsBesideGroups;
  Int t = k.lane() & 3;
  Int address = activations + t * (2 * plan.activationStride) +
                group / perUnit * plan.activationUnit +
                group % perUnit * sumsBesideBytes;
  for (size_t tile = 0; tile < sums.size(); ++tile)
    for (size_t e = 0; e < 2; ++e) {
      auto [upper, lower] = splitTf32(sums[tile][e]);
      int64_t token = int64_t(tile) * 8 + int64_t(e);
      k.storeShared(
          address, token * plan.activationStride + unitColumns * 2,
          {k.bits(upper), k.bits(upper), k.bits(lower), k.bits(lower)});
    }
}
