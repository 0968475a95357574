// Lays out arguments, gathers the step block, launches, records.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/cuda/CudaProgram.h"

#include "runtime/cuda/SamplingRecord.h"
#include "runtime/plan/IndexCheck.h"
#include "runtime/plan/StepOperands.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace qopt::runtime {

static Status failStep(const plan::Step &step, const std::string &what,
                       StatusCode code = StatusCode::InvalidArgument) {
  return Status(code, describe(step) + ": " + what);
}

StatusOr<std::unique_ptr<Program>>
CudaProgram::create(std::shared_ptr<const BoundFunction> function,
                    const Device::ModuleLookup &modules,
                    std::shared_ptr<cuda::Driver> driver, Constants constants,
                    LaunchMode mode) {
  auto program = std::unique_ptr<CudaProgram>(new CudaProgram(
      std::move(function), std::move(driver), std::move(constants), mode));
  if (const auto *steps = program->function->function().steps())
    for (const plan::Step *step : *steps)
      QOPT_RETURN_IF_ERROR(program->addLaunch(*step, modules));
  return std::unique_ptr<Program>(std::move(program));
}

std::vector<const plan::Variant *> variantsFor(const plan::Launch &launch,
                                               const cuda::DeviceFacts &facts) {
  auto device = uint32_t(10 * facts.major + facts.minor);
  std::vector<const plan::Variant *> chosen;
  for (const plan::Variant *variant : *launch.variants()) {
    bool runs = variant->specific() ? variant->architecture() == device
                                    : variant->architecture() <= device;
    if (!runs)
      continue;
    if (!chosen.empty() &&
        variant->architecture() > chosen.front()->architecture())
      chosen.clear();
    if (chosen.empty() ||
        variant->architecture() == chosen.front()->architecture())
      chosen.push_back(variant);
  }
  return chosen;
}

/// The first that is large enough; null where there is none.
static const plan::Variant *findVariant(const plan::Launch &launch,
                                        int64_t size,
                                        const cuda::DeviceFacts &facts) {
  for (const plan::Variant *variant : variantsFor(launch, facts))
    if (variant->most() == 0 || size <= int64_t(variant->most()))
      return variant;
  return nullptr;
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
                        driver->facts().capability(),
                    StatusCode::Unsupported);
  call.variant = chosen;
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

static int64_t weightBytesOf(const BoundFunction &function,
                             const plan::Step &step) {
  int64_t bytes = 0;
  for (const StepOperand &operand : operandsOf(step))
    if (const BoundValue &value = function.value(operand.value);
        value.slot == Slot::Constant)
      bytes += value.bytes;
  return bytes;
}

/// Whether a launch gains by starting before `before`, the one ahead of it, has
/// ended. Its blocks then take the places that are free: where those are not
/// the same on every SM, some SMs get two blocks and others none, which later
/// launches inherit. Blocks that read much take longer for it than the gap
/// between two launches is: on an H200 a layer of an 8B decoder, whose
/// attention has 16 blocks, takes 51 us in place of 39 (bench/RESULTS.md).
static bool gainsByStartingEarly(const cuda::LaunchShape &shape,
                                 int64_t weightBytes,
                                 const cuda::LaunchShape &before,
                                 int64_t multiprocessors) {
  constexpr int64_t littleBytes = 32 << 10; // of a block
  int64_t blocks = shape.blocks(), placed = before.blocks();
  return placed % multiprocessors == 0 || placed + blocks <= multiprocessors ||
         weightBytes <= littleBytes * blocks;
}

Status CudaProgram::addLaunch(const plan::Step &step,
                              const Device::ModuleLookup &modules) {
  const plan::Launch *launch = step.operation_as_Launch();
  if (!launch)
    return failStep(step, "has no kernel on a GPU; compile with --target cuda",
                    StatusCode::Unsupported);
  if (!function->runs(step))
    return {};
  Call call;
  call.step = &step;
  QOPT_RETURN_IF_ERROR(chooseVariant(step, call, modules));
  if (launch->check())
    checks.push_back(&step);
  QOPT_RETURN_IF_ERROR(addParameters(step, call));
  call.weightBytes = weightBytesOf(*function, step);
  // A launch without blocks is none: its tensors are empty.
  if (call.shape.blocks() > 0)
    calls.push_back(std::move(call));
  return {};
}

