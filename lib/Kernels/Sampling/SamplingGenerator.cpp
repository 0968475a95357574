// Sampling: the largest logit, keys, and up to four searches.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/Sampling/SamplingGenerator.h"
#include "lib/Kernels/Builder/Best.h"
#include "lib/Kernels/Sampling/PrefixSearch.h"
#include "runtime/cuda/SamplingRecord.h"

#include <cmath>
#include <cstddef>

using namespace mlir;
using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::sampling;
using cuda::SamplingRecord;

enum { Logits, Records, Seen, Tokens, Workspace };

/// Candidates are within e^−30 of the largest, as on the host.
constexpr double mostDistance = 30;
constexpr double keysPerDistance = 0x1p27;
constexpr double largestDistance = 0x1p32 - 2; // below noCandidate
constexpr double weightOne = 0x1p45;
constexpr int64_t noCandidate = -1; // the largest key

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
  Body(Kernel &k, const Problem &problem, const Schedule &schedule)
      : k(k), problem(problem), schedule(schedule), row(k.block()),
        f32(k.builder().getF32Type()), search(k) {}

  void build();

private:
  void loadRecord();
  Int seenBit(Int token);
  Real penalised(Int token, Real value);
  Best largest();
  Int draw(Best best);
  void makeKeys(Real most);
  Int keyOf(Real value, Real most, Real least, Double perKey);
  Double shareOf(Int key);
  Long weightOf(Int key, Double least);
  Prefix findWeight(Prefix within, Double least, PrefixSearch::Goal goal);
  Prefix keepTopK(Prefix all);
  Prefix keepTopP(Prefix prefix);
  Int tokenOf(Prefix last);
  Double uniform();
  /// Tokens that a thread takes at once.
  int width() const { return problem.columns % 4 == 0 ? 4 : 1; }
  Kernel::Values
  forLogits(Kernel::Values carried,
            llvm::function_ref<Kernel::Values(Int, Run, Kernel::Values)> body);
  void forKeys(llvm::function_ref<void(Int, Int)> body);
  Global keys() { return k.pointer(Workspace).at(row, problem.columns * 4); }

  Kernel &k;
  const Problem &problem;
  const Schedule &schedule;
  Int row;
  Type f32;
  PrefixSearch search;
  // The record.
  Real temperature, topP, minP, penalty;
  Int topK, seenRow;
  std::array<Int, 2> seed, index;
};
} // namespace

void Body::loadRecord() {
  Global record = k.pointer(Records).at(row, sizeof(SamplingRecord));
  auto word = [&](size_t offset) {
    return k.load(record.at(int64_t(offset)), 1).front();
  };
  temperature = k.asReal(word(offsetof(SamplingRecord, temperature)));
  topP = k.asReal(word(offsetof(SamplingRecord, topP)));
  minP = k.asReal(word(offsetof(SamplingRecord, minP)));
  penalty = k.asReal(word(offsetof(SamplingRecord, repetitionPenalty)));
  topK = word(offsetof(SamplingRecord, topK));
  seenRow = word(offsetof(SamplingRecord, seenRow));
  for (size_t i = 0; i < 2; ++i) {
    seed[i] = word(offsetof(SamplingRecord, seed) + i * 4);
    index[i] = word(offsetof(SamplingRecord, index) + i * 4);
  }
}

// Logits ----------------------------------------------------------------------

static Global wordOfSeen(Kernel &k, const Problem &problem, Int row,
                         Int token) {
  return k.pointer(Seen)
      .at(row, seenWords(problem) * 4)
      .at(token >> int64_t(5), 4);
}

Int Body::seenBit(Int token) {
  Kernel::Values bit =
      k.when(seenRow >= 0, {k.constant(0).value},
             [&](Kernel::Values) -> Kernel::Values {
               Int word =
                   k.load(wordOfSeen(k, problem, seenRow, token), 1).front();
               return {((word >> (token & 31)) & 1).value};
             });
  return {{&k, bit[0]}};
}

