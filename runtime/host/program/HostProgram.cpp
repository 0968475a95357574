// Binds and launches lists of kernel calls; what each kind of step means is in
// the …Steps.cpp files.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/host/program/HostProgram.h"

#include "qopt/Tensor.h"
#include "runtime/host/program/CacheLayout.h"
#include "runtime/host/program/HostSteps.h"
#include "runtime/plan/StepOperands.h"

#include <algorithm>
#include <cstring>

namespace qopt::runtime {

static BoundCommand bindStep(StepBinder &binder) {
  const plan::Step &step = binder.step;
  switch (step.operation_type()) {
#define QOPT_BIND(Name)                                                        \
  case plan::Operation::Name:                                                  \
    return bind##Name(binder, *step.operation_as_##Name());
    QOPT_BIND(Linear)
    QOPT_BIND(Embedding)
    QOPT_BIND(RmsNorm)
    QOPT_BIND(LayerNorm)
    QOPT_BIND(QuantizeActivations)
    QOPT_BIND(Dequantize)
    QOPT_BIND(FromCodes)
    QOPT_BIND(Rotary)
    QOPT_BIND(RotaryTable)
    QOPT_BIND(Positions)
    QOPT_BIND(SelectRows)
    QOPT_BIND(Activation)
    QOPT_BIND(GatedActivation)
    QOPT_BIND(Attention)
    QOPT_BIND(AttentionGradient)
    QOPT_BIND(KvAppend)
    QOPT_BIND(RotaryAppend)
    QOPT_BIND(CachedAttention)
    QOPT_BIND(Generated)
    QOPT_BIND(Copy)
    QOPT_BIND(Cast)
    QOPT_BIND(CheckIndices)
#undef QOPT_BIND
  case plan::Operation::Launch: // of a GPU
  case plan::Operation::NONE:
    break;
  }
  return binder.fail("has no kernel on the host");
}

Status StepBinder::fail(const std::string &what) const {
  return Status(StatusCode::InvalidArgument,
                "step " + describe(step) + " in '" +
                    function.function().name()->str() + "': " + what);
}

int64_t StepBinder::product(std::initializer_list<int64_t> sizes) {
  int64_t result = 1;
  for (int64_t size : sizes)
    if (size < 0 || __builtin_mul_overflow(result, size, &result))
      return -1;
  return result;
}

host::ActivationFormat activationFormat(const BoundValue &value) {
  if (!value.quantized)
    return {};
  return {host::activationCodes(value.activation)
              .value_or(host::ActivationCodes::Int8Blocks),
          value.activationScale};
}

Status StepBinder::expect(const char *operand, uint32_t id, plan::DType type,
                          int64_t elements) const {
  const BoundValue &bound = value(id);
  if (bound.quantized || bound.strided())
    return fail(std::string(operand) + " must be a contiguous tensor");
  if (bound.type != type || bound.elements != elements)
    return fail(std::string(operand) + " is " +
                plan::EnumNameDType(bound.type) + " " + spell(bound.shape) +
                "; expected " + plan::EnumNameDType(type) + " with " +
                (elements < 0 ? std::string("more elements than can be counted")
                              : std::to_string(elements) + " elements"));
  return {};
}

Status StepBinder::expectRows(const char *operand, uint32_t id, int64_t rows,
                              int64_t columns, int64_t &stride) const {
  const BoundValue &bound = value(id);
  if (bound.quantized || bound.type != plan::DType::F32 ||
      bound.elements != product({rows, columns}))
    return fail(std::string(operand) + " is " +
                plan::EnumNameDType(bound.type) + " " + spell(bound.shape) +
                "; expected F32 with " + std::to_string(rows) + " rows of " +
                std::to_string(columns));
  if (bound.strided() && bound.rowElements != columns)
    return fail(std::string(operand) + " has rows of " +
                std::to_string(bound.rowElements) + " elements; expected " +
                std::to_string(columns));
  stride = bound.strided() ? bound.rowStride : columns;
  return {};
}

Status StepBinder::expectResult(uint32_t id, int64_t rows,
                                int64_t columns) const {
  const BoundValue &bound = value(id);
  if (!bound.quantized)
    return expect("its result", id, plan::DType::F32, product({rows, columns}));
  if (bound.elements != product({rows, columns}) ||
      (rows > 0 && bound.columns() != columns))
    return fail("its quantized result is " + spell(bound.shape) +
                "; expected " + std::to_string(rows) + " rows of " +
                std::to_string(columns));
  return expectCodesOfValues(bound);
}

Status StepBinder::expectCodesOfValues(const BoundValue &result) const {
  if (activationFormat(result).codes == host::ActivationCodes::Int8Centred)
    return fail("its result has zero points, which from_codes alone writes");
  return {};
}

void StepBinder::setPointer(void *location, uint32_t id, int64_t bytes) {
  const BoundValue &bound = value(id);
  if (bound.slot != Slot::Constant) {
    patches.push_back(
        {location, bound.slot, bound.index, bound.offset + bytes});
    return;
  }
  const uint8_t *address = bound.address + bytes;
  std::memcpy(location, static_cast<const void *>(&address), sizeof(void *));
}

StatusOr<std::unique_ptr<Program>>
HostProgram::create(std::shared_ptr<const BoundFunction> function,
                    const Device::ModuleLookup &modules,
                    host::ThreadPool &pool) {
  auto program = std::unique_ptr<HostProgram>(new HostProgram(pool));
  StatusOr<int64_t> elements = stepRowElements(*function);
  if (!elements.ok())
    return elements.status();
  program->stepRows.resize(size_t(*elements));
  if (const auto *steps = function->function().steps())
    for (const plan::Step *step : *steps) {
      StepBinder binder(*function, *step, modules, program->patches);
      BoundCommand command = bindStep(binder);
      if (!command.ok())
        return command.status();
      program->commands.push_back(std::move(*command));
    }
  program->function = std::move(function);
  return std::unique_ptr<Program>(std::move(program));
}

/// The first byte of what is no constant.
static void *slotAddress(const LaunchMemory &memory, Slot slot,
                         uint32_t index) {
  return slot == Slot::Input    ? memory.inputs[index]
         : slot == Slot::Output ? memory.outputs[index]
                                : memory.arena;
}

void HostProgram::patchPointers(const LaunchMemory &memory) {
  bool same = lastAddresses.size() ==
                  1 + memory.inputs.size() + memory.outputs.size() &&
              lastAddresses[0] == memory.arena &&
              std::equal(memory.inputs.begin(), memory.inputs.end(),
                         lastAddresses.begin() + 1) &&
              std::equal(memory.outputs.begin(), memory.outputs.end(),
                         lastAddresses.begin() + 1 + memory.inputs.size());
  if (same)
    return;
  lastAddresses.assign(1, memory.arena);
  lastAddresses.insert(lastAddresses.end(), memory.inputs.begin(),
                       memory.inputs.end());
  lastAddresses.insert(lastAddresses.end(), memory.outputs.begin(),
                       memory.outputs.end());
  for (const PointerPatch &patch : patches) {
    void *base = slotAddress(memory, patch.slot, patch.index);
    void *address =
        base ? static_cast<uint8_t *>(base) + patch.offset : nullptr;
    std::memcpy(patch.location, static_cast<const void *>(&address),
                sizeof(void *));
  }
}

Status HostProgram::launch(const LaunchMemory &memory) {
  patchPointers(memory);
  HostCall call = {pool, memory.state, stepRows.data()};
  for (size_t i = 0; i < commands.size(); ++i) {
    if (Status status = commands[i]->run(call); !status.ok())
      return describeFailure(i, status);
    if (memory.probe)
      QOPT_RETURN_IF_ERROR(show(i, memory));
  }
  return {};
}

/// What a command has written goes to the probe.
Status HostProgram::show(size_t command, const LaunchMemory &memory) const {
  const plan::Step &step =
      *function->function().steps()->Get(uint32_t(command));
  for (StepOperand operand : operandsOf(step)) {
    const BoundValue &value = function->value(operand.value);
    if (operand.access != Access::Write || value.slot == Slot::Constant)
      continue;
    void *base = slotAddress(memory, value.slot, value.index);
    if (base)
      QOPT_RETURN_IF_ERROR((*memory.probe)(
          step, value, static_cast<uint8_t *>(base) + value.offset));
  }
  return {};
}

Status HostProgram::describeFailure(size_t command,
                                    const Status &status) const {
  const plan::Step &step =
      *function->function().steps()->Get(uint32_t(command));
  return Status(status.code(), describe(step) + ": " + status.message());
}

} // namespace qopt::runtime
