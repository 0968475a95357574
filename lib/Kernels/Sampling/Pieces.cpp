// Logits to bins, and bins to candidates.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/Sampling/Pieces.h"
#include "runtime/cuda/SamplingRecord.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"

#include <cstddef>

using namespace mlir;
using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::sampling;
using cuda::SamplingRecord;

constexpr double binsPerNat = 8;
/// Candidates are within e^−30 of the largest, as on the host; they may lie in
/// one bin more than these have.
constexpr double binsUsed = 30 * binsPerNat + 1;
constexpr double keysPerBin = 0x1p24, keysPerNat = keysPerBin * binsPerNat;
constexpr double weightOne = 0x1p45;
constexpr int64_t tokensPerThread = pieceTokens / threads;

Request Request::load(Kernel &k, Global record) {
  auto word = [&](size_t offset) {
    return k.load(record.at(int64_t(offset)), 1).front();
  };
  Request request;
  request.temperature = k.asReal(word(offsetof(SamplingRecord, temperature)));
  request.penalty = k.asReal(word(offsetof(SamplingRecord, repetitionPenalty)));
  request.topK = word(offsetof(SamplingRecord, topK));
  request.seenRow = word(offsetof(SamplingRecord, seenRow));
  return request;
}

Flag Request::draws() const {
  Kernel &k = *temperature.kernel;
  return temperature > k.real(0) && !(topK == 1);
}

Long sampling::weightOf(Double share) {
  return toLong(share * doubleConstant(*share.kernel, weightOne));
}

Pieces::Pieces(Kernel &kernel, const Problem &problem, const Request &request,
               RowMemory memory)
    : k(kernel), problem(problem), request(request), memory(memory),
      layout(rowLayoutOf(problem)), pieces(piecesOf(problem)),
      sums(k.shared(binCount * 8)), counts(k.shared(binCount * 4)),
      starts(k.shared(binCount * 4)), shifts(k.shared(256)),
      ranks(k.shared(ranksBytes)),
      perNat(doubleConstant(k, binsPerNat) / widen(request.temperature)) {}

Global Pieces::largestOf(Int piece) {
  return memory.workspace.at(layout.largest).at(piece, largestBytes);
}
Global Pieces::binOf(Int piece, Int bin) {
  return memory.workspace.at(layout.bins).at(piece * binCount + bin, binBytes);
}
Global Pieces::element(Int piece, Int index) {
  return memory.workspace.at(layout.elements)
      .at(piece * pieceTokens + index, elementBytes);
}

Double Pieces::placeOf(Real value) { return widen(value) * perNat; }

/// e^((value − most) / temperature), without a division.
Double Pieces::likelihood(Real value, Real most) {
  Double places = (widen(value) - widen(most)) * perNat;
  return exponential(places * doubleConstant(k, 1 / binsPerNat));
}

// A piece ---------------------------------------------------------------------

/// The logit after the repetition penalty.
Real Pieces::penalised(Int token, Real value) {
  Kernel::Values result =
      k.when(request.seenRow >= 0, {value.value},
             [&](Kernel::Values) -> Kernel::Values {
               Int word =
                   k.load(memory.seen.at(token >> int64_t(5), 4), 1).front();
               Flag seen = ((word >> (token & 31)) & 1) == 1;
               Real penalty = request.penalty;
               Real changed =
                   select(value > k.real(0), value / penalty, value * penalty);
               return {select(seen, changed, value).value};
             });
  return {{&k, result[0]}};
}

/// The logits that a thread has of a piece, by rising tokens; what lies behind
/// the vocabulary is no candidate.
std::vector<Pieces::Logit> Pieces::load(Int piece) {
  Type f32 = k.builder().getF32Type();
  bool whole = problem.columns % tokensPerThread == 0;
  int width = whole ? int(tokensPerThread) : 1;
  std::vector<Logit> logits;
  for (int64_t i = 0; i < tokensPerThread; i += width) {
    Int first = piece * pieceTokens + (i * threads) + k.thread() * width;
    Kernel::Values none(size_t(width), k.real(-INFINITY).value);
    Kernel::Values values =
        k.when(first < k.constant(problem.columns), none, [&](Kernel::Values) {
          Run run = loadRun(k, memory.logits.at(first, 4), f32, width);
          Kernel::Values result;
          for (int j = 0; j < width; ++j)
            result.push_back(penalised(first + j, run[size_t(j)]).value);
          return result;
        });
    for (int j = 0; j < width; ++j)
      logits.push_back({first + j, {{&k, values[size_t(j)]}}});
  }
  return logits;
}

