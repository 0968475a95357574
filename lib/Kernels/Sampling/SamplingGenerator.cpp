// Sampling: blocks make the pieces of a row, and the last one to finish draws
// by up to four searches.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/Sampling/SamplingGenerator.h"
#include "lib/Kernels/Sampling/Pieces.h"
#include "lib/Kernels/Sampling/PrefixSearch.h"
#include "runtime/cuda/SamplingRecord.h"

#include <cmath>
#include <cstddef>

using namespace mlir;
using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::sampling;
using cuda::SamplingRecord;

enum { Logits, Records, Seen, Tokens, Workspace, Counters };

/// Of a key below its bin.
constexpr int64_t keyBits = 24;
constexpr int64_t behindAll =
    -1; // the largest key, in a bin without candidates

namespace {
/// A prefix of the order of candidates: all with smaller keys, and `ties` of
/// those with this one.
struct Prefix {
  Int key;
  Long ties;
  Kernel::Values values() const { return {key.value, ties.value}; }
  static Prefix of(Kernel &k, const Kernel::Values &values) {
    return {{{&k, values[0]}}, {{&k, values[1]}}};
  }
};

class Body {
public:
  Body(Kernel &k, const Problem &problem, const Schedule &schedule, Int row)
      : k(k), problem(problem), schedule(schedule), row(row),
        record(k.pointer(Records).at(row, sizeof(SamplingRecord))),
        request(Request::load(k, record)),
        memory{k.pointer(Logits).at(row, problem.columns * 4),
               k.pointer(Seen).at(request.seenRow, seenWords(problem) * 4),
               k.pointer(Workspace).at(row, workspaceBytes(problem, 1))},
        pieces(k, problem, request, memory), search(k), ties(k.shared(128)) {}

  /// `part`: of the row's blocks.
  void build(Int part);

private:
  void choose();
  Int draw(Best best);
  Int fullBins(Double least);
  Long weightFrom(Int key, Double least);
  Prefix findWeight(Prefix within, Double least, PrefixSearch::Goal goal);
  Prefix keepTopK(Prefix all);
  Prefix keepTopP(Prefix prefix);
  Int tokenOf(Prefix last);
  Double uniform();
  /// Of the record, read where it is needed: threads have no registers to keep
  /// it in.
  Int word(size_t offset) {
    return k.load(record.at(int64_t(offset)), 1).front();
  }
  Real real(size_t offset) { return k.asReal(word(offset)); }

  Kernel &k;
  const Problem &problem;
  const Schedule &schedule;
  Int row;
  Global record;
  Request request;
  RowMemory memory;
  Pieces pieces;
  PrefixSearch search;
  Int ties; ///< of the drawn key: how many, and the first found; before that,
            ///< how many blocks had arrived
};
} // namespace

// Prefixes --------------------------------------------------------------------

/// Bins, from the first on, all of whose candidates have the share `least`.
Int Body::fullBins(Double least) {
  Kernel::Values all = {k.constant(binCount - 1).value};
  Kernel::Values full =
      k.when(doubleConstant(k, 0) < least, all, [&](Kernel::Values) {
        return k.loop(k.constant(0), k.constant(8), k.constant(1),
                      {k.constant(0).value},
                      [&](Int level, Kernel::Values carried) -> Kernel::Values {
                        Int bins{{&k, carried[0]}};
                        Int more = bins + (k.constant(binCount / 2) >> level);
                        Flag fewer = pieces.shareOf(more << keyBits) < least;
                        return {select(fewer, bins, more).value};
                      });
      });
  return {{&k, full[0]}};
}

/// 0 for candidates with less than the share `least`.
Long Body::weightFrom(Int key, Double least) {
  Double share = pieces.shareOf(key);
  return select(share < least, longConstant(k, 0), weightOf(share));
}

