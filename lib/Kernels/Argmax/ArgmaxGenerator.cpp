// An argmax: every thread scans, the block compares, the last block decides.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/Argmax/ArgmaxGenerator.h"
#include "lib/Kernels/Builder/Best.h"

#include <cmath>

using namespace mlir;
using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::argmax;

enum { Logits, Tokens, Workspace, Counters };

namespace {
struct Body {
  Kernel &k;
  const Problem &problem;
  const Schedule &schedule;
  Int row, piece;

  /// The pieces of a row lie in turns, so that its blocks read side by side.
  Best scan() {
    int width = problem.columns % 4 == 0 ? 4 : 1;
    Type f32 = k.builder().getF32Type();
    Global logits = k.pointer(Logits).at(row, problem.columns * 4);
    Int first = (piece * schedule.threads + k.thread()) * width;
    int64_t stride = int64_t(schedule.blocksPerRow) * schedule.threads * width;
    Kernel::Values values =
        k.loop(first, k.constant(problem.columns), k.constant(stride),
               Best::none(k).values(),
               [&](Int column, Kernel::Values carried) -> Kernel::Values {
                 Best best = Best::of(k, carried);
                 Run run = loadRun(k, logits.at(column, 4), f32, width);
                 for (size_t i = 0; i < run.size(); ++i) {
                   // Columns rise, so an equal one is never better.
                   Flag larger = run[i] > best.value;
                   best = {select(larger, run[i], best.value),
                           select(larger, column + int64_t(i), best.index)};
                 }
                 return best.values();
               });
    return Best::of(k, values);
  }

  void store(Best best) {
    Flag finite =
        k.real(INFINITY) > best.value && best.value > k.real(-INFINITY);
    storeWords(k, k.pointer(Tokens).at(row, 4),
               {select(finite, best.index, k.constant(-1))});
  }

  Global partOf(Int index) {
    return k.pointer(Workspace)
        .at(row, int64_t(schedule.blocksPerRow) * 8)
        .at(index, 8);
  }

  /// In one warp: publishes this block's best; the last one compares all.
  void share(Best best) {
    int last = schedule.blocksPerRow - 1;
    Kernel::Values before = k.when(
        k.lane() == 0, {k.constant(0).value},
        [&](Kernel::Values) -> Kernel::Values {
          storeWords(k, partOf(piece), {k.bits(best.value), best.index});
          return {k.arriveAt(k.pointer(Counters).at(row, 4), k.constant(last))
                      .value};
        });
    k.syncWarp();
    Int arrived = k.fromLane({{&k, before[0]}}, 0);
    k.when(arrived == last, [&] {
      Kernel::Values part =
          k.when(k.lane() < k.constant(schedule.blocksPerRow),
                 Best::none(k).values(), [&](Kernel::Values) -> Kernel::Values {
                   std::vector<Int> words = k.load(partOf(k.lane()), 2);
                   return {k.asReal(words[0]).value, words[1].value};
                 });
      Best all = bestOfWarp(k, Best::of(k, part));
      k.when(k.lane() == 0, [&] { store(all); });
    });
  }
};
} // namespace

StatusOr<gpu::GPUFuncOp> argmax::buildKernel(gpu::GPUModuleOp module,
                                             const Problem &problem,
                                             const Schedule &schedule,
                                             const target::Target &target) {
  QOPT_RETURN_IF_ERROR(isValid(problem, schedule, target));
  Kernel k(module, symbolOf(problem, target),
           {{Argument::Dependent, "logits"},
            {Argument::Dependent, "tokens"},
            {Argument::Dependent, "workspace"},
            {Argument::Dependent, "counters"}},
           {schedule.threads}, target);
  k.launchSuccessor();
  bool alone = schedule.blocksPerRow == 1;
  Body body{k, problem, schedule,
            alone ? k.block() : k.block() / schedule.blocksPerRow,
            alone ? k.constant(0) : k.block() % schedule.blocksPerRow};
  k.waitForPredecessor();
  Best best = bestOfBlock(k, body.scan(), schedule.threads / 32);
  if (alone)
    k.when(k.thread() == 0, [&] { body.store(best); });
  else
    k.when(k.warp() == 0, [&] { body.share(best); });
  return k.finish();
}
