// attention_decode and attention_prefill in words.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/AttentionDecode/AttentionDecodeGenerator.h"
#include "lib/Kernels/AttentionPrefill/AttentionPrefillGenerator.h"
#include "lib/Kernels/LaunchShape.h"
#include "tools/qopt-kernel/PagedBatch.h"

#include <algorithm>
#include <cmath>

namespace qopt::kernel_tool {

using namespace kernels;
using attention_decode::Division;
using attention_decode::Launch;
using attention_decode::Plan;
using attention_decode::Problem;
using attention_decode::Schedule;

static Problem problemOf(Words &words, const PagedBatch &batch) {
  Problem problem;
  problem.heads = batch.heads;
  problem.cache = batch.cache;
  problem.activation = batch.activation;
  problem.context = batch.context;
  problem.scale = float(1 / std::sqrt(double(batch.cache.keySize)));
  problem.causal = words.flag("causal", true);
  problem.window = words.number("window", 0);
  problem.softcap = float(words.real("softcap", 0));
  problem.slopes = words.flag("slopes", false);
  problem.sinks = words.flag("sinks", false);
  problem.queryStride = batch.mergedColumns();
  return problem;
}

static std::vector<Argument> argumentsOf(const Problem &problem,
                                         const Launch &launch,
                                         const PagedBatch &batch) {
  int64_t tokens = batch.allTokens();
  std::string act = nameOf(problem.activation);
  std::vector<Argument> list{
      {"query", Use::Read, act, {tokens, problem.queryStride}},
      {"output",
       Use::Write,
       act,
       {tokens, problem.heads * problem.cache.valueSize}},
      batch.pages(Use::Read),
      batch.pageTable(),
      batch.tokenStarts(),
      batch.contextStarts(),
      {"workspace",
       Use::Workspace,
       "f32",
       {std::max<int64_t>(launch.workspaceBytes / 4, 1)}},
      {"counters",
       Use::Counters,
       "u32",
       {std::max<int64_t>(launch.counters, 1)}}};
  if (problem.slopes)
    list.push_back({"slopes", Use::Read, "f32", {problem.heads}});
  if (problem.sinks)
    list.push_back({"sinks", Use::Read, "f32", {problem.heads}});
  return list;
}

/// `splits` instead of as many as launchOf chose.
static Status changeSplits(int64_t splits, const Problem &problem,
                           const Schedule &schedule, Launch &launch) {
  if (schedule.division == Division::Rows)
    return Status(StatusCode::InvalidArgument,
                  "splits: only attention_decode has some");
  launch.x = splits;
  int64_t parts = launch.x * launch.y * launch.z;
  launch.workspaceBytes =
      parts * attention_decode::planOf(problem, schedule).slotFloats * 4;
  launch.counters = launch.y * launch.z;
  return Status();
}

static llvm::json::Object sizesOf(const Schedule &schedule, const Plan &plan,
                                  const Launch &launch,
                                  const target::Target &target) {
  int64_t rings = schedule.division == Division::Rows ? 1 : schedule.warps;
  int64_t ofBlock = plan.stageBytes * (schedule.stages - 1) * rings;
  int64_t blocks = launch.x * launch.y * launch.z;
  return llvm::json::Object{
      {"stage_bytes", plan.stageBytes},
      {"bytes_in_flight",
       ofBlock * residentBlocks(blocks, schedule.blocksPerSm, target)}};
}

static StatusOr<Description> describe(Words &words, Words &scheduleWords,
                                      const target::Target &target, bool rows) {
  PagedBatch batch = PagedBatch::of(words);
  Problem problem = problemOf(words, batch);
  int64_t splits = scheduleWords.number("splits", 0); // 0: as many as fit
  auto schedule = scheduleOf(words, scheduleWords, [&] {
    return rows ? attention_prefill::chooseSchedule(problem, target)
                : attention_decode::chooseSchedule(problem, batch.tokens,
                                                   target);
  });
  if (!schedule.ok())
    return schedule.status();
  QOPT_RETURN_IF_ERROR(attention_decode::isValid(problem, *schedule, target));
  Launch launch = attention_decode::launchOf(
      problem, *schedule, target, batch.sequences, batch.tokens, batch.context);
  if (splits)
    QOPT_RETURN_IF_ERROR(changeSplits(splits, problem, *schedule, launch));
  Description result;
  result.symbol = attention_decode::symbolOf(problem, *schedule, target);
  result.arguments = argumentsOf(problem, launch, batch);
  result.grid = {launch.x, launch.y, launch.z};
  result.threads = launch.threads;
  result.sharedBytes = launch.sharedBytes;
  result.schedule = describeSchedule(scheduleWords, *schedule);
  result.schedule["splits"] = launch.x;
  result.sizes = sizesOf(
      *schedule, attention_decode::planOf(problem, *schedule), launch, target);
  result.layout = batch.layout();
  result.layout["scale"] = problem.scale;
  auto predict = rows ? attention_prefill::costOf : attention_decode::costOf;
  attention_decode::Cost cost = predict(
      problem, *schedule, target, batch.sequences, batch.tokens, batch.context);
  result.cost =
      describeCost(cost, cost.cacheBytes + cost.activationBytes, cost.flops());
  auto generate =
      rows ? attention_prefill::buildKernel : attention_decode::buildKernel;
  result.build = [=, schedule = *schedule,
                  &target](mlir::gpu::GPUModuleOp module) {
    return generate(module, problem, schedule, target);
  };
  return result;
}

StatusOr<Description> describeAttentionDecode(Words &problem, Words &schedule,
                                              const target::Target &target) {
  return describe(problem, schedule, target, false);
}

StatusOr<Description> describeAttentionPrefill(Words &problem, Words &schedule,
                                               const target::Target &target) {
  return describe(problem, schedule, target, true);
}

} // namespace qopt::kernel_tool
