// A check of indices: every thread keeps the first of its own that lies
// outside, the block keeps the first of all.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/CheckIndices/CheckIndicesGenerator.h"
#include "lib/Kernels/Builder/Best.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::check_indices;

enum { Indices, Report, Count, Limits };

namespace {
struct Body {
  Kernel &k;
  const Problem &problem;
  const Schedule &schedule;

  /// The index in 64 bits.
  struct Index {
    Int low, high;
  };
  Index load(Int place) {
    if (problem.integer == Integer::Long) {
      std::vector<Int> words = k.load(k.pointer(Indices).at(place, 8), 2);
      return {words[0], words[1]};
    }
    Int word = k.load(k.pointer(Indices).at(place, 4), 1).front();
    return {word, shiftSigned(word, 31)};
  }

  Int limitOf(Int place) {
    Int limit = k.integer(Limits);
    for (int i = 1; i < problem.limits; ++i)
      limit = select(place % problem.limits == i,
                     k.integer(unsigned(Limits + i)), limit);
    return limit;
  }

  Flag isOutside(Int place) {
    Index index = load(place);
    Int limit = limitOf(place);
    // Limits are below 2^31, so that the upper half is but the sign.
    Flag inside = index.high == 0 && belowUnsigned(index.low, limit);
    if (problem.interval == Interval::FromEitherEnd)
      inside = inside || (index.high == -1 && index.low < 0 &&
                          !belowUnsigned(limit, k.constant(0) - index.low));
    return !inside;
  }

  void build() {
    Int count = k.integer(Count);
    // The best is the first place whose value is 1.
    Kernel::Values found = k.loop(
        k.thread(), count, k.constant(schedule.threads), Best::none(k).values(),
        [&](Int place, Kernel::Values carried) -> Kernel::Values {
          Best first = Best::of(k, carried);
          Flag takes = isOutside(place) && k.real(1) > first.value;
          return {select(takes, k.real(1), first.value).value,
                  select(takes, place, first.index).value};
        });
    Best first = bestOfBlock(k, Best::of(k, found), schedule.threads / 32);
    Flag any = first.value > k.real(0);
    k.when(k.thread() == 0, [&] {
      Int zero = k.constant(0);
      Kernel::Values report = k.when(
          any, {zero.value, zero.value, k.constant(-1).value},
          [&](Kernel::Values) -> Kernel::Values {
            Index index = load(first.index);
            return {index.low.value, index.high.value, first.index.value};
          });
      storeWords(
          k, k.pointer(Report),
          {{{&k, report[0]}}, {{&k, report[1]}}, {{&k, report[2]}}, zero});
    });
  }
};
} // namespace

StatusOr<gpu::GPUFuncOp>
check_indices::buildKernel(gpu::GPUModuleOp module, const Problem &problem,
                           const Schedule &schedule,
                           const target::Target &target) {
  QOPT_RETURN_IF_ERROR(isValid(problem, schedule, target));
  std::vector<Argument> arguments = {{Argument::Dependent, "indices", 8},
                                     {Argument::Dependent, "report"},
                                     {Argument::Integer, "count"}};
  for (int i = 0; i < problem.limits; ++i)
    arguments.push_back({Argument::Integer, "limit" + std::to_string(i)});
  Kernel kernel(module, symbolOf(problem, target), arguments,
                {schedule.threads}, target);
  kernel.launchSuccessor();
  kernel.waitForPredecessor();
  Body{kernel, problem, schedule}.build();
  return kernel.finish();
}
