// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tools/qopt-kernel/LinearFamily.h"
#include "lib/Kernels/Builder/Region.h"
#include "lib/Kernels/SkinnyLinear/SkinnyLinearPack.h"
#include "tools/qopt-kernel/FunctionWords.h"
#include "tools/qopt-kernel/RotaryFamilies.h"

#include <algorithm>

namespace qopt::kernel_tool {

using namespace kernels;
using namespace kernels::skinny_linear;

std::vector<Segment> askForSegments(Words &words,
                                    llvm::ArrayRef<int64_t> rows) {
  std::vector<quant::Format> formats = words.formats("weights", "int4_g128");
  if (formats.size() != 1 && formats.size() != rows.size())
    words.refuse("weights", "expected one format, or " +
                                std::to_string(rows.size()) +
                                ", one for each range of rows; got " +
                                std::to_string(formats.size()));
  std::vector<Segment> segments;
  for (size_t i = 0; i < rows.size(); ++i) {
    const quant::Format &format = i < formats.size() ? formats[i] : formats[0];
    if (!segments.empty() && segments.back().weight == format)
      segments.back().rows += rows[i];
    else
      segments.push_back({rows[i], format});
  }
  return segments;
}

quant::ElementType askForWeights(Words &words, llvm::ArrayRef<int64_t> rows,
                                 Problem &problem) {
  problem.columns = words.count("columns", 4096);
  problem.segments = askForSegments(words, rows);
  quant::ElementType activation = words.element("activation", "f16");
  problem.output = words.element("output", "f16");
  problem.activation =
      words.flag("int8", false) ? quant::ElementType::Int8 : activation;
  return activation;
}

void askForAppend(Words &words, const PagedBatch &batch, Problem &problem) {
  problem.append = appendOf(words, batch);
  problem.columns = words.count("columns", 4096);
  int64_t keys = batch.cache.keyHeads * batch.cache.keySize;
  problem.segments =
      askForSegments(words, {batch.heads * batch.cache.keySize, keys, keys});
  problem.activation = problem.output = batch.activation;
  if (words.flag("int8", false))
    problem.activation = quant::ElementType::Int8;
}

void askForEpilogue(Words &words, Problem &problem) {
  if (words.flag("bias", false))
    problem.operands.push_back({OperandShape::Column, problem.output});
  if (words.flag("residual", false))
    problem.operands.push_back({OperandShape::Element, problem.output});
  llvm::SmallVector<llvm::StringRef> gates = functionNames();
  gates.insert(gates.begin(), "none");
  if (auto gate = words.choice<int>("gate", gates)) {
    problem.paired = true;
    problem.gate = Function(gate - 1);
  }
}

void addHeads(const PagedBatch &batch, StatusOr<Description> &description) {
  if (description.ok())
    for (auto &[key, value] : batch.layout())
      description->layout[key] = std::move(value);
}

std::vector<Argument> linearArguments(const Problem &problem, int64_t tokens,
                                      int64_t workspaceBytes,
                                      int64_t counters) {
  auto atLeastOne = [](int64_t count) { return std::max<int64_t>(count, 1); };
  int64_t columns = problem.outputColumns();
  std::string x = nameOf(problem.source.value_or(problem.activation));
  std::vector<Argument> list{
      {"x", Use::Read, x, {tokens, problem.columns}},
      {"weights", Use::Read, "u8", {packedBytes(problem)}},
      {"y", Use::Write, nameOf(problem.output), {tokens, columns}},
      {"workspace", Use::Workspace, "f32", {atLeastOne(workspaceBytes / 4)}},
      {"counters", Use::Counters, "u32", {atLeastOne(counters)}}};
  if (problem.readsCodes())
    list.push_back({"token_scales", Use::Read, "f32", {tokens}});
  for (const Norm &norm : problem.norm) {
    list.push_back(
        {"norm_scale", Use::Read, nameOf(norm.scale), {problem.columns}});
    if (norm.bias)
      list.push_back(
          {"norm_bias", Use::Read, nameOf(norm.scale), {problem.columns}});
  }
  if (problem.sum) {
    list.push_back({"sum_scale",
                    Use::Read,
                    nameOf(problem.sum->scale),
                    {problem.columns}});
    if (problem.sum->bias)
      list.push_back({"sum_bias",
                      Use::Read,
                      nameOf(problem.sum->scale),
                      {problem.columns}});
    list.push_back({"summand", Use::Read, x, {problem.columns}});
    list.push_back({"sum", Use::Write, x, {problem.columns}});
  }
  for (const Operand &operand : problem.operands) {
    bool bias = operand.shape == OperandShape::Column;
    list.push_back({bias ? "bias" : "residual", Use::Read, nameOf(operand.type),
                    bias ? std::vector<int64_t>{columns}
                         : std::vector<int64_t>{tokens, columns}});
  }
  return list;
}

Argument tokensArgument(int64_t tokens) {
  return {"tokens", Use::Value, "i32", {}, tokens};
}

StatusOr<mlir::gpu::GPUFuncOp> buildWithEpilogue(
    const Problem &problem, mlir::gpu::GPUModuleOp module,
    llvm::function_ref<StatusOr<mlir::gpu::GPUFuncOp>(mlir::Block *)> build) {
  if (problem.operands.empty())
    return build(nullptr);
  mlir::Block block;
  fillSum(block, problem.operands.size(), mlir::OpBuilder(module.getContext()),
          module.getLoc());
  return build(&block);
}

} // namespace qopt::kernel_tool