/// The shortest prefix of `within` whose weights reach a goal. Of its bins all
/// but the last count as a whole.
Prefix Body::findWeight(Prefix within, Double least, PrefixSearch::Goal goal) {
  Int edge = min(within.key >> keyBits, fullBins(least));
  auto visit = [&](Flag first, Int known, PrefixSearch::Add add) {
    k.when(first && k.thread() < edge, [&] {
      add(k.thread() << keyBits, [&] { return pieces.weightIn(k.thread()); });
    });
    Int bin = select(first, edge, known >> keyBits);
    pieces.forBin(bin, [&](Int, Int key) {
      k.when(belowUnsigned(key, within.key),
             [&] { add(key, [&] { return weightFrom(key, least); }); });
    });
    k.when(k.thread() == 0, [&] {
      add(within.key,
          [&] { return weightFrom(within.key, least) * within.ties; });
    });
  };
  PrefixSearch::Result result = search.find(4, visit, goal);
  // That many of the last ones have what is missing.
  Long weight = max(weightFrom(result.key, least), longConstant(k, 1));
  return {result.key, (result.rest + weight - longConstant(k, 1)) / weight};
}

Prefix Body::keepTopK(Prefix all) {
  Kernel::Values kept =
      k.when(request.topK >= 1, all.values(), [&](Kernel::Values) {
        auto visit = [&](Flag first, Int known, PrefixSearch::Add add) {
          k.when(first && k.thread() < k.constant(binCount), [&] {
            add(k.thread() << keyBits,
                [&] { return pieces.countIn(k.thread()); });
          });
          k.when(!first, [&] {
            pieces.forBin(known >> keyBits, [&](Int, Int key) {
              add(key, [&] { return longConstant(k, 1); });
            });
          });
        };
        PrefixSearch::Result result = search.find(4, visit, [&](Long total) {
          return min(widen(request.topK), total);
        });
        return Prefix{result.key, result.rest}.values();
      });
  return Prefix::of(k, kept);
}

Prefix Body::keepTopP(Prefix prefix) {
  Real topP = real(offsetof(SamplingRecord, topP));
  Kernel::Values kept =
      k.when(k.real(1) > topP, prefix.values(), [&](Kernel::Values) {
        auto goal = [&](Long total) {
          Long needed = toLong(ceiling(widen(topP) * toDouble(total)));
          return min(max(needed, longConstant(k, 1)), total);
        };
        return findWeight(prefix, doubleConstant(k, 0), goal).values();
      });
  return Prefix::of(k, kept);
}

/// The token that is number `ties` of those with a prefix's key.
Int Body::tokenOf(Prefix last) {
  auto forTies = [&](llvm::function_ref<void(Int)> body) {
    pieces.forBin(last.key >> keyBits, [&](Int token, Int key) {
      k.when(key == last.key, [&] { body(token); });
    });
  };
  // Mostly there is one, and nothing to search.
  Int one = k.constant(1), count = ties, token = ties + 4;
  k.when(k.thread() == 0, [&] { k.storeShared(ties, 0, {k.constant(0)}); });
  k.syncBlock();
  forTies([&](Int found) {
    k.when(addShared(k, count, one) == 0,
           [&] { k.storeShared(token, 0, {found}); });
  });
  k.syncBlock();
  Int several = k.loadShared(count, 0, 1).front();
  Int first = k.loadShared(token, 0, 1).front();
  Kernel::Values chosen =
      k.when(several >= 2, {first.value}, [&](Kernel::Values) {
        int bytes = problem.columns <= 1 << 8    ? 1
                    : problem.columns <= 1 << 16 ? 2
                                                 : 3;
        auto visit = [&](Flag, Int, PrefixSearch::Add add) {
          forTies([&](Int found) {
            add(found, [&] { return longConstant(k, 1); });
          });
        };
        auto goal = [&](Long total) { return min(last.ties, total); };
        return Kernel::Values{search.find(bytes, visit, goal).key.value};
      });
  return {{&k, chosen[0]}};
}

// Draw ------------------------------------------------------------------------