void Pieces::make(Int piece) {
  std::vector<Logit> logits = load(piece);
  Best best = Best::none(k);
  for (const Logit &logit : logits) {
    Flag larger = logit.value > best.value; // equals never win
    best = {select(larger, logit.value, best.value),
            select(larger, logit.token, best.index)};
  }
  best = bestOfBlock(k, best, threads / 32);
  k.when(k.thread() == 0, [&] {
    storeWords(k, largestOf(piece), {k.bits(best.value), best.index});
  });
  k.when(request.draws(), [&] { scatter(piece, logits, best.value); });
  k.syncBlock();
}

void Pieces::empty() {
  k.when(k.thread() < k.constant(binCount), [&] {
    storeSharedLong(k, sums + k.thread() * 8, 0, longConstant(k, 0));
    k.storeShared(counts + k.thread() * 4, 0, {k.constant(0)});
  });
}

static Int countBits(Int value) {
  Kernel &k = *value.kernel;
  return {{&k, math::CtPopOp::create(k.builder(), k.loc(), value.value)}};
}

/// The lanes of the warp, a bit each, that have the same value.
static Int lanesWithEqual(Int value) {
  Kernel &k = *value.kernel;
  return {{&k, NVVM::MatchSyncOp::create(k.builder(), k.loc(),
                                         k.builder().getI32Type(),
                                         k.constant(-1).value, value.value,
                                         NVVM::MatchSyncKind::any)}};
}

/// The number of each logit among those of its bin: its warp's in the order of
/// `logits` and lanes. Not by an atomic count, whose order is not always the
/// same. One register a logit: bin · 2^16 + number, or −1.
std::vector<Int> Pieces::rankInWarp(const std::vector<Logit> &logits,
                                    Real most) {
  Double highest = floor(placeOf(most));
  Int lower = (k.constant(1) << k.lane()) - 1;
  std::vector<Int> spots;
  for (const Logit &logit : logits) {
    // Not a number, and so no candidate, where a logit is none or infinite.
    Double below = highest - floor(placeOf(logit.value));
    Flag candidate = below < doubleConstant(k, binsUsed);
    below = select(candidate, below, doubleConstant(k, binCount));
    Int bin = toInt(below), equal = lanesWithEqual(bin);
    Int rank = countBits(equal & lower);
    Int count = rankOf(k.warp(), bin);
    Kernel::Values spot =
        k.when(candidate, {k.constant(-1).value},
               [&](Kernel::Values) -> Kernel::Values {
                 Double share = likelihood(logit.value, most);
                 addShared(k, sums + bin * 8, weightOf(share));
                 Int before = k.loadShared(count, 0, 1).front();
                 return {((bin << int64_t(16)) | (before + rank)).value};
               });
    spots.push_back({{&k, spot[0]}});
    k.syncWarp();
    k.when(candidate && rank == 0, [&] {
      Int before = spots.back() & 0xffff;
      k.storeShared(count, 0, {before + countBits(equal)});
    });
    k.syncWarp();
  }
  return spots;
}

/// A thread for each bin: what the warps before have of it, and all.
void Pieces::scanWarps() {
  constexpr int64_t unrolled = 8;
  Int bin = k.thread();
  Kernel::Values count = k.loop(
      k.constant(0), k.constant(threads / 32), k.constant(unrolled),
      {k.constant(0).value}, [&](Int warp, Kernel::Values carried) {
        Int before{{&k, carried[0]}};
        std::vector<Int> counts;
        for (int64_t i = 0; i < unrolled; ++i)
          counts.push_back(k.loadShared(rankOf(warp + i, bin), 0, 1).front());
        for (int64_t i = 0; i < unrolled; ++i) {
          k.storeShared(rankOf(warp + i, bin), 0, {before});
          before = before + counts[size_t(i)];
        }
        return Kernel::Values{before.value};
      });
  k.storeShared(counts + bin * 4, 0, {{{&k, count[0]}}});
}