/// The logit after the repetition penalty.
Real Body::penalised(Int token, Real value) {
  Kernel::Values result = k.when(
      seenBit(token) == 1, {value.value},
      [&](Kernel::Values) -> Kernel::Values {
        return {
            select(value > k.real(0), value / penalty, value * penalty).value};
      });
  return {{&k, result[0]}};
}

/// Calls `body` with the first of width() tokens and their logits. Tokens rise,
/// and a thread always has the same ones.
Kernel::Values Body::forLogits(
    Kernel::Values carried,
    llvm::function_ref<Kernel::Values(Int, Run, Kernel::Values)> body) {
  Global logits = k.pointer(Logits).at(row, problem.columns * 4);
  return k.loop(k.thread() * width(), k.constant(problem.columns),
                k.constant(int64_t(schedule.threads) * width()),
                std::move(carried), [&](Int first, Kernel::Values values) {
                  Run run = loadRun(k, logits.at(first, 4), f32, width());
                  for (size_t i = 0; i < run.size(); ++i)
                    run[i] = penalised(first + int64_t(i), run[i]);
                  return body(first, run, std::move(values));
                });
}

Best Body::largest() {
  Kernel::Values values = forLogits(
      Best::none(k).values(),
      [&](Int first, Run run, Kernel::Values carried) -> Kernel::Values {
        Best best = Best::of(k, carried);
        for (size_t i = 0; i < run.size(); ++i) {
          Flag larger = run[i] > best.value; // equals never win
          best = {select(larger, run[i], best.value),
                  select(larger, first + int64_t(i), best.index)};
        }
        return best.values();
      });
  return bestOfBlock(k, Best::of(k, values), schedule.threads / 32);
}

// Keys and weights ------------------------------------------------------------

Int Body::keyOf(Real value, Real most, Real least, Double perKey) {
  Double distance = (widen(most) - widen(value)) * perKey;
  Flag candidate = !(least > value) && value == value;
  // What is no candidate has a distance that no key can hold.
  distance = select(candidate, distance, doubleConstant(k, 0));
  // At temperatures below the spacing of f32 a candidate may be further away.
  Double limit = doubleConstant(k, largestDistance);
  distance = select(distance < limit, distance, limit);
  return select(candidate, toInt(distance), k.constant(noCandidate));
}

void Body::makeKeys(Real most) {
  Double heat = widen(temperature);
  Double perKey = doubleConstant(k, keysPerDistance) / heat;
  Real least = narrow(widen(most) + heat * doubleConstant(k, -mostDistance));
  forLogits({}, [&](Int first, const Run &run, Kernel::Values) {
    std::vector<Int> words;
    for (Real value : run)
      words.push_back(keyOf(value, most, least, perKey));
    storeWords(k, keys().at(first, 4), words);
    return Kernel::Values();
  });
}

/// Calls `body` with each token of this thread and its key.
void Body::forKeys(llvm::function_ref<void(Int, Int)> body) {
  k.loop(k.thread() * width(), k.constant(problem.columns),
         k.constant(int64_t(schedule.threads) * width()), {},
         [&](Int first, Kernel::Values) {
           std::vector<Int> words =
               k.load(keys().at(first, 4), unsigned(width()));
           for (size_t i = 0; i < words.size(); ++i)
             body(first + int64_t(i), words[i]);
           return Kernel::Values();
         });
}

/// e^−d of a key.
Double Body::shareOf(Int key) {
  return exponential(toDouble(key) * doubleConstant(k, -1 / keysPerDistance));
}

/// 0 for candidates with less than the share `least`.
Long Body::weightOf(Int key, Double least) {
  Double share = shareOf(key);
  Long weight = toLong(share * doubleConstant(k, weightOne));
  return select(share < least, longConstant(k, 0), weight);
}

// Prefixes --------------------------------------------------------------------