Status CudaProgram::addParameters(const plan::Step &step, Call &call) {
  const plan::Launch &launch = *step.operation_as_Launch();
  if (!launch.arguments())
    return {};
  for (const plan::Argument *argument : *launch.arguments()) {
    Parameter parameter = {argument->kind(), argument->index()};
    if (argument->kind() == plan::ArgumentKind::Symbol) {
      int64_t value = function->symbol(argument->index());
      if (value < INT32_MIN || value > INT32_MAX)
        return failStep(step, "a size of " + std::to_string(value) +
                                  " does not fit 32 bits");
      parameter.value = uint32_t(value);
    } else if (argument->kind() == plan::ArgumentKind::Size) {
      parameter.value = uint64_t(function->symbol(argument->index()));
    } else if (argument->kind() == plan::ArgumentKind::IndexReport) {
      parameter.index = uint32_t(checks.size() - 1);
    }
    call.parameters.push_back(parameter);
  }
  return {};
}

size_t CudaProgram::gather(const LaunchMemory &memory, plan::StepUse use) {
  auto *block = static_cast<uint8_t *>(memory.staging);
  for (uint32_t i = 0; i < layout.inputs.size(); ++i)
    if (int64_t bytes = function->input(i).bytes)
      std::memcpy(block + layout.inputs[i], memory.inputs[i], size_t(bytes));
  if (!memory.state)
    return layout.records;
  gatherBatch(block, *memory.state);
  return use == plan::StepUse::Sampling ? gatherChoices(block, *memory.state)
                                        : layout.records;
}

void CudaProgram::gatherBatch(uint8_t *block, const DecoderState &state) {
  const SymbolInputs &sizes = function->inputs();
  auto put = [&](size_t offset, const int32_t *from, int64_t count) {
    if (count > 0)
      std::memcpy(block + offset, from, size_t(count) * 4);
  };
  put(layout.tokenStarts, state.tokenStarts, sizes.sequences + 1);
  put(layout.contextStarts, state.contextStarts, sizes.sequences);
  put(layout.positions, state.positions, sizes.tokens);
  put(layout.logitRows, state.logitRows, sizes.logitRows);
  int64_t stride = layout.pageTableStride;
  int64_t used = std::min(stride, state.pageTableStride);
  for (int64_t s = 0; s < sizes.sequences; ++s) {
    size_t row = layout.pageTable + size_t(s * stride) * 4;
    put(row, state.pageTable + s * state.pageTableStride, used);
    if (layout.hasSlots)
      put(row + size_t(stride - 1) * 4, state.slots + s, 1);
  }
}

size_t CudaProgram::gatherChoices(uint8_t *block, const DecoderState &state) {
  int32_t penalised = 0;
  for (size_t row = 0; row < state.choices.size(); ++row) {
    const TokenChoice &choice = state.choices[row];
    const SamplingOptions &options = choice.options;
    cuda::SamplingRecord record = {
        options.temperature, options.topP,
        options.minP,        options.repetitionPenalty,
        options.topK,        options.repetitionPenalty == 1 ? -1 : penalised,
        options.seed,        choice.index};
    std::memcpy(block + layout.records + row * sizeof(record), &record,
                sizeof(record));
    if (record.seenRow >= 0)
      std::memcpy(block + layout.seen + size_t(penalised++) * layout.seenBytes,
                  choice.seen.data(), layout.seenBytes);
  }
  return layout.seen + size_t(penalised) * layout.seenBytes;
}

