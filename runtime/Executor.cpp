// The cache of programs by sizes, and the arena.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/Executor.h"

#include "qopt/Tensor.h"
#include "runtime/plan/StepOperands.h"

#include <algorithm>

namespace qopt::runtime {

/// A server sees few sizes again and again (one token for each of n sequences,
/// a full chunk); more only cost memory.
static constexpr size_t programLimit = 24;

Executor::Executor(std::shared_ptr<const LoadedModel> model,
                   std::shared_ptr<Device> device, uint32_t function)
    : model(std::move(model)), target(std::move(device)),
      planFunction(this->model->plan().functions()->Get(function)) {}

Status Executor::loadCode() {
  if (const auto *steps = planFunction->steps())
    for (const plan::Step *step : *steps)
      if (const plan::Generated *generated = step->operation_as_Generated())
        if (auto module = model->module(*target, generated->segment());
            !module.ok())
          return module.status();
  return {};
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
  StatusOr<std::shared_ptr<const BoundFunction>> bound = BoundFunction::bind(
      model->file(), *planFunction, inputs, target->quantizedRowBytes());
  if (!bound.ok())
    return bound.status();
  StatusOr<std::unique_ptr<Program>> program =
      target->prepare(*bound, [this](uint32_t segment) {
        return model->module(*target, segment);
      });
  if (!program.ok())
    return program.status();
  return Entry{std::move(*bound), std::move(*program)};
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
    if (entries.size() > programLimit)
      entries.pop_back();
  }
  return entries.front().bound.get();
}

Status Executor::run(LaunchMemory memory) {
  Entry &entry = entries.front();
  auto needed = size_t(entry.bound->arenaBytes());
  if (!arena || arena->size() < needed) {
    arena.reset(); // before the larger one, so that both never live
    StatusOr<std::unique_ptr<DeviceMemory>> larger = target->allocate(needed);
    if (!larger.ok())
      return larger.status();
    arena = std::move(*larger);
  }
  memory.arena = arena->data();
  QOPT_RETURN_IF_ERROR(entry.program->launch(memory));
  return target->synchronise();
}

} // namespace qopt::runtime