/// Number `index` of the stream of `seed`: runtime/Philox.h.
Double Body::uniform() {
  std::array<Int, 4> counter = {word(offsetof(SamplingRecord, index)),
                                word(offsetof(SamplingRecord, index) + 4),
                                k.constant(0), k.constant(0)};
  Int key0 = word(offsetof(SamplingRecord, seed)),
      key1 = word(offsetof(SamplingRecord, seed) + 4);
  for (int round = 0; round < 10; ++round) {
    Long left = longConstant(k, 0xd2511f53) * widen(counter[0]);
    Long right = longConstant(k, 0xcd9e8d57) * widen(counter[2]);
    counter = {highWord(right) ^ counter[1] ^ key0, lowWord(right),
               highWord(left) ^ counter[3] ^ key1, lowWord(left)};
    key0 = key0 + int32_t(0x9e3779b9);
    key1 = key1 + int32_t(0xbb67ae85);
  }
  return toDouble(join(counter[0], counter[1]) >> 11) *
         doubleConstant(k, 0x1p-53);
}

Int Body::draw(Best best) {
  pieces.merge(best.value);
  Prefix prefix{k.constant(behindAll), longConstant(k, 0)};
  prefix = keepTopP(keepTopK(prefix));
  auto goal = [&](Long total) {
    Long drawn = toLong(uniform() * toDouble(total)) + longConstant(k, 1);
    return min(drawn, total);
  };
  return tokenOf(
      findWeight(prefix, widen(real(offsetof(SamplingRecord, minP))), goal));
}

/// In the last block of a row.
void Body::choose() {
  Best best = pieces.largest();
  Flag finite = k.real(INFINITY) > best.value && best.value > k.real(-INFINITY);
  Int token = select(finite, best.index, k.constant(-1));
  Kernel::Values drawn = k.when(
      finite && request.draws(), {token.value},
      [&](Kernel::Values) -> Kernel::Values { return {draw(best).value}; });
  token = {{&k, drawn[0]}};
  k.when(k.thread() == 0, [&] {
    storeWords(k, k.pointer(Tokens).at(row, 4), {token});
    k.when(finite && request.seenRow >= 0, [&] {
      Global word = memory.seen.at(token >> int64_t(5), 4);
      storeWords(k, word,
                 {k.load(word, 1).front() | (k.constant(1) << (token & 31))});
    });
  });
}

void Body::build(Int part) {
  Int step = k.constant(schedule.blocksPerRow);
  k.loop(part, k.constant(piecesOf(problem)), step, {},
         [&](Int piece, Kernel::Values) {
           pieces.make(piece);
           return Kernel::Values();
         });
  if (schedule.blocksPerRow == 1)
    return choose();
  Int last = k.constant(schedule.blocksPerRow - 1);
  k.when(k.thread() == 0, [&] {
    Int before = k.arriveAt(k.pointer(Counters).at(row, 4), last);
    k.storeShared(ties, 0, {before});
  });
  k.syncBlock();
  k.when(k.loadShared(ties, 0, 1).front() == last, [&] { choose(); });
}

StatusOr<gpu::GPUFuncOp> sampling::buildKernel(gpu::GPUModuleOp module,
                                               const Problem &problem,
                                               const Schedule &schedule,
                                               const target::Target &target) {
  QOPT_RETURN_IF_ERROR(isValid(problem, schedule, target));
  std::vector<Argument> arguments;
  for (const char *name :
       {"logits", "records", "seen", "tokens", "workspace", "counters"})
    arguments.push_back({Argument::Dependent, name});
  Kernel k(module, symbolOf(problem, target), arguments, {int(threads)},
           target);
  k.launchSuccessor();
  k.waitForPredecessor();
  bool alone = schedule.blocksPerRow == 1;
  Body(k, problem, schedule,
       alone ? k.block() : k.block() / schedule.blocksPerRow)
      .build(alone ? k.constant(0) : k.block() % schedule.blocksPerRow);
  return k.finish();
}