/// In one warp: where each bin's elements start, a lane has eight bins.
void Pieces::scanCounts() {
  constexpr int64_t binsPerLane = binCount / 32;
  Int bins = k.lane() * (binsPerLane * 4);
  std::vector<Int> all;
  Int sum = k.constant(0);
  for (int64_t i = 0; i < binsPerLane; i += 4)
    for (Int count : k.loadShared(counts + bins, i * 4, 4)) {
      all.push_back(count);
      sum = sum + count;
    }
  Int inclusive = sum;
  for (int distance = 1; distance < 32; distance *= 2) {
    Int below = lowWord(fromLaneBelow(k, widen(inclusive), distance));
    inclusive =
        select(k.lane() < k.constant(distance), inclusive, inclusive + below);
  }
  Int start = inclusive - sum;
  for (int64_t i = 0; i < binsPerLane; ++i) {
    k.storeShared(starts + bins, i * 4, {start});
    start = start + all[size_t(i)];
  }
}

void Pieces::scatter(Int piece, const std::vector<Logit> &logits, Real most) {
  empty();
  Int zero = k.constant(0);
  for (int64_t at = 0; at < ranksBytes; at += threads * 16)
    k.storeShared(ranks + k.thread() * 16, at, {zero, zero, zero, zero});
  k.syncBlock();
  std::vector<Int> spots = rankInWarp(logits, most);
  k.syncBlock();
  k.when(k.thread() < k.constant(binCount), [&] { scanWarps(); });
  k.syncBlock();
  k.when(k.warp() == 0, [&] { scanCounts(); });
  k.syncBlock();
  k.when(k.thread() < k.constant(binCount), [&] {
    std::vector<Int> words = k.loadShared(sums + k.thread() * 8, 0, 2);
    Int start = k.loadShared(starts + k.thread() * 4, 0, 1).front();
    Int count = k.loadShared(counts + k.thread() * 4, 0, 1).front();
    storeWords(k, binOf(piece, k.thread()),
               {words[0], words[1], start, start + count});
  });
  for (size_t i = 0; i < spots.size(); ++i)
    k.when(spots[i] >= 0, [&] {
      Int bin = spots[i] >> int64_t(16), rank = spots[i] & 0xffff;
      Int start = k.loadShared(starts + bin * 4, 0, 1).front();
      Int before = k.loadShared(rankOf(k.warp(), bin), 0, 1).front();
      storeWords(k, element(piece, start + before + rank),
                 {k.bits(logits[i].value), logits[i].token});
    });
}

// The row ---------------------------------------------------------------------

Best Pieces::largest() {
  Best best = Best::none(k);
  for (int64_t first = 0; first < pieces; first += 32) {
    Int piece = k.lane() + first;
    Kernel::Values part =
        k.when(piece < k.constant(pieces), Best::none(k).values(),
               [&](Kernel::Values) -> Kernel::Values {
                 std::vector<Int> words = k.load(largestOf(piece), 2);
                 return {k.asReal(words[0]).value, words[1].value};
               });
    best = better(best, Best::of(k, part));
  }
  return bestOfWarp(k, best);
}

/// By how many bins the largest logit of a piece lies below that of the row;
/// by all where the piece has no candidates.
Int Pieces::shiftOf(Int piece, Double highest) {
  Real largest = k.asReal(k.load(largestOf(piece), 1).front());
  Double below = highest - floor(placeOf(largest));
  Double none = doubleConstant(k, double(binCount));
  return toInt(select(below < none, below, none));
}

static Long bitsOf(Double value) {
  Kernel &k = *value.kernel;
  return {
      {&k, arith::BitcastOp::create(k.builder(), k.loc(),
                                    k.builder().getI64Type(), value.value)}};
}

