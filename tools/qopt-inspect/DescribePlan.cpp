// The steps of a plan at given sizes.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/BoundFunction.h"
#include "runtime/Devices.h"
#include "runtime/LoadedModel.h"
#include "runtime/plan/PlanFormat.h"
#include "runtime/plan/StepOperands.h"
#include "tools/qopt-inspect/DescribeArtifact.h"

#include <set>

namespace qopt::inspect {

using runtime::BoundFunction;
using runtime::BoundValue;

/// The sizes as the runtime wants them: whole input shapes. A dimension that is
/// itself an expression ("past + seq") follows from the others.
static StatusOr<runtime::SymbolInputs> symbolInputs(const plan::Function &f,
                                                    const PlanSizes &sizes) {
  runtime::SymbolInputs inputs;
  inputs.tokens = sizes.tokens;
  inputs.sequences = inputs.logitRows = sizes.sequences;
  if (f.kind() == plan::FunctionKind::Decoder || !f.inputs())
    return inputs;
  for (uint32_t id : *f.inputs()) {
    const auto *shape = f.values()->Get(id)->shape();
    inputs.inputShapes.emplace_back(shape ? shape->size() : 0, 1);
  }
  if (f.symbols())
    for (const plan::Symbol *symbol : *f.symbols()) {
      auto named = symbol->name() ? sizes.dimensions.find(symbol->name()->str())
                                  : sizes.dimensions.end();
      if (symbol->kind() != plan::SymbolKind::InputDim ||
          named == sizes.dimensions.end())
        continue;
      inputs.inputShapes[symbol->lhs()][symbol->rhs()] = named->second;
    }
  StatusOr<std::vector<int64_t>> symbols = runtime::evaluateSymbols(f, inputs);
  if (!symbols.ok())
    return symbols.status();
  for (uint32_t i = 0; i < f.inputs()->size(); ++i) {
    const auto *shape = f.values()->Get(f.inputs()->Get(i))->shape();
    for (uint32_t axis = 0; shape && axis < shape->size(); ++axis)
      inputs.inputShapes[i][axis] = (*symbols)[shape->Get(axis)];
  }
  return inputs;
}

/// What the step's own table says beyond its operands.
static Json describeWeightUse(const plan::Step &step) {
  auto entry = [](const auto &use, int64_t rows, int64_t columns) {
    return Json{
        {"rows", rows},
        {"columns", columns},
        {"format", quant::spell(runtime::toFormat(*use.format()))},
        {"layout", plan::EnumNameWeightLayout(use.layout())},
    };
  };
  if (const plan::Linear *use = step.operation_as_Linear())
    return entry(*use, use->n(), use->k());
  if (const plan::Embedding *use = step.operation_as_Embedding())
    return entry(*use, use->rows(), use->columns());
  return nullptr;
}

/// As `--report` and `--check` call the two ways to choose a token.
static const char *nameOf(plan::StepUse use) {
  return use == plan::StepUse::Sampling ? "sampling" : "greedy";
}

/// What runs in a step whose token is chosen in one way: names and how often.
static Json countKernels(const BoundFunction &bound,
                         const plan::Function &function, plan::StepUse use) {
  std::map<std::string, int64_t> kernels;
  if (function.steps())
    for (const plan::Step *step : *function.steps())
      if (bound.runs(*step) &&
          (step->use() == plan::StepUse::Always || step->use() == use))
        ++kernels[runtime::kernelName(step->operation_type())];
  return kernels;
}

static Json describeStep(const BoundFunction &bound, const plan::Step &step) {
  Json json = {{"kernel", runtime::kernelName(step.operation_type())},
               {"origin", step.origin() ? step.origin()->str() : ""}};
  if (step.use() != plan::StepUse::Always)
    json["use"] = nameOf(step.use());
  if (const plan::Generated *code = step.operation_as_Generated())
    json["symbol"] = code->symbol()->str();
  if (Json weight = describeWeightUse(step); !weight.is_null())
    json["weight"] = std::move(weight);
  int64_t constants = 0, activations = 0;
  for (const runtime::StepOperand &operand : runtime::operandsOf(step)) {
    const BoundValue &value = bound.value(operand.value);
    bool constant = value.slot == runtime::Slot::Constant;
    (constant ? constants : activations) += value.bytes;
    static const char *const slots[] = {"constant", "arena", "input", "output"};
    Json entry = {
        {"value", operand.value},
        {"access", operand.access == runtime::Access::Read ? "read" : "write"},
        {"type", value.quantized ? quant::spell(value.activation)
                                 : spell(DType(value.type))},
        {"shape", value.shape},
        {"where", slots[size_t(value.slot)]},
        {"offset", value.offset},
        {"bytes", value.bytes}};
    json["operands"].push_back(std::move(entry));
  }
  json["constant_bytes"] = constants;
  json["activation_bytes"] = activations;
  return json;
}

/// What a call's sizes must fulfil, in the order in which it is checked.
static Json describeRequirements(const plan::Function &function) {
  Json requirements = Json::array();
  if (function.requirements())
    for (const plan::Requirement *needed : *function.requirements())
      requirements.push_back(
          {{"lhs", runtime::spellSymbol(function, needed->lhs())},
           {"relation", plan::EnumNameRelation(needed->relation())},
           {"rhs", runtime::spellSymbol(function, needed->rhs())},
           {"origin", needed->origin() ? needed->origin()->str() : ""}});
  return requirements;
}

/// Every size that was given is of an input of some function.
static Status checkDimensions(const plan::Plan &plan, const PlanSizes &sizes) {
  std::set<std::string> known;
  for (const plan::Function *function : *plan.functions())
    if (const auto *symbols = function->symbols())
      for (const plan::Symbol *symbol : *symbols)
        if (symbol->kind() == plan::SymbolKind::InputDim && symbol->name())
          known.insert(symbol->name()->str());
  for (const auto &[name, size] : sizes.dimensions)
    if (!known.count(name))
      return Status(StatusCode::InvalidArgument,
                    "no dimension of the inputs is called \"" + name + "\"");
  return {};
}

StatusOr<Json> describeFunctions(const Artifact &artifact,
                                 const PlanSizes &sizes) {
  Json functions = Json::array();
  const auto &file = artifact.model()->file();
  QOPT_RETURN_IF_ERROR(checkDimensions(file->plan(), sizes));
  for (const plan::Function *function : *file->plan().functions()) {
    StatusOr<runtime::SymbolInputs> inputs = symbolInputs(*function, sizes);
    if (!inputs.ok())
      return inputs.status();
    StatusOr<std::shared_ptr<const BoundFunction>> bound = BoundFunction::bind(
        file, *function, *inputs, runtime::quantizedRowBytes(file->plan()),
        runtime::UnfitSizes::Show);
    if (!bound.ok())
      return bound.status();
    Json json = {{"name", function->name()->str()},
                 {"arena_bytes", (*bound)->arenaBytes()},
                 {"arena_lower_bound", (*bound)->arenaBound()}};
    Json steps = Json::array();
    bool samples = false;
    if (function->steps())
      for (const plan::Step *step : *function->steps()) {
        if (!(*bound)->runs(*step))
          continue;
        samples |= step->use() == plan::StepUse::Sampling;
        steps.push_back(describeStep(**bound, *step));
      }
    json["kernels"] = countKernels(**bound, *function, plan::StepUse::Greedy);
    if (samples)
      json["sampling"]["kernels"] =
          countKernels(**bound, *function, plan::StepUse::Sampling);
    json["requirements"] = describeRequirements(*function);
    json["steps"] = std::move(steps);
    functions.push_back(std::move(json));
  }
  return functions;
}

} // namespace qopt::inspect
