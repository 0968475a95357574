// gemm in words. Its weights are packed as skinny_linear's. With int8=1 the
// activations are codes, with a scale a token.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/Gemm/GemmGenerator.h"
#include "tools/qopt-kernel/Family.h"

#include <algorithm>

namespace qopt::kernel_tool {

using namespace kernels::gemm;

static std::vector<Argument> argumentsOf(const Problem &problem,
                                         const Launch &launch, int64_t tokens) {
  bool codes = problem.activation == quant::ElementType::Int8;
  std::vector<Argument> list{
      {"x", Use::Read, nameOf(problem.activation), {tokens, problem.columns}},
      {"weights", Use::Read, "u8", {packedBytes(problem)}},
      {"y",
       Use::Write,
       nameOf(problem.output),
       {tokens, problem.outputColumns()}},
      {"workspace",
       Use::Workspace,
       "f32",
       {std::max<int64_t>(launch.workspaceBytes / 4, 1)}},
      {"counters",
       Use::Counters,
       "u32",
       {std::max<int64_t>(launch.counters, 1)}}};
  if (codes)
    list.push_back({"token_scales", Use::Read, "f32", {tokens}});
  list.push_back({"tokens", Use::Value, "i32", {}, tokens});
  return list;
}

static llvm::json::Object describe(const Words &words, const Plan &plan,
                                   const Schedule &schedule, const Cost &cost) {
  llvm::json::Object object = words.values();
  object["why"] = std::string(schedule.why);
  object["stage_bytes"] = plan.stageBytes;
  object["bytes_in_flight"] = plan.stageBytes * (schedule.stages - 1);
  object["instructions_per_product"] = cost.instructionsPerProduct;
  return object;
}

static Problem problemOf(Words &words, int64_t tokens) {
  Problem problem;
  problem.tokens = bucketOf(tokens);
  int64_t rows = words.number("rows", 4096);
  problem.columns = words.number("columns", 4096);
  problem.segments = {{rows, words.format("weights", "int4_g128")}};
  problem.activation = words.element("activation", "f16");
  problem.output = words.element("output", "f16");
  if (words.flag("int8", false))
    problem.activation = quant::ElementType::Int8;
  return problem;
}

StatusOr<Description> describeGemm(Words &words, Words &scheduleWords,
                                   const target::Target &target) {
  int64_t tokens = std::max<int64_t>(words.number("tokens", 2048), 1);
  Problem problem = problemOf(words, tokens);
  Status wrong = words.finish();
  auto chosen =
      wrong.ok() ? chooseSchedule(problem, target) : StatusOr<Schedule>(wrong);
  Schedule schedule = chosen.ok() ? *chosen : Schedule();
  changeSchedule(scheduleWords, schedule);
  if (!chosen.ok())
    return chosen.status();
  QOPT_RETURN_IF_ERROR(scheduleWords.finish());
  QOPT_RETURN_IF_ERROR(isValid(problem, schedule, target));
  Plan plan = planOf(problem, schedule);
  Launch launch = launchOf(problem, schedule, tokens);
  Problem launched = problem; // what is predicted is this launch
  launched.tokens = tokens;
  Cost cost = costOf(launched, schedule, target);
  Description result;
  result.symbol = symbolOf(problem, schedule, target);
  result.arguments = argumentsOf(problem, launch, tokens);
  result.grid = {launch.grid, 1, 1};
  result.threads = schedule.threads();
  result.sharedBytes = plan.sharedBytes;
  result.schedule = describe(scheduleWords, plan, schedule, cost);
  result.layout =
      describeWeights(problem, segmentPlanOf(problem, schedule, 0).scaleOffset);
  result.cost = describeCost(
      cost, cost.weightBytes + cost.activationBytes + cost.outputBytes,
      cost.flops());
  result.build = [=, &target](mlir::gpu::GPUModuleOp module) {
    return buildKernel(module, problem, schedule, target, nullptr);
  };
  return result;
}

} // namespace qopt::kernel_tool
