// Lays out arguments and the step block, launches, records.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/cuda/CudaProgram.h"

#include "runtime/plan/StepOperands.h"

#include <algorithm>
#include <cstring>

namespace qopt::runtime {

static constexpr size_t partAlignment = 256;

static size_t aligned(size_t bytes) {
  return (bytes + partAlignment - 1) & ~(partAlignment - 1);
}

static Status failStep(const plan::Step &step, const std::string &what,
                       StatusCode code = StatusCode::InvalidArgument) {
  return Status(code, describe(step) + ": " + what);
}

StatusOr<std::unique_ptr<Program>>
CudaProgram::create(std::shared_ptr<const BoundFunction> function,
                    const Device::ModuleLookup &modules,
                    std::shared_ptr<cuda::Driver> driver, Constants constants) {
  auto program = std::unique_ptr<CudaProgram>(new CudaProgram(
      std::move(function), std::move(driver), std::move(constants)));
  if (const auto *steps = program->function->function().steps())
    for (const plan::Step *step : *steps)
      QOPT_RETURN_IF_ERROR(program->addLaunch(*step, modules));
  QOPT_RETURN_IF_ERROR(program->allocateBlocks());
  return std::unique_ptr<Program>(std::move(program));
}

/// The variant for this device and size: the closest architecture, then the
/// first that is large enough. Null where there is none.
static const plan::Variant *findVariant(const plan::Launch &launch,
                                        int64_t size,
                                        const cuda::DeviceFacts &facts) {
  auto device = uint32_t(10 * facts.major + facts.minor);
  const plan::Variant *chosen = nullptr;
  for (const plan::Variant *variant : *launch.variants()) {
    bool runs = variant->specific() ? variant->architecture() == device
                                    : variant->architecture() <= device;
    bool fits = variant->most() == 0 || size <= int64_t(variant->most());
    if (runs && fits &&
        (!chosen || variant->architecture() > chosen->architecture()))
      chosen = variant;
  }
  return chosen;
}

Status CudaProgram::chooseVariant(const plan::Step &step, Call &call,
                                  const Device::ModuleLookup &modules) {
  const plan::Launch &launch = *step.operation_as_Launch();
  int64_t size = function->symbol(launch.size());
  const plan::Variant *chosen = findVariant(launch, size, driver->facts());
  if (!chosen)
    return failStep(step,
                    "it has no kernel for a size of " + std::to_string(size) +
                        " on a GPU of compute capability " +
                        std::to_string(driver->facts().major) + "." +
                        std::to_string(driver->facts().minor),
                    StatusCode::Unsupported);
  StatusOr<std::shared_ptr<Module>> module = modules(chosen->segment());
  if (!module.ok())
    return module.status();
  call.module = *module;
  StatusOr<cuda::Function> found =
      static_cast<CudaModule &>(**module).function(chosen->symbol()->str());
  if (!found.ok())
    return failStep(step, found.status().message(), found.status().code());
  call.function = *found;
  for (uint32_t axis = 0; axis < chosen->grid()->size(); ++axis) {
    int64_t blocks = function->symbol(chosen->grid()->Get(axis));
    if (blocks < 0 || blocks > (axis == 0 ? INT32_MAX : 65535))
      return failStep(step, "a grid of " + std::to_string(blocks) +
                                " blocks cannot be launched");
    call.shape.grid[axis] = uint32_t(blocks);
  }
  call.shape.block = chosen->block();
  call.shape.sharedBytes = chosen->shared_bytes();
  call.shape.early = chosen->early();
  return driver->allowShared(call.function, call.shape.sharedBytes);
}

Status CudaProgram::addLaunch(const plan::Step &step,
                              const Device::ModuleLookup &modules) {
  const plan::Launch *launch = step.operation_as_Launch();
  if (!launch)
    return failStep(step, "has no kernel on a GPU; compile with --target cuda",
                    StatusCode::Unsupported);
  Call call;
  QOPT_RETURN_IF_ERROR(chooseVariant(step, call, modules));
  if (launch->arguments())
    for (const plan::Argument *argument : *launch->arguments()) {
      Parameter parameter = {argument->kind(), argument->index()};
      if (argument->kind() == plan::ArgumentKind::Symbol) {
        int64_t value = function->symbol(argument->index());
        if (value < INT32_MIN || value > INT32_MAX)
          return failStep(step, "a size of " + std::to_string(value) +
                                    " does not fit 32 bits");
        parameter.value = uint32_t(value);
      }
      call.parameters.push_back(parameter);
    }
  // A launch without blocks is none: its tensors are empty.
  const uint32_t *grid = call.shape.grid;
  if (grid[0] > 0 && grid[1] > 0 && grid[2] > 0)
    calls.push_back(std::move(call));
  return {};
}

int64_t CudaProgram::pageTableStride() const {
  const plan::Decoder &decoder = *function->file().plan().decoder();
  return (int64_t(decoder.context()) + decoder.page() - 1) / decoder.page();
}

Status CudaProgram::allocateBlocks() {
  auto place = [](size_t &total, size_t bytes) {
    size_t begin = total;
    total += aligned(bytes);
    return begin;
  };
  const plan::Function &f = function->function();
  const SymbolInputs &sizes = function->inputs();
  for (uint32_t i = 0; f.inputs() && i < f.inputs()->size(); ++i)
    layout.inputs.push_back(
        place(layout.inputBytes, size_t(function->input(i).bytes)));
  for (uint32_t i = 0; f.outputs() && i < f.outputs()->size(); ++i)
    layout.outputs.push_back(
        place(layout.outputBytes, size_t(function->output(i).bytes)));
  if (f.kind() == plan::FunctionKind::Decoder) {
    auto sequences = size_t(sizes.sequences);
    layout.tokenStarts = place(layout.inputBytes, (sequences + 1) * 4);
    layout.contextStarts = place(layout.inputBytes, sequences * 4);
    layout.pageTable =
        place(layout.inputBytes, sequences * size_t(pageTableStride()) * 4);
    layout.positions = place(layout.inputBytes, size_t(sizes.tokens) * 4);
    layout.logitRows = place(layout.inputBytes, size_t(sizes.logitRows) * 4);
  }
  size_t counterBytes = 0;
  if (f.steps())
    for (const plan::Step *step : *f.steps())
      counterBytes = std::max<size_t>(
          counterBytes, step->operation_as_Launch()->counter_bytes());
  using Place = CudaMemory::Place;
  struct Part {
    std::unique_ptr<CudaMemory> &memory;
    size_t bytes;
    Place place;
  };
  for (const Part &part : {Part{staging, layout.inputBytes, Place::Host},
                           Part{stepBlock, layout.inputBytes, Place::Device},
                           Part{stagedResults, layout.outputBytes, Place::Host},
                           Part{results, layout.outputBytes, Place::Device},
                           Part{counters, counterBytes, Place::Device}}) {
    auto memory = CudaMemory::allocate(driver, part.bytes, part.place);
    if (!memory.ok())
      return memory.status();
    part.memory = std::move(*memory);
  }
  return {};
}

void CudaProgram::gatherInputs(const LaunchMemory &memory) {
  for (uint32_t i = 0; i < layout.inputs.size(); ++i)
    if (int64_t bytes = function->input(i).bytes)
      std::memcpy(staging->data() + layout.inputs[i], memory.inputs[i],
                  size_t(bytes));
  if (memory.state)
    gatherBatch(*memory.state);
}

void CudaProgram::gatherBatch(const DecoderState &state) {
  const SymbolInputs &sizes = function->inputs();
  auto put = [&](size_t offset, const int32_t *from, int64_t count) {
    if (count > 0)
      std::memcpy(staging->data() + offset, from, size_t(count) * 4);
  };
  put(layout.tokenStarts, state.tokenStarts, sizes.sequences + 1);
  put(layout.contextStarts, state.contextStarts, sizes.sequences);
  put(layout.positions, state.positions, sizes.tokens);
  put(layout.logitRows, state.logitRows, sizes.logitRows);
  int64_t stride = pageTableStride();
  int64_t used = std::min(stride, state.pageTableStride);
  for (int64_t s = 0; s < sizes.sequences; ++s)
    put(layout.pageTable + size_t(s * stride) * 4,
        state.pageTable + s * state.pageTableStride, used);
}

uint64_t CudaProgram::addressOf(const Parameter &parameter,
                                const LaunchMemory &memory) const {
  auto block = [&](size_t offset) {
    return stepBlock->deviceAddress() + offset;
  };
  switch (parameter.kind) {
  case plan::ArgumentKind::Symbol:
    return parameter.value;
  case plan::ArgumentKind::Counters:
    return counters->deviceAddress() + parameter.index;
  case plan::ArgumentKind::TokenStarts:
    return block(layout.tokenStarts);
  case plan::ArgumentKind::ContextStarts:
    return block(layout.contextStarts);
  case plan::ArgumentKind::PageTable:
    return block(layout.pageTable);
  case plan::ArgumentKind::Positions:
    return block(layout.positions);
  case plan::ArgumentKind::LogitRows:
    return block(layout.logitRows);
  case plan::ArgumentKind::CachePages:
    return reinterpret_cast<uint64_t>(memory.state->layers[parameter.index]);
  case plan::ArgumentKind::Value:
    break;
  }
  const BoundValue &value = function->value(parameter.index);
  switch (value.slot) {
  case Slot::Constant: {
    const uint8_t *segment = function->file().segment(value.index).data();
    return constants.at(value.index)->deviceAddress() +
           uint64_t(value.address - segment);
  }
  case Slot::Arena:
    return reinterpret_cast<uint64_t>(memory.arena) + uint64_t(value.offset);
  case Slot::Input:
    return block(layout.inputs[value.index]) + uint64_t(value.offset);
  case Slot::Output:
    return results->deviceAddress() + layout.outputs[value.index] +
           uint64_t(value.offset);
  }
  return 0;
}

bool CudaProgram::fillArguments(const LaunchMemory &memory) {
  bool changed = false;
  for (Call &call : calls)
    for (Parameter &parameter : call.parameters) {
      uint64_t value = addressOf(parameter, memory);
      changed |= value != parameter.value;
      parameter.value = value;
    }
  return changed;
}

Status CudaProgram::launchAll() {
  std::vector<void *> arguments;
  for (Call &call : calls) {
    arguments.clear();
    for (Parameter &parameter : call.parameters)
      arguments.push_back(&parameter.value);
    QOPT_RETURN_IF_ERROR(driver->launch(call.function, call.shape, arguments));
  }
  return {};
}

Status CudaProgram::copyOutputs(const LaunchMemory &memory) {
  if (layout.outputBytes == 0)
    return {};
  QOPT_RETURN_IF_ERROR(driver->copyOut(
      stagedResults->data(), results->deviceAddress(), layout.outputBytes));
  QOPT_RETURN_IF_ERROR(driver->synchronise());
  for (uint32_t i = 0; i < layout.outputs.size(); ++i)
    if (int64_t bytes = function->output(i).bytes)
      std::memcpy(memory.outputs[i], stagedResults->data() + layout.outputs[i],
                  size_t(bytes));
  return {};
}

// The first call launches one by one, the second records: a size that comes
// once is not worth a graph.
Status CudaProgram::launch(const LaunchMemory &memory) {
  gatherInputs(memory);
  if (layout.inputBytes > 0)
    QOPT_RETURN_IF_ERROR(driver->copyIn(stepBlock->deviceAddress(),
                                        staging->data(), layout.inputBytes));
  bool changed = fillArguments(memory);
  if (changed)
    graph.reset();
  if (graph) {
    QOPT_RETURN_IF_ERROR(graph->launch());
  } else if (launched && !changed) {
    QOPT_RETURN_IF_ERROR(driver->beginRecording());
    Status recorded = launchAll();
    StatusOr<std::unique_ptr<cuda::DriverGraph>> made = driver->endRecording();
    QOPT_RETURN_IF_ERROR(recorded);
    if (!made.ok())
      return made.status();
    graph = std::move(*made);
    QOPT_RETURN_IF_ERROR(graph->launch());
  } else {
    QOPT_RETURN_IF_ERROR(launchAll());
  }
  launched = true;
  return copyOutputs(memory);
}

} // namespace qopt::runtime