static Double doubleOf(Long bits) {
  Kernel &k = *bits.kernel;
  return {{&k, arith::BitcastOp::create(k.builder(), k.loc(),
                                        k.builder().getF64Type(), bits.value)}};
}

void Pieces::merge(Real most) {
  top = floor(placeOf(most));
  lead = (top + doubleConstant(k, 1) - placeOf(most)) *
         doubleConstant(k, 1 / binsPerNat);
  empty();
  k.when(k.thread() < k.constant(pieces), [&] {
    Int piece = k.thread();
    k.storeShared(shifts + piece * 4, 0, {shiftOf(piece, top)});
    Real largest = k.asReal(k.load(largestOf(piece), 1).front());
    Double share = likelihood(largest, most);
    storeSharedLong(k, scales() + piece * 8, 0, bitsOf(share));
  });
  k.syncBlock();
  // The loads of several pieces are on their way at once.
  constexpr int64_t step = threads / binCount, ahead = 4;
  Int bin = k.thread() & (binCount - 1);
  k.loop(k.thread() / binCount, k.constant(pieces), k.constant(step * ahead),
         {}, [&](Int first, Kernel::Values) {
           std::vector<std::vector<Int>> bins;
           for (int64_t i = 0; i < ahead; ++i)
             bins.push_back(loadBin(first + i * step, bin));
           for (int64_t i = 0; i < ahead; ++i)
             addBin(first + i * step, bin, bins[size_t(i)]);
           return Kernel::Values();
         });
  k.syncBlock();
}

/// Σ, first and end of a piece's bin, which may lie behind the last piece.
std::vector<Int> Pieces::loadBin(Int piece, Int bin) {
  Kernel::Values words(4, k.constant(0).value);
  words = k.when(piece < k.constant(pieces), words, [&](Kernel::Values) {
    Kernel::Values loaded;
    for (Int word : k.load(binOf(piece, bin), 4))
      loaded.push_back(word.value);
    return loaded;
  });
  std::vector<Int> result;
  for (Value word : words)
    result.push_back({{&k, word}});
  return result;
}

/// To the bin of the row, by the likelihood of the piece's largest logit.
void Pieces::addBin(Int piece, Int bin, const std::vector<Int> &words) {
  Int count = words[3] - words[2];
  k.when(count >= 1, [&] {
    Int to = bin + k.loadShared(shifts + piece * 4, 0, 1).front();
    k.when(to < k.constant(int64_t(binsUsed)), [&] {
      Double share = doubleOf(loadSharedLong(k, scales() + piece * 8, 0));
      Double sum = toDouble(join(words[0], words[1]));
      addShared(k, sums + to * 8, toLong(sum * share));
      addShared(k, counts + to * 4, count);
    });
  });
}

void Pieces::forBin(Int bin, llvm::function_ref<void(Int, Int)> body) {
  Double behind = top - toDouble(bin) + doubleConstant(k, 1);
  k.loop(k.warp(), k.constant(pieces), k.constant(threads / 32), {},
         [&](Int piece, Kernel::Values) {
           Int own = bin - k.loadShared(shifts + piece * 4, 0, 1).front();
           k.when(own >= 0, [&] {
             std::vector<Int> words = k.load(binOf(piece, own), 4);
             k.loop(words[2] + k.lane(), words[3], k.constant(32), {},
                    [&](Int index, Kernel::Values) {
                      std::vector<Int> pair = k.load(element(piece, index), 2);
                      Double depth = behind - placeOf(k.asReal(pair[0]));
                      Int inBin = toInt(depth * doubleConstant(k, keysPerBin));
                      inBin = min(inBin, k.constant(int64_t(keysPerBin) - 1));
                      body(pair[1], (bin << int64_t(24)) | inBin);
                      return Kernel::Values();
                    });
           });
           return Kernel::Values();
         });
}

Double Pieces::shareOf(Int key) {
  return exponential(lead + toDouble(key) * doubleConstant(k, -1 / keysPerNat));
}