uint64_t CudaProgram::addressOf(const Parameter &parameter,
                                const LaunchMemory &memory) const {
  auto base = reinterpret_cast<uint64_t>(memory.arena);
  uint64_t block = base + layout.block;
  switch (parameter.kind) {
  case plan::ArgumentKind::Symbol:
  case plan::ArgumentKind::Size:
    return parameter.value;
  case plan::ArgumentKind::IndexReport:
    return base + layout.results + layout.reports +
           parameter.index * StepLayout::reportBytes;
  case plan::ArgumentKind::Counters:
    return base + parameter.index;
  case plan::ArgumentKind::TokenStarts:
    return block + layout.tokenStarts;
  case plan::ArgumentKind::ContextStarts:
    return block + layout.contextStarts;
  case plan::ArgumentKind::PageTable:
    return block + layout.pageTable;
  case plan::ArgumentKind::Positions:
    return block + layout.positions;
  case plan::ArgumentKind::LogitRows:
    return block + layout.logitRows;
  case plan::ArgumentKind::SamplingRecords:
    return block + layout.records;
  case plan::ArgumentKind::SeenTokens:
    return block + layout.seen;
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
    return base + layout.arena + uint64_t(value.offset);
  case Slot::Input:
    return block + layout.inputs[value.index] + uint64_t(value.offset);
  case Slot::Output:
    return base + layout.results + layout.outputs[value.index] +
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

std::vector<CudaProgram::Call *> CudaProgram::callsOf(plan::StepUse use) {
  std::vector<Call *> found;
  for (Call &call : calls)
    if (call.step->use() == plan::StepUse::Always || call.step->use() == use)
      found.push_back(&call);
  return found;
}

static std::string describe(const plan::Step &step,
                            const plan::Variant &variant) {
  return describe(step) + ", kernel '" + variant.symbol()->str() + "'";
}

Status CudaProgram::launchAll(cuda::DriverStream &stream, plan::StepUse use) {
  std::vector<void *> arguments;
  const cuda::LaunchShape *before = nullptr;
  for (Call *call : callsOf(use)) {
    arguments.clear();
    for (Parameter &parameter : call->parameters)
      arguments.push_back(&parameter.value);
    cuda::LaunchShape shape = call->shape;
    shape.early &=
        !before || gainsByStartingEarly(shape, call->weightBytes, *before,
                                        driver->facts().multiprocessors);
    before = &call->shape;
    Status status = stream.launch(call->function, shape, arguments);
    if (status.ok() && mode == LaunchMode::Synchronous)
      status = stream.synchronise();
    // A launch also tells what those before it have done.
    if (!status.ok() && inFlight && driver->lost())
      return status;
    if (!status.ok())
      return Status(status.code(), describe(*call->step, *call->variant) +
                                       ": " + status.message());
    inFlight += mode == LaunchMode::Recorded;
  }
  return {};
}

Status CudaProgram::nameInFlight(const Status &failure, plan::StepUse use) {
  std::vector<Call *> mine = callsOf(use);
  auto nameOf = [&](size_t i) {
    return describe(*mine[i]->step, *mine[i]->variant);
  };
  std::string range = inFlight == 1 ? " was " + nameOf(0)
                                    : " were " + std::to_string(inFlight) +
                                          " launches, from the " + nameOf(0) +
                                          ", to the " + nameOf(inFlight - 1);
  return Status(failure.code(), failure.message() + "; in flight" + range +
                                    ": the device \"cuda,synchronous\" tells "
                                    "which kernel failed");
}

Status CudaProgram::readReports(const uint8_t *reports) const {
  for (size_t i = 0; i < checks.size(); ++i) {
    const uint8_t *report = reports + i * StepLayout::reportBytes;
    int64_t index;
    int32_t place;
    std::memcpy(&index, report, 8);
    std::memcpy(&place, report + 8, 4);
    if (place < 0)
      continue;
    const plan::IndexCheck &check = *checks[i]->operation_as_Launch()->check();
    uint32_t limit =
        check.limits()->Get(uint32_t(place) % check.limits()->size());
    Status outside =
        outsideOfAxis(index, place, function->symbol(limit), check.from_zero());
    return failStep(*checks[i], outside.message(), outside.code());
  }
  return {};
}

// The first call launches one by one, the second records: a size that comes
// once is not worth a graph.
Status CudaProgram::launchRecorded(cuda::DriverStream &stream,
                                   plan::StepUse use) {
  if (mode == LaunchMode::Synchronous)
    return launchAll(stream, use);
  Recorded &mine = recorded[size_t(use)];
  if (!mine.graph && mine.launched) {
    QOPT_RETURN_IF_ERROR(stream.beginRecording());
    Status launches = launchAll(stream, use);
    mine.launches = std::exchange(inFlight, 0); // recorded, not launched
    StatusOr<std::unique_ptr<cuda::DriverGraph>> made = stream.endRecording();
    QOPT_RETURN_IF_ERROR(launches);
    if (!made.ok())
      return made.status();
    mine.graph = std::move(*made);
  }
  mine.launched = true;
  if (!mine.graph)
    return launchAll(stream, use);
  QOPT_RETURN_IF_ERROR(stream.launch(*mine.graph));
  inFlight = mine.launches;
  return {};
}

Status CudaProgram::copyOutputs(cuda::DriverStream &stream,
                                const LaunchMemory &memory) {
  auto *staged = static_cast<uint8_t *>(memory.staging) + layout.blockBytes;
  uint64_t results = reinterpret_cast<uint64_t>(memory.arena) + layout.results;
  auto bytesOf = [&](uint32_t i) {
    return memory.outputs[i] ? size_t(function->output(i).bytes) : 0;
  };
  for (uint32_t i = 0; i < layout.outputs.size(); ++i)
    if (size_t bytes = bytesOf(i))
      QOPT_RETURN_IF_ERROR(stream.copyOut(staged + layout.outputs[i],
                                          results + layout.outputs[i], bytes));
  if (!checks.empty())
    QOPT_RETURN_IF_ERROR(
        stream.copyOut(staged + layout.reports, results + layout.reports,
                       checks.size() * StepLayout::reportBytes));
  QOPT_RETURN_IF_ERROR(stream.synchronise());
  QOPT_RETURN_IF_ERROR(readReports(staged + layout.reports));
  for (uint32_t i = 0; i < layout.outputs.size(); ++i)
    if (size_t bytes = bytesOf(i))
      std::memcpy(memory.outputs[i], staged + layout.outputs[i], bytes);
  return {};
}

/// The steps besides those that always run.
static plan::StepUse useOf(const LaunchMemory &memory) {
  if (!memory.state || memory.state->choices.empty() ||
      memory.outputs.size() < 2 || !memory.outputs[1])
    return plan::StepUse::Always;
  auto greedy = [](const TokenChoice &choice) { return choice.isGreedy(); };
  return std::ranges::all_of(memory.state->choices, greedy)
             ? plan::StepUse::Greedy
             : plan::StepUse::Sampling;
}

Status CudaProgram::launch(const LaunchMemory &memory) {
  plan::StepUse use = useOf(memory);
  bool lostBefore = driver->lost();
  inFlight = 0;
  Status status = runStep(memory, use);
  bool cameLate = !status.ok() && inFlight && driver->lost() && !lostBefore;
  return cameLate ? nameInFlight(status, use) : status;
}

Status CudaProgram::runStep(const LaunchMemory &memory, plan::StepUse use) {
  cuda::DriverStream &stream = static_cast<CudaQueue &>(*memory.queue).stream();
  if (size_t bytes = gather(memory, use))
    QOPT_RETURN_IF_ERROR(
        stream.copyIn(reinterpret_cast<uint64_t>(memory.arena) + layout.block,
                      memory.staging, bytes));
  if (fillArguments(memory))
    recorded = {};
  QOPT_RETURN_IF_ERROR(launchRecorded(stream, use));
  return copyOutputs(stream, memory);
}

} // namespace qopt::runtime
