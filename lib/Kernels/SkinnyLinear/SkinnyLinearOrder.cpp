// What a problem and its schedule say about the order of sums. No MLIR.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/SkinnyLinear/SkinnyLinearOrder.h"
#include "lib/Kernels/SkinnyLinear/SkinnyLinearGroups.h"
#include "lib/Kernels/SkinnyLinear/SkinnyLinearPack.h"

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::skinny_linear;

/// Whether the threads that copy x add it up.
static bool sumsWhileStaging(const Problem &problem, const Schedule &schedule) {
  return problem.tokens == 1 &&
         (problem.norm.empty() || heldChunks(problem, schedule) > 0);
}

static void setDivision(host::LinearSumOrder &order, const Problem &problem,
                        const Schedule &schedule, size_t segment) {
  Plan plan = planOf(problem, schedule);
  order.slices = schedule.slices;
  order.unitsPerSlice = plan.unitsPerSlice;
  order.columnWarps = schedule.columnWarps;
  order.unitsPerStep = schedule.unitsPerStage[segment];
  if (!schedule.wholeTiles)
    order.blocks = segmentPlanOf(problem, schedule, segment).blocks;
  order.tileStrips = schedule.tileStrips();
  order.paired = problem.paired;
}

host::LinearSumOrder skinny_linear::sumOrderOf(const Problem &problem,
                                               const Schedule &schedule,
                                               size_t segment) {
  const quant::Format &format = problem.segments[segment].weight;
  host::LinearSumOrder order;
  order.mostTokens = problem.tokens;
  order.bf16 = problem.activation == quant::ElementType::BF16;
  setDivision(order, problem, schedule, segment);

  int64_t groups = summedGroups(format);
  order.spreadGroups = spreadsGroups(problem, format);
  bool oneTile = schedule.stripsPerWarp == 1 && problem.tokens <= 8;
  order.twoChains = oneTile && (order.spreadGroups || groups <= 1);

  Numbers numbers = numbersOf(format, problem.activation);
  order.baseUpper = int64_t(numbers.base[0]);
  order.baseLower = int64_t(numbers.base[1]);
  order.zero = format.isSymmetric() ? int64_t(numbers.zero) : 0;
  order.roundsWeights = roundsWeights(format);
  order.scaleFactor = int64_t(scaleFactor(format, problem.activation));
  order.corrects = !order.roundsWeights && !sumsBesideX(problem, format) &&
                   (!format.isSymmetric() || numbers.needsCorrection());
  order.zerosByProduct = correctsByProduct(problem, format);
  order.sumsByThreads = sumsWhileStaging(problem, schedule);
  order.sumColumns = order.zerosByProduct || startIndex(problem, format) >= 0
                         ? unitColumns / groups
                         : correctionColumns(problem);
  return order;
}

std::optional<host::NormSumOrder>
skinny_linear::normOrderOf(const Problem &problem, const Schedule &schedule,
                           bool ofSum) {
  if (ofSum ? !problem.sum : problem.norm.empty())
    return std::nullopt;
  constexpr int64_t chunkElements = 8;
  int64_t warps = problem.tokens == 1 ? schedule.consumers() : 1;
  return host::NormSumOrder{problem.tokens, 32 * warps, chunkElements, false};
}
