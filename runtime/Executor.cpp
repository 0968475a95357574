// The cache of programs by sizes, and working memory.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/Executor.h"

#include "qopt/Tensor.h"
#include "runtime/plan/StepOperands.h"

#include <algorithm>

namespace qopt::runtime {

/// A server sees few sizes again and again (one token for each of n sequences,
/// a full chunk); more only cost memory. On a GPU a program is a graph, which
/// costs more to make than to keep.
static constexpr size_t programLimit = 24, graphLimit = 128;

Executor::Executor(std::shared_ptr<const LoadedModel> model,
                   std::shared_ptr<Device> device, uint32_t function)
    : model(std::move(model)), target(std::move(device)),
      planFunction(this->model->plan().functions()->Get(function)) {}

Status Executor::loadCode() {
  auto loaded = target->loadCode(*planFunction, [this](uint32_t segment) {
    return model->module(*target, segment);
  });
  if (!loaded.ok())
    return loaded.status();
  code = std::move(*loaded);
  return {};
}

Status Executor::loadConstants() {
  auto made = target->makeQueue();
  if (!made.ok())
    return made.status();
  queue = std::move(*made);
  auto loaded = target->loadConstants(*model->file(), *planFunction);
  if (!loaded.ok())
    return loaded.status();
  constants = std::move(*loaded);
  return {};
}

StatusOr<std::shared_ptr<const BoundFunction>>
Executor::sizesOf(const SymbolInputs &inputs) const {
  return BoundFunction::bind(model->file(), *planFunction, inputs,
                             target->quantizedRowBytes());
}

StatusOr<WorkingMemory>
Executor::workingMemory(std::span<const SymbolInputs> sizes) const {
  WorkingMemory most;
  for (const SymbolInputs &inputs : sizes) {
    auto bound = sizesOf(inputs);
    if (!bound.ok())
      return bound.status();
    WorkingMemory memory = target->workingMemory(**bound);
    most.device = std::max(most.device, memory.device);
    most.host = std::max(most.host, memory.host);
  }
  return most;
}

Status Executor::reserve(const WorkingMemory &memory) {
  needed.device = std::max(needed.device, memory.device);
  needed.host = std::max(needed.host, memory.host);
  return growMemory();
}

Status Executor::growMemory() {
  if (!arena || arena->size() < needed.device) {
    arena.reset(); // before the larger one, so that both never live
    StatusOr<std::unique_ptr<DeviceMemory>> larger =
        target->allocate(needed.device);
    if (!larger.ok())
      return larger.status();
    arena = std::move(*larger);
  }
  if (!staging || staging->size() < needed.host) {
    staging.reset();
    StatusOr<std::unique_ptr<DeviceMemory>> larger =
        target->allocateHost(needed.host);
    if (!larger.ok())
      return larger.status();
    staging = std::move(*larger);
  }
  return {};
}

void Executor::startAnew() {
  (void)queue->synchronise().ok(); // what failed was reported
  entries.clear();
  arena.reset();
  staging.reset();
}

/// A failure whose cause may be an input without elements names it.
static Status nameEmptyInput(const Status &status,
                             const plan::Function &function,
                             const SymbolInputs &inputs) {
  for (uint32_t i = 0; i < inputs.inputShapes.size(); ++i) {
    const std::vector<int64_t> &shape = inputs.inputShapes[i];
    if (std::find(shape.begin(), shape.end(), 0) == shape.end())
      continue;
    const flatbuffers::String *name =
        function.values()->Get(function.inputs()->Get(i))->name();
    return Status(status.code(), "the model cannot run with input \"" +
                                     (name ? name->str() : std::string()) +
                                     "\" of shape " + spell(shape) +
                                     ", which is empty: " + status.message());
  }
  return status;
}

StatusOr<Executor::Entry> Executor::prepare(const SymbolInputs &inputs) {
  StatusOr<Entry> entry = prepareSizes(inputs);
  if (!entry.ok())
    return nameEmptyInput(entry.status(), *planFunction, inputs);
  return entry;
}

StatusOr<Executor::Entry> Executor::prepareSizes(const SymbolInputs &inputs) {
  StatusOr<std::shared_ptr<const BoundFunction>> bound = sizesOf(inputs);
  if (!bound.ok())
    return bound.status();
  StatusOr<std::unique_ptr<Program>> program =
      target->prepare(*bound, [this](uint32_t segment) {
        return model->module(*target, segment);
      });
  if (!program.ok())
    return blameOfUnfit(*planFunction, program.status());
  WorkingMemory memory = target->workingMemory(**bound);
  return Entry{std::move(*bound), std::move(*program), memory};
}

StatusOr<const BoundFunction *> Executor::bind(const SymbolInputs &inputs) {
  auto found =
      std::find_if(entries.begin(), entries.end(), [&](const Entry &entry) {
        return entry.bound->inputs() == inputs;
      });
  if (found != entries.end()) {
    entries.splice(entries.begin(), entries, found);
  } else {
    StatusOr<Entry> entry = prepare(inputs);
    if (!entry.ok())
      return entry.status();
    entries.push_front(std::move(*entry));
    if (entries.size() > (target->hasOwnMemory() ? graphLimit : programLimit))
      entries.pop_back();
  }
  return entries.front().bound.get();
}

Status Executor::run(LaunchMemory memory) {
  Entry &entry = entries.front();
  QOPT_RETURN_IF_ERROR(reserve(entry.memory));
  memory.queue = queue.get();
  memory.arena = arena->data();
  memory.staging = staging->data();
  Status status = entry.program->launch(memory);
  if (!status.ok() && target->hasOwnMemory())
    startAnew();
  return status;
}

} // namespace qopt::runtime
