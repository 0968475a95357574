// skinny_linear in words, alone and with the append of its heads. Rows and
// weights are lists where ranges of rows have formats of their own; an append's
// are those of queries, keys and values. With int8=1
// the activations are codes, with a scale a token, or, with makes_codes=1, what
// blocks make codes of.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/SkinnyLinear/SkinnyLinearGenerator.h"
#include "tools/qopt-kernel/LinearFamily.h"
#include "tools/qopt-kernel/RotaryFamilies.h"

namespace qopt::kernel_tool {

using namespace kernels::skinny_linear;

/// The norm that `name` asks for, with its kind and whether it has a bias.
static std::optional<Norm> normOf(Words &words, const std::string &name,
                                  quant::ElementType scale) {
  if (!words.flag(name, false))
    return std::nullopt;
  Norm norm{1e-5f, scale};
  norm.kind =
      words.choice<kernels::norm::Kind>(name + "_kind", {"rms", "layer"});
  norm.bias = words.flag(name + "_bias", false);
  return norm;
}

/// What is done ahead of the product; behind the words of the types.
static void askForPrologue(Words &words, quant::ElementType source,
                           Problem &problem) {
  problem.sum = normOf(words, "sum", source);
  if (auto norm = normOf(words, "norm", source))
    problem.norm = {*norm};
  if (words.flag("makes_codes", false))
    problem.source = source;
}

/// `addRest` adds the arguments behind the epilogue's operands.
static StatusOr<Description>
describe(const Problem &problem, int64_t tokens, Words &words,
         Words &scheduleWords, const target::Target &target,
         llvm::function_ref<void(std::vector<Argument> &)> addRest) {
  if (tokens > largestBucket)
    words.refuse("tokens",
                 "expected 1 to 64, got \"" + std::to_string(tokens) + "\"");
  auto schedule = scheduleOf(words, scheduleWords,
                             [&] { return chooseSchedule(problem, target); });
  if (!schedule.ok())
    return schedule.status();
  QOPT_RETURN_IF_ERROR(isValid(problem, *schedule, target));
  Plan plan = planOf(problem, *schedule);
  Description result;
  result.symbol = symbolOf(problem, target);
  result.arguments =
      linearArguments(problem, tokens, plan.workspaceBytes, plan.counters);
  addRest(result.arguments);
  result.arguments.push_back(tokensArgument(tokens));
  result.grid = {schedule->grid, 1, 1};
  result.threads = schedule->threads();
  result.sharedBytes = plan.sharedBytes;
  result.schedule = describeSchedule(scheduleWords, *schedule);
  result.sizes = llvm::json::Object{
      {"token_tiles", plan.tokenTiles},
      {"stage_bytes", plan.stageBytes},
      {"bytes_in_flight", bytesInFlight(plan, *schedule, target)}};
  result.layout = describeWeights(problem, [&](size_t segment) {
    return segmentPlanOf(problem, *schedule, segment).scaleOffset;
  });
  Cost cost = costOf(problem, *schedule, target);
  result.cost = describeCost(
      cost, cost.weightBytes + cost.activationBytes + cost.outputBytes,
      2.0 * double(problem.rows()) * double(problem.columns) * double(tokens));
  result.build = [=, schedule = *schedule,
                  &target](mlir::gpu::GPUModuleOp module) {
    return buildWithEpilogue(problem, module, [&](mlir::Block *epilogue) {
      return buildKernel(module, problem, schedule, target, epilogue);
    });
  };
  return result;
}

StatusOr<Description> describeSkinnyLinear(Words &words, Words &scheduleWords,
                                           const target::Target &target) {
  int64_t tokens = words.count("tokens", 1);
  Problem problem;
  problem.tokens = bucketOf(tokens);
  std::vector<int64_t> rows = words.counts("rows", 4096);
  askForPrologue(words, askForWeights(words, rows, problem), problem);
  askForEpilogue(words, problem);
  return describe(problem, tokens, words, scheduleWords, target,
                  [](std::vector<Argument> &) {});
}

StatusOr<Description> describeSkinnyLinearAppend(Words &words,
                                                 Words &scheduleWords,
                                                 const target::Target &target) {
  PagedBatch batch = PagedBatch::of(words);
  Problem problem;
  problem.tokens = bucketOf(batch.allTokens());
  askForAppend(words, batch, problem);
  askForPrologue(words, batch.activation, problem);
  auto description = describe(problem, batch.allTokens(), words, scheduleWords,
                              target, [&](std::vector<Argument> &list) {
                                addAppend(list, *problem.append, batch);
                              });
  addHeads(batch, description);
  return description;
}

} // namespace qopt::kernel_tool
