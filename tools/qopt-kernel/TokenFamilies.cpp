// argmax and sampling in words: from the logits of each row to its token.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/Argmax/ArgmaxGenerator.h"
#include "lib/Kernels/Sampling/SamplingGenerator.h"
#include "runtime/cuda/SamplingRecord.h"
#include "tools/qopt-kernel/RowFamily.h"

#include <algorithm>
#include <cstddef>

namespace qopt::kernel_tool {

using namespace kernels;

static int64_t atLeastOne(int64_t count) { return std::max<int64_t>(count, 1); }

StatusOr<Description> describeArgmax(Words &words, Words &scheduleWords,
                                     const target::Target &target) {
  int64_t rows = words.count("rows", 16);
  argmax::Problem problem{words.count("columns", 128256)};
  auto argumentsOf = [&](const argmax::Schedule &schedule) {
    return std::vector<Argument>{
        {"logits", Use::Read, "f32", {rows, problem.columns}},
        {"tokens", Use::Write, "i32", {rows}},
        {"workspace",
         Use::Workspace,
         "u8",
         {atLeastOne(argmax::workspaceBytes(schedule, rows))}},
        {"counters",
         Use::Counters,
         "u32",
         {atLeastOne(argmax::counters(schedule, rows))}}};
  };
  return describeRows(problem, rows, words, scheduleWords, target, argumentsOf);
}

/// Where a record of a row has its options.
static llvm::json::Object describeRecord() {
  using cuda::SamplingRecord;
  return llvm::json::Object{
      {"record_bytes", sizeof(SamplingRecord)},
      {"temperature", offsetof(SamplingRecord, temperature)},
      {"top_p", offsetof(SamplingRecord, topP)},
      {"min_p", offsetof(SamplingRecord, minP)},
      {"repetition_penalty", offsetof(SamplingRecord, repetitionPenalty)},
      {"top_k", offsetof(SamplingRecord, topK)},
      {"seen_row", offsetof(SamplingRecord, seenRow)},
      {"seed", offsetof(SamplingRecord, seed)},
      {"index", offsetof(SamplingRecord, index)}};
}

StatusOr<Description> describeSampling(Words &words, Words &scheduleWords,
                                       const target::Target &target) {
  using namespace sampling;
  int64_t rows = words.count("rows", 16);
  Problem problem{words.count("columns", 128256)};
  auto argumentsOf = [&](const Schedule &schedule) {
    int64_t bytes = sizeof(cuda::SamplingRecord);
    return std::vector<Argument>{
        {"logits", Use::Read, "f32", {rows, problem.columns}},
        {"records", Use::Read, "u8", {rows, bytes}},
        {"seen", Use::Update, "u32", {rows, seenWords(problem)}},
        {"tokens", Use::Write, "i32", {rows}},
        {"workspace", Use::Workspace, "u8", {workspaceBytes(problem, rows)}},
        {"counters",
         Use::Counters,
         "u32",
         {atLeastOne(counters(schedule, rows))}}};
  };
  auto description =
      describeRows(problem, rows, words, scheduleWords, target, argumentsOf);
  if (description.ok())
    description->layout = describeRecord();
  return description;
}

} // namespace qopt::kernel_tool
