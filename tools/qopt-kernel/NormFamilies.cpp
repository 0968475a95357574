// norm, quantize and gated_activation in words: rows of activations that become
// rows of activations, or of int8 codes with a scale each.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/GatedActivation/GatedActivationGenerator.h"
#include "lib/Kernels/Norm/NormGenerator.h"
#include "lib/Kernels/Quantize/QuantizeGenerator.h"
#include "tools/qopt-kernel/FunctionWords.h"
#include "tools/qopt-kernel/RowFamily.h"

namespace qopt::kernel_tool {

using namespace kernels;

/// The result of `rows` rows, in codes where the family makes them, and what
/// every launch ends with.
static void addResult(std::vector<Argument> &list, bool codes,
                      quant::ElementType activation, int64_t rows,
                      int64_t columns) {
  list.push_back({"result",
                  Use::Write,
                  codes ? "int8" : nameOf(activation),
                  {rows, columns}});
  if (codes)
    list.push_back({"scales", Use::Write, "f32", {rows}});
  list.push_back({"rows", Use::Value, "i32", {}, rows});
}

static norm::Problem normOf(Words &words) {
  norm::Problem problem;
  problem.columns = words.count("columns", 4096);
  problem.kind = words.choice<norm::Kind>("kind", {"rms", "layer"});
  problem.epsilon = float(words.real("epsilon", 1e-5));
  problem.activation = words.element("activation", "f16");
  problem.scale = words.element("scale", "f16");
  problem.residual = words.flag("residual", false);
  problem.added = words.flag("added", false);
  problem.bias = words.flag("bias", false);
  problem.result = words.choice<norm::Result>("result", {"activation", "int8"});
  problem.heads = words.count("heads", 1);
  problem.stride = words.number("stride", 0);
  return problem;
}

StatusOr<Description> describeNorm(Words &words, Words &scheduleWords,
                                   const target::Target &target) {
  int64_t rows = words.count("rows", 16);
  norm::Problem problem = normOf(words);
  if (rows % problem.heads)
    words.refuse("heads", "expected a divisor of rows");
  if (problem.heads > 1 && !problem.stride)
    words.refuse("heads", "more than one need a stride");
  auto argumentsOf = [&](const norm::Schedule &) {
    std::string act = nameOf(problem.activation), scale = nameOf(problem.scale);
    int64_t stride = problem.stride ? problem.stride : problem.columns;
    std::vector<Argument> list{
        {"input", Use::Read, act, {rows / problem.heads, stride}}};
    if (problem.residual) {
      list.push_back({"residual", Use::Read, act, {rows, problem.columns}});
      list.push_back({"sum", Use::Write, act, {rows, problem.columns}});
    }
    list.push_back({"scale", Use::Read, scale, {problem.columns}});
    if (problem.bias)
      list.push_back({"bias", Use::Read, scale, {problem.columns}});
    if (problem.added)
      list.push_back({"added", Use::Read, act, {rows, problem.columns}});
    addResult(list, problem.result == norm::Result::Int8, problem.activation,
              rows, problem.columns);
    return list;
  };
  return describeRows(problem, rows, words, scheduleWords, target, argumentsOf);
}

StatusOr<Description> describeQuantize(Words &words, Words &scheduleWords,
                                       const target::Target &target) {
  int64_t rows = words.count("rows", 16);
  quantize::Problem problem;
  problem.columns = words.count("columns", 4096);
  problem.activation = words.element("activation", "f16");
  auto argumentsOf = [&](const quantize::Schedule &) {
    std::vector<Argument> list{{"input",
                                Use::Read,
                                nameOf(problem.activation),
                                {rows, problem.columns}}};
    addResult(list, true, problem.activation, rows, problem.columns);
    return list;
  };
  return describeRows(problem, rows, words, scheduleWords, target, argumentsOf);
}

StatusOr<Description> describeGatedActivation(Words &words,
                                              Words &scheduleWords,
                                              const target::Target &target) {
  using namespace gated_activation;
  int64_t rows = words.count("rows", 16);
  Problem problem;
  problem.columns = words.count("columns", 14336);
  problem.function = words.choice<Function>("function", functionNames());
  problem.form = words.choice<Form>("form", {"halves", "two", "alone"});
  problem.activation = words.element("activation", "f16");
  problem.result = words.choice<Result>("result", {"activation", "int8"});
  auto argumentsOf = [&](const Schedule &) {
    std::string act = nameOf(problem.activation);
    int64_t wide = problem.form == Form::Halves ? 2 : 1;
    std::vector<Argument> list{
        {"gate", Use::Read, act, {rows, wide * problem.columns}}};
    if (problem.form == Form::Two)
      list.push_back({"up", Use::Read, act, {rows, problem.columns}});
    addResult(list, problem.result == Result::Int8, problem.activation, rows,
              problem.columns);
    return list;
  };
  return describeRows(problem, rows, words, scheduleWords, target, argumentsOf);
}

} // namespace qopt::kernel_tool
