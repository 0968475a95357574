// attention_decode and attention_prefill in words: sequences that all have the
// same new tokens and positions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/AttentionDecode/AttentionDecodeGenerator.h"
#include "lib/Kernels/AttentionPrefill/AttentionPrefillGenerator.h"
#include "tools/qopt-kernel/Family.h"

#include <algorithm>
#include <cmath>

namespace qopt::kernel_tool {

using namespace kernels;
using attention_decode::Division;
using attention_decode::Launch;
using attention_decode::Plan;
using attention_decode::Problem;
using attention_decode::Schedule;

namespace {
struct Batch {
  int64_t sequences, tokens, context; ///< tokens and positions of each
};
} // namespace

static Problem problemOf(Words &words, Batch &batch) {
  Problem problem;
  cuda::KvPageLayout &cache = problem.cache;
  auto atLeastOne = [&](llvm::StringRef key, int64_t other) {
    return std::max<int64_t>(words.number(key, other), 1);
  };
  problem.heads = atLeastOne("heads", 32);
  cache.keyHeads = atLeastOne("key_heads", 8);
  cache.keySize = cache.valueSize = atLeastOne("head_size", 128);
  cache.page = atLeastOne("page", 64);
  cache.key = words.format("key", "f16");
  cache.value = words.format("value", "f16");
  problem.activation = words.element("activation", "f16");
  batch.sequences = atLeastOne("sequences", 1);
  batch.tokens = atLeastOne("tokens", 1);
  batch.context = atLeastOne("context", 4096);
  problem.context = batch.context;
  problem.scale = float(1 / std::sqrt(double(cache.keySize)));
  problem.causal = words.flag("causal", true);
  problem.window = words.number("window", 0);
  problem.softcap = float(words.real("softcap", 0));
  // Queries lie in a row with keys and values, as a merged projection has it.
  problem.queryStride = (problem.heads + 2 * cache.keyHeads) * cache.keySize;
  return problem;
}

static llvm::json::Object layoutOf(const Problem &problem) {
  const cuda::KvPageLayout &cache = problem.cache;
  return llvm::json::Object{{"page", cache.page},
                            {"page_bytes", cache.pageBytes()},
                            {"head_bytes", cache.keyOffset(1)},
                            {"value_at", cache.valueOffset(0)},
                            {"key_code_bytes", cache.keyCodeBytes()},
                            {"value_code_bytes", cache.valueCodeBytes()},
                            {"key_scale_bytes", cache.keyScaleBytes()},
                            {"value_scale_bytes", cache.valueScaleBytes()},
                            {"query_stride", problem.queryStride},
                            {"scale", problem.scale}};
}

static std::vector<Argument>
argumentsOf(const Problem &problem, const Launch &launch, const Batch &batch) {
  int64_t tokens = batch.sequences * batch.tokens;
  std::string act = nameOf(problem.activation);
  int64_t pages = batch.sequences * problem.pageStride();
  return {
      {"query", Use::Read, act, {tokens, problem.queryStride}},
      {"output",
       Use::Write,
       act,
       {tokens, problem.heads * problem.cache.valueSize}},
      {"pages", Use::Read, "u8", {pages, problem.cache.pageBytes()}},
      {"page_table", Use::Read, "i32", {batch.sequences, problem.pageStride()}},
      {"token_starts", Use::Read, "i32", {batch.sequences + 1}},
      {"context_starts", Use::Read, "i32", {batch.sequences}},
      {"workspace",
       Use::Workspace,
       "f32",
       {std::max<int64_t>(launch.workspaceBytes / 4, 1)}},
      {"counters",
       Use::Counters,
       "u32",
       {std::max<int64_t>(launch.counters, 1)}}};
}

/// Another number of splits than launchOf's, where the words ask for one.
static Status changeSplits(Words &words, const Problem &problem,
                           const Schedule &schedule, Launch &launch) {
  int64_t splits = words.number("splits", launch.x);
  if (splits == launch.x)
    return Status();
  if (splits < 1 || schedule.division == Division::Rows)
    return Status(StatusCode::InvalidArgument,
                  "splits: expected 1 or more, and only for attention_decode");
  launch.x = splits;
  int64_t parts = launch.x * launch.y * launch.z;
  launch.workspaceBytes =
      parts * attention_decode::planOf(problem, schedule).slotFloats * 4;
  launch.counters = launch.y * launch.z;
  return Status();
}

static llvm::json::Object describe(const Words &words, const Schedule &schedule,
                                   const Plan &plan) {
  llvm::json::Object object = words.values();
  object["why"] = std::string(schedule.why);
  object["stage_bytes"] = plan.stageBytes;
  int64_t rings = schedule.division == Division::Rows ? 1 : schedule.warps;
  object["bytes_in_flight"] = plan.stageBytes * (schedule.stages - 1) * rings;
  return object;
}

static StatusOr<Description> describe(Words &words, Words &scheduleWords,
                                      const target::Target &target, bool rows) {
  Batch batch{};
  Problem problem = problemOf(words, batch);
  Status wrong = words.finish();
  if (wrong.ok() && batch.tokens > batch.context)
    wrong = Status(StatusCode::InvalidArgument,
                   "tokens: they are part of the context, which is smaller");
  if (wrong.ok() && problem.cache.keyGroup())
    wrong = Status(StatusCode::InvalidArgument,
                   "key: groups of positions wait in slots of sequences, which "
                   "a record of one kernel does not describe");
  StatusOr<Schedule> chosen(wrong.ok() ? Status(StatusCode::Internal, "")
                                       : wrong);
  if (wrong.ok())
    chosen =
        rows ? attention_prefill::chooseSchedule(problem, target)
             : attention_decode::chooseSchedule(problem, batch.tokens, target);
  Schedule schedule = chosen.ok() ? *chosen : Schedule();
  changeSchedule(scheduleWords, schedule);
  Launch launch{};
  if (chosen.ok())
    launch =
        attention_decode::launchOf(problem, schedule, target, batch.sequences,
                                   batch.tokens, batch.context);
  QOPT_RETURN_IF_ERROR(changeSplits(scheduleWords, problem, schedule, launch));
  if (!chosen.ok())
    return chosen.status();
  QOPT_RETURN_IF_ERROR(scheduleWords.finish());
  QOPT_RETURN_IF_ERROR(attention_decode::isValid(problem, schedule, target));
  Description result;
  result.symbol = attention_decode::symbolOf(problem, schedule, target);
  result.arguments = argumentsOf(problem, launch, batch);
  result.grid = {launch.x, launch.y, launch.z};
  result.threads = launch.threads;
  result.sharedBytes = launch.sharedBytes;
  result.schedule = describe(scheduleWords, schedule,
                             attention_decode::planOf(problem, schedule));
  result.layout = layoutOf(problem);
  auto predict = rows ? attention_prefill::costOf : attention_decode::costOf;
  attention_decode::Cost cost = predict(
      problem, schedule, target, batch.sequences, batch.tokens, batch.context);
  result.cost =
      describeCost(cost, cost.cacheBytes + cost.activationBytes, cost.flops());
  auto generate =
      rows ? attention_prefill::buildKernel : attention_decode::buildKernel;
  result.build = [=, &target](mlir::gpu::GPUModuleOp module) {
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
