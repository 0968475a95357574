// rotary_table and rotary_append in words.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tools/qopt-kernel/RotaryFamilies.h"
#include "lib/Kernels/RotaryAppend/RotaryAppendGenerator.h"
#include "lib/Kernels/RotaryTable/RotaryTableGenerator.h"
#include "tools/qopt-kernel/RowFamily.h"

namespace qopt::kernel_tool {

using namespace kernels;
using rotary_append::Angles;
using rotary_append::Pairs;
using rotary_append::Queries;

/// The norm of every head of queries and keys, or none.
static std::optional<rotary_append::HeadNorm>
headNormOf(Words &words, quant::ElementType activation) {
  enum class Kind : uint8_t { None, Rms, Layer };
  auto kind = words.choice<Kind>("head_norm", {"none", "rms", "layer"});
  if (kind == Kind::None)
    return std::nullopt;
  rotary_append::HeadNorm norm;
  norm.kind = kind == Kind::Rms ? norm::Kind::Rms : norm::Kind::Layer;
  norm.scale = words.element("head_norm_scale", nameOf(activation));
  norm.perHead = words.flag("head_norm_per_head", false);
  return norm;
}

rotary_append::Problem appendOf(Words &words, const PagedBatch &batch) {
  rotary_append::Problem problem;
  problem.heads = batch.heads;
  problem.cache = batch.cache;
  problem.pageTableStride = batch.tableStride();
  problem.activation = batch.activation;
  problem.rotated = words.number("rotated", batch.cache.keySize);
  problem.pairs = words.choice<Pairs>("pairs", {"halves", "interleaved"});
  problem.angles = words.choice<Angles>("angles", {"table", "computed"});
  problem.angleScale = float(words.real("angle_scale", 1));
  if (problem.angleScale != 1 && problem.angles == Angles::Table)
    words.refuse("angle_scale", "only with angles=computed");
  problem.norm = headNormOf(words, batch.activation);
  problem.queries = Queries::Elsewhere;
  int64_t size = batch.cache.keySize, stride = batch.mergedColumns(),
          keys = batch.heads * size;
  problem.query = {0, stride};
  problem.key = {keys, stride};
  problem.value = {keys + batch.cache.keyHeads * size, stride};
  return problem;
}

void addAppend(std::vector<Argument> &list,
               const rotary_append::Problem &problem, const PagedBatch &batch) {
  int64_t tokens = batch.allTokens(), pairs = problem.rotated / 2;
  if (problem.queries == Queries::Elsewhere)
    list.push_back({"queries",
                    Use::Write,
                    nameOf(problem.activation),
                    {tokens, problem.heads * problem.cache.keySize}});
  if (problem.norm)
    for (auto [name, heads] : {std::pair{"query_scale", batch.heads},
                               {"key_scale", batch.cache.keyHeads}})
      list.push_back(
          {name,
           Use::Read,
           nameOf(problem.norm->scale),
           {problem.norm->perHead ? heads : 1, problem.cache.keySize}});
  if (problem.rotated && problem.angles == Angles::Computed)
    list.push_back({"inverse_frequencies", Use::Read, "f32", {pairs}});
  if (problem.rotated && problem.angles == Angles::Table)
    for (const char *name : {"cos", "sin"})
      list.push_back({name, Use::Read, "f32", {tokens, pairs}});
  list.insert(list.end(), {batch.tokenStarts(), batch.contextStarts(),
                           batch.pageTable(), batch.pages(Use::Update)});
  list.push_back({"sequences", Use::Value, "i32", {}, batch.sequences});
}

StatusOr<Description> describeRotaryAppend(Words &words, Words &scheduleWords,
                                           const target::Target &target) {
  PagedBatch batch = PagedBatch::of(words);
  rotary_append::Problem problem = appendOf(words, batch);
  problem.queries = words.choice<Queries>("queries", {"in_place", "elsewhere"});
  auto argumentsOf = [&](const rotary_append::Schedule &) {
    // One tensor in a model; three here, of which the first is written.
    std::vector<Argument> list;
    for (const char *name : {"query", "key", "value"}) {
      bool written = list.empty() && problem.queries == Queries::InPlace;
      list.push_back({name,
                      written ? Use::Update : Use::Read,
                      nameOf(problem.activation),
                      {batch.allTokens(), batch.mergedColumns()}});
    }
    addAppend(list, problem, batch);
    return list;
  };
  auto description = describeRows(problem, batch.allTokens(), words,
                                  scheduleWords, target, argumentsOf);
  if (description.ok())
    description->layout = batch.layout();
  return description;
}

StatusOr<Description> describeRotaryTable(Words &words, Words &scheduleWords,
                                          const target::Target &target) {
  int64_t tokens = words.count("tokens", 16);
  rotary_table::Problem problem;
  problem.count = words.count("count", 64);
  problem.scale = float(words.real("angle_scale", 1));
  auto argumentsOf = [&](const rotary_table::Schedule &) {
    return std::vector<Argument>{
        {"positions", Use::Read, "i32", {tokens}},
        {"inverse_frequencies", Use::Read, "f32", {problem.count}},
        {"cos", Use::Write, "f32", {tokens, problem.count}},
        {"sin", Use::Write, "f32", {tokens, problem.count}}};
  };
  return describeRows(problem, tokens, words, scheduleWords, target,
                      argumentsOf);
}

} // namespace qopt::kernel_tool
