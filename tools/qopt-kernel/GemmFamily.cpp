// gemm in words, alone and with the append of its heads. Its weights are packed
// as skinny_linear's. With int8=1 the activations are codes, with a scale a
// token.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/Gemm/GemmGenerator.h"
#include "lib/Kernels/LaunchShape.h"
#include "tools/qopt-kernel/LinearFamily.h"
#include "tools/qopt-kernel/RotaryFamilies.h"

namespace qopt::kernel_tool {

using namespace kernels::gemm;

/// `addRest` adds the arguments behind the epilogue's operands.
static StatusOr<Description>
describe(const Problem &problem, int64_t tokens, Words &words,
         Words &scheduleWords, const target::Target &target,
         llvm::function_ref<void(std::vector<Argument> &)> addRest) {
  auto schedule = scheduleOf(words, scheduleWords,
                             [&] { return chooseSchedule(problem, target); });
  if (!schedule.ok())
    return schedule.status();
  QOPT_RETURN_IF_ERROR(isValid(problem, *schedule, target));
  Plan plan = planOf(problem, *schedule);
  Launch launch = launchOf(problem, *schedule, tokens);
  Problem launched = problem; // what is predicted is this launch
  launched.tokens = tokens;
  Cost cost = costOf(launched, *schedule, target);
  Description result;
  result.symbol = symbolOf(problem, *schedule, target);
  result.arguments =
      linearArguments(problem, tokens, launch.workspaceBytes, launch.counters);
  for (Argument &argument : result.arguments)
    if (problem.append && argument.name == "y") // not written
      argument.use = Use::Workspace;
  addRest(result.arguments);
  result.arguments.push_back(tokensArgument(tokens));
  result.grid = {launch.grid, 1, 1};
  result.threads = schedule->threads();
  result.sharedBytes = plan.sharedBytes;
  result.schedule = describeSchedule(scheduleWords, *schedule);
  result.sizes = llvm::json::Object{
      {"stage_bytes", plan.stageBytes},
      {"bytes_in_flight",
       plan.stageBytes * (schedule->stages - 1) *
           kernels::residentBlocks(launch.grid, schedule->blocksPerSm, target)},
      {"instructions_per_product", cost.instructionsPerProduct}};
  result.layout = describeWeights(problem, [&](size_t segment) {
    return segmentPlanOf(problem, *schedule, segment).scaleOffset;
  });
  result.cost = describeCost(
      cost, cost.weightBytes + cost.activationBytes + cost.outputBytes,
      cost.flops());
  result.build = [=, schedule = *schedule,
                  &target](mlir::gpu::GPUModuleOp module) {
    return buildWithEpilogue(problem, module, [&](mlir::Block *epilogue) {
      return buildKernel(module, problem, schedule, target, epilogue);
    });
  };
  return result;
}

StatusOr<Description> describeGemm(Words &words, Words &scheduleWords,
                                   const target::Target &target) {
  int64_t tokens = words.count("tokens", 2048);
  Problem problem;
  problem.tokens = bucketOf(tokens);
  askForWeights(words, words.counts("rows", 4096), problem);
  askForEpilogue(words, problem);
  return describe(problem, tokens, words, scheduleWords, target,
                  [](std::vector<Argument> &) {});
}

StatusOr<Description> describeGemmAppend(Words &words, Words &scheduleWords,
                                         const target::Target &target) {
  PagedBatch batch = PagedBatch::of(words);
  Problem problem;
  problem.tokens = bucketOf(batch.allTokens());
  askForAppend(words, batch, problem);
  auto description = describe(problem, batch.allTokens(), words, scheduleWords,
                              target, [&](std::vector<Argument> &list) {
                                addAppend(list, *problem.append, batch);
                              });
  addHeads(batch, description);
  return description;
}

} // namespace qopt::kernel_tool