/// The shortest prefix of `within` whose weights reach a goal.
Prefix Body::findWeight(Prefix within, Double least, PrefixSearch::Goal goal) {
  auto visit = [&](PrefixSearch::Add add) {
    forKeys([&](Int, Int key) {
      k.when(belowUnsigned(key, within.key),
             [&] { add(key, [&] { return weightOf(key, least); }); });
    });
    k.when(k.thread() == 0, [&] {
      add(within.key,
          [&] { return weightOf(within.key, least) * within.ties; });
    });
  };
  PrefixSearch::Result result = search.find(4, visit, goal);
  // That many of the last ones have what is missing.
  Long weight = max(weightOf(result.key, least), longConstant(k, 1));
  return {result.key, (result.rest + weight - longConstant(k, 1)) / weight};
}

Prefix Body::keepTopK(Prefix all) {
  Kernel::Values kept = k.when(topK >= 1, all.values(), [&](Kernel::Values) {
    auto visit = [&](PrefixSearch::Add add) {
      forKeys([&](Int, Int key) {
        k.when(belowUnsigned(key, all.key),
               [&] { add(key, [&] { return longConstant(k, 1); }); });
      });
    };
    PrefixSearch::Result result = search.find(
        4, visit, [&](Long total) { return min(widen(topK), total); });
    return Prefix{result.key, result.rest}.values();
  });
  return Prefix::of(k, kept);
}

Prefix Body::keepTopP(Prefix prefix) {
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
  int bytes = problem.columns <= 1 << 8    ? 1
              : problem.columns <= 1 << 16 ? 2
                                           : 3;
  auto visit = [&](PrefixSearch::Add add) {
    forKeys([&](Int token, Int key) {
      k.when(key == last.key,
             [&] { add(token, [&] { return longConstant(k, 1); }); });
    });
  };
  return search
      .find(bytes, visit, [&](Long total) { return min(last.ties, total); })
      .key;
}

// Draw ------------------------------------------------------------------------

/// Number `index` of the stream of `seed`: runtime/Philox.h.
Double Body::uniform() {
  std::array<Int, 4> counter = {index[0], index[1], k.constant(0),
                                k.constant(0)};
  Int key0 = seed[0], key1 = seed[1];
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
  makeKeys(best.value);
  Prefix prefix{k.constant(noCandidate), longConstant(k, 0)};
  prefix = keepTopP(keepTopK(prefix));
  auto goal = [&](Long total) {
    Long drawn = toLong(uniform() * toDouble(total)) + longConstant(k, 1);
    return min(drawn, total);
  };
  return tokenOf(findWeight(prefix, widen(minP), goal));
}

void Body::build() {
  k.launchSuccessor();
  k.waitForPredecessor();
  loadRecord();
  Best best = largest();
  Flag finite = k.real(INFINITY) > best.value && best.value > k.real(-INFINITY);
  Flag draws = finite && temperature > k.real(0) && !(topK == 1);
  Int token = select(finite, best.index, k.constant(-1));
  Kernel::Values drawn =
      k.when(draws, {token.value}, [&](Kernel::Values) -> Kernel::Values {
        return {draw(best).value};
      });
  token = {{&k, drawn[0]}};
  k.when(k.thread() == 0, [&] {
    storeWords(k, k.pointer(Tokens).at(row, 4), {token});
    k.when(finite && seenRow >= 0, [&] {
      Global word = wordOfSeen(k, problem, seenRow, token);
      storeWords(k, word,
                 {k.load(word, 1).front() | (k.constant(1) << (token & 31))});
    });
  });
}

StatusOr<gpu::GPUFuncOp> sampling::buildKernel(gpu::GPUModuleOp module,
                                               const Problem &problem,
                                               const Schedule &schedule,
                                               const target::Target &target) {
  QOPT_RETURN_IF_ERROR(isValid(problem, schedule, target));
  std::vector<Argument> arguments;
  for (const char *name : {"logits", "records", "seen", "tokens", "workspace"})
    arguments.push_back({Argument::Dependent, name});
  Kernel kernel(module, symbolOf(problem, target), arguments,
                {schedule.threads}, target);
  Body(kernel, problem, schedule).build();
  return kernel.finish();
}
