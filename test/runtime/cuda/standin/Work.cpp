// The driver's functions of modules, streams, launches and graphs.
// NOLINTBEGIN(readability-identifier-naming): the names are the driver's.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Entry.h"

#include "runtime/emulator/Schedules.h"

#include <cstdio>
#include <cstring>

using namespace qopt;
using namespace qopt::cuda;
using namespace qopt::standin;

template <typename T, typename Handle> static T *objectOf(Handle handle) {
  return reinterpret_cast<T *>(handle);
}

/// The object behind a handle if it lives.
template <typename T, typename Handle>
static T *find(const std::set<T *> &live, Handle handle) {
  auto found = live.find(objectOf<T>(handle));
  return found == live.end() ? nullptr : *found;
}

/// Puts work where the stream is.
static Result add(State &state, api::Stream handle, Node node) {
  Stream *stream = find(state.streams, handle);
  if (!stream)
    return invalidHandle;
  (stream->capturing ? stream->captured : stream->pending)
      .push_back(std::move(node));
  return api::success;
}

static std::string numberOf(State &state, api::Stream handle) {
  std::lock_guard lock(state.mutex);
  Stream *stream = find(state.streams, handle);
  return stream ? "stream=" + std::to_string(stream->number) +
                      (stream->capturing ? " captured" : "")
                : "stream=?";
}

/// The device's word on PTX that is for other GPUs; null where it runs.
static const char *refusal(const State &state, const std::string &ptx) {
  size_t target = ptx.find(".target sm_");
  if (target == std::string::npos)
    return "no .target";
  int architecture = 0;
  char specific = 0;
  std::sscanf(ptx.c_str() + target, ".target sm_%d%c", &architecture,
              &specific);
  int device = 10 * state.settings.major + state.settings.minor;
  if (specific == 'a' ? architecture != device : architecture > device)
    return "the code is for another GPU";
  return nullptr;
}

extern "C" {

STANDIN cuModuleLoadDataEx(api::ModuleHandle *handle, const void *image,
                           unsigned optionCount, int *options, void **values) {
  auto *text = static_cast<const char *>(image);
  bool machineCode = std::memcmp(text,
                                 "\x7f"
                                 "ELF",
                                 4) == 0;
  Entry call("cuModuleLoadDataEx", machineCode ? "cubin" : "PTX",
             Needs::NoCapture);
  auto answer = [&](Result result, const std::string &why) {
    char *log = nullptr;
    size_t bytes = 0;
    for (unsigned i = 0; i < optionCount; ++i) {
      if (options[i] == api::jitErrorLogBuffer)
        log = static_cast<char *>(values[i]);
      if (options[i] == api::jitErrorLogBytes)
        bytes = reinterpret_cast<size_t>(values[i]);
    }
    if (log)
      std::snprintf(log, bytes, "%s", why.c_str());
    return result;
  };
  QOPT_ANSWER_IF(call.result);
  if (machineCode)
    return answer(api::noBinary, "the stand-in runs PTX");
  if (const char *why = refusal(call.state, text))
    return answer(api::noBinary, why);
  auto parsed = emulator::Module::parse(text, call.state.memory);
  if (!parsed.ok())
    return answer(api::invalidPtx, parsed.status().message());
  auto *module = new LoadedModule;
  module->module = std::move(*parsed);
  call.state.modules.insert(module);
  *handle = reinterpret_cast<api::ModuleHandle>(module);
  return api::success;
}

STANDIN cuModuleUnload(api::ModuleHandle handle) {
  Entry call("cuModuleUnload", "", Needs::NoCapture);
  (void)call.state.runAll();
  LoadedModule *module = find(call.state.modules, handle);
  if (!module)
    return invalidHandle;
  call.state.modules.erase(module);
  delete module;
  return call.result;
}

STANDIN cuModuleGetFunction(api::FunctionHandle *function,
                            api::ModuleHandle handle, const char *name) {
  Entry call("cuModuleGetFunction", name, Needs::Context);
  QOPT_ANSWER_IF(call.result);
  LoadedModule *module = find(call.state.modules, handle);
  if (!module)
    return invalidHandle;
  std::unique_ptr<Function> &known = module->functions[name];
  if (!known) {
    StatusOr<emulator::Kernel> kernel = module->module->kernel(name);
    if (!kernel.ok()) {
      std::fprintf(stderr, "stand-in: %s\n", kernel.status().message().c_str());
      return api::notFound;
    }
    known = std::make_unique<Function>(Function{*kernel});
  }
  *function = reinterpret_cast<api::FunctionHandle>(known.get());
  return api::success;
}

STANDIN cuFuncSetAttribute(api::FunctionHandle function, int attribute,
                           int value) {
  Entry call("cuFuncSetAttribute", std::to_string(value), Needs::Context);
  QOPT_ANSWER_IF(call.result);
  if (attribute == api::preferredSharedCarveout)
    return value >= 0 && value <= 100 ? api::success : invalidValue;
  if (attribute != api::maxDynamicShared ||
      value > call.state.settings.sharedPerBlock())
    return invalidValue;
  objectOf<Function>(function)->dynamicShared = value;
  return api::success;
}

STANDIN cuStreamCreate(api::Stream *handle, unsigned flags) {
  Entry call("cuStreamCreate", "", Needs::Context);
  QOPT_ANSWER_IF(call.result);
  if (flags != api::streamNonBlocking)
    return invalidValue;
  auto *stream = new Stream;
  stream->number = call.state.streamCount++;
  call.state.streams.insert(stream);
  *handle = reinterpret_cast<api::Stream>(stream);
  return api::success;
}

STANDIN cuStreamDestroy_v2(api::Stream handle) {
  Entry call("cuStreamDestroy_v2", "", Needs::Context);
  Stream *stream = find(call.state.streams, handle);
  if (!stream)
    return invalidHandle;
  (void)call.state.run(*stream);
  call.state.streams.erase(stream);
  delete stream;
  return call.result;
}

STANDIN cuStreamSynchronize(api::Stream handle) {
  Entry call("cuStreamSynchronize", numberOf(State::get(), handle),
             Needs::Context);
  QOPT_ANSWER_IF(call.result);
  Stream *stream = find(call.state.streams, handle);
  if (!stream)
    return invalidHandle;
  if (stream->capturing) {
    stream->invalidated = true;
    return captureUnsupported;
  }
  return call.state.run(*stream);
}

// From memory that is not pinned the driver copies before it returns.
STANDIN cuMemcpyHtoDAsync_v2(api::DevicePointer to, const void *from,
                             size_t bytes, api::Stream handle) {
  State &state = State::get();
  std::lock_guard lock(state.mutex);
  bool pinned = state.isPinned(from, bytes);
  Entry call("cuMemcpyHtoDAsync_v2",
             "bytes=" + std::to_string(bytes) + (pinned ? "" : " pageable") +
                 " " + numberOf(state, handle),
             Needs::Context);
  QOPT_ANSWER_IF(call.result);
  auto copy = [&state, to, from, bytes] {
    return state.memory.write(to, from, bytes).ok() ? api::success
                                                    : invalidValue;
  };
  QOPT_ANSWER_IF(add(state, handle, {copy}));
  Stream *stream = find(state.streams, handle);
  return pinned || stream->capturing ? api::success : state.run(*stream);
}

STANDIN cuMemcpyDtoHAsync_v2(void *to, api::DevicePointer from, size_t bytes,
                             api::Stream handle) {
  State &state = State::get();
  std::lock_guard lock(state.mutex);
  bool pinned = state.isPinned(to, bytes);
  Entry call("cuMemcpyDtoHAsync_v2",
             "bytes=" + std::to_string(bytes) + (pinned ? "" : " pageable") +
                 " " + numberOf(state, handle),
             Needs::Context);
  QOPT_ANSWER_IF(call.result);
  auto copy = [&state, to, from, bytes] {
    return state.memory.read(to, from, bytes).ok() ? api::success
                                                   : invalidValue;
  };
  QOPT_ANSWER_IF(add(state, handle, {copy}));
  Stream *stream = find(state.streams, handle);
  return pinned || stream->capturing ? api::success : state.run(*stream);
}

STANDIN cuMemsetD8Async(api::DevicePointer address, unsigned char value,
                        size_t bytes, api::Stream handle) {
  Entry call("cuMemsetD8Async", "bytes=" + std::to_string(bytes),
             Needs::Context);
  QOPT_ANSWER_IF(call.result);
  auto fill = [&state = call.state, address, value, bytes] {
    const std::vector<unsigned char> values(bytes, value);
    return state.memory.write(address, values.data(), bytes).ok()
               ? api::success
               : invalidValue;
  };
  return add(call.state, handle, {fill});
}

STANDIN cuLaunchKernelEx(const api::LaunchConfig *config,
                         api::FunctionHandle handle, void **parameters,
                         void **extra) {
  State &state = State::get();
  auto *function = objectOf<Function>(handle);
  const emulator::Kernel &kernel = function->kernel;
  bool early = false;
  for (unsigned i = 0; i < config->attributeCount; ++i)
    early |= config->attributes[i].id == api::programmaticStreamSerialization &&
             config->attributes[i].value.programmaticStreamSerializationAllowed;
  Entry call("cuLaunchKernelEx",
             kernel.name() + (early ? " early " : " ") +
                 numberOf(state, config->stream),
             Needs::Context);
  QOPT_ANSWER_IF(call.result);
  emulator::Extent grid = {config->gridX, config->gridY, config->gridZ};
  emulator::Extent block = {config->blockX, config->blockY, config->blockZ};
  if (extra || grid.count() == 0 || block.count() == 0 ||
      block.count() > 1024 ||
      config->sharedBytes > unsigned(function->dynamicShared))
    return invalidValue;
  std::vector<uint8_t> arguments(kernel.argumentBytes());
  for (size_t i = 0; i < kernel.parameters(); ++i)
    std::memcpy(arguments.data() + kernel.parameterOffset(i), parameters[i],
                kernel.parameterBytes(i));
  auto run = [&state, kernel, grid, block, shared = config->sharedBytes,
              arguments = std::move(arguments)] {
    return state.runKernel([&] {
      StatusOr<emulator::Statistics> statistics = emulator::launchSchedules(
          {kernel, grid, block, shared, arguments}, state.memory,
          state.settings.launch, state.settings.schedules);
      if (!statistics.ok())
        return statistics.status();
      const emulator::SpaceBytes &bytes = statistics->bytes["global"];
      state.traffic.push_back(
          kernel.name() + " " + std::to_string(grid.count()) + " " +
          std::to_string(bytes.read) + " " + std::to_string(bytes.written));
      return Status();
    });
  };
  return add(state, config->stream, {run, true, early});
}

STANDIN cuStreamBeginCapture_v2(api::Stream handle, int mode) {
  Entry call("cuStreamBeginCapture_v2", numberOf(State::get(), handle),
             Needs::Context);
  QOPT_ANSWER_IF(call.result);
  Stream *stream = find(call.state.streams, handle);
  if (!stream || stream->capturing || mode != api::captureThreadLocal)
    return invalidValue;
  stream->capturing = true;
  stream->invalidated = false;
  stream->captured.clear();
  capturedStream = stream;
  return api::success;
}

STANDIN cuStreamEndCapture(api::Stream handle, api::Graph *graph) {
  Entry call("cuStreamEndCapture", "", Needs::Context);
  Stream *stream = find(call.state.streams, handle);
  if (!stream || !stream->capturing)
    return invalidValue;
  stream->capturing = false;
  capturedStream = nullptr;
  QOPT_ANSWER_IF(call.result);
  if (stream->invalidated)
    return captureInvalidated;
  auto *made = new Graph{std::move(stream->captured)};
  call.state.graphs.insert(made);
  *graph = reinterpret_cast<api::Graph>(made);
  return api::success;
}

STANDIN cuGraphInstantiateWithFlags(api::GraphExec *executable,
                                    api::Graph handle, unsigned long long) {
  State &state = State::get();
  std::lock_guard lock(state.mutex);
  Graph *graph = find(state.graphs, handle);
  if (!graph)
    return invalidHandle;
  // An edge joins each node with the one before it.
  size_t programmatic = 0;
  for (size_t i = 1; i < graph->nodes.size(); ++i)
    programmatic += graph->nodes[i].early && graph->nodes[i - 1].kernel;
  Entry call("cuGraphInstantiateWithFlags",
             "nodes=" + std::to_string(graph->nodes.size()) +
                 " programmatic=" + std::to_string(programmatic),
             Needs::Context);
  QOPT_ANSWER_IF(call.result);
  auto *made = new Graph(*graph);
  state.executables.insert(made);
  *executable = reinterpret_cast<api::GraphExec>(made);
  return api::success;
}

STANDIN cuGraphDestroy(api::Graph handle) {
  Entry call("cuGraphDestroy", "", Needs::Context);
  Graph *graph = find(call.state.graphs, handle);
  if (!graph)
    return invalidHandle;
  call.state.graphs.erase(graph);
  delete graph;
  return call.result;
}

STANDIN cuGraphLaunch(api::GraphExec handle, api::Stream stream) {
  Entry call("cuGraphLaunch", numberOf(State::get(), stream), Needs::Context);
  QOPT_ANSWER_IF(call.result);
  Graph *graph = find(call.state.executables, handle);
  if (!graph)
    return invalidHandle;
  for (const Node &node : graph->nodes)
    QOPT_ANSWER_IF(add(call.state, stream, node));
  return api::success;
}

STANDIN cuGraphExecDestroy(api::GraphExec handle) {
  Entry call("cuGraphExecDestroy", "", Needs::Context);
  Graph *graph = find(call.state.executables, handle);
  if (!graph)
    return invalidHandle;
  call.state.executables.erase(graph);
  delete graph;
  return call.result;
}

STANDIN cuGetErrorName(Result result, const char **name) {
  switch (result) {
#define QOPT_NAME(value, text)                                                 \
  case value:                                                                  \
    *name = text;                                                              \
    return api::success;
    QOPT_NAME(invalidValue, "CUDA_ERROR_INVALID_VALUE")
    QOPT_NAME(api::outOfMemory, "CUDA_ERROR_OUT_OF_MEMORY")
    QOPT_NAME(noDevice, "CUDA_ERROR_NO_DEVICE")
    QOPT_NAME(api::invalidImage, "CUDA_ERROR_INVALID_IMAGE")
    QOPT_NAME(invalidContext, "CUDA_ERROR_INVALID_CONTEXT")
    QOPT_NAME(api::noBinary, "CUDA_ERROR_NO_BINARY_FOR_GPU")
    QOPT_NAME(api::invalidPtx, "CUDA_ERROR_INVALID_PTX")
    QOPT_NAME(api::unsupportedPtx, "CUDA_ERROR_UNSUPPORTED_PTX_VERSION")
    QOPT_NAME(api::notFound, "CUDA_ERROR_NOT_FOUND")
    QOPT_NAME(api::illegalAddress, "CUDA_ERROR_ILLEGAL_ADDRESS")
    QOPT_NAME(api::launchResources, "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES")
    QOPT_NAME(api::launchTimeout, "CUDA_ERROR_LAUNCH_TIMEOUT")
    QOPT_NAME(api::launchFailed, "CUDA_ERROR_LAUNCH_FAILED")
    QOPT_NAME(api::deviceUnavailable, "CUDA_ERROR_DEVICE_UNAVAILABLE")
    QOPT_NAME(api::uncorrectableMemory, "CUDA_ERROR_ECC_UNCORRECTABLE")
    QOPT_NAME(api::systemNotReady, "CUDA_ERROR_SYSTEM_NOT_READY")
    QOPT_NAME(api::unknown, "CUDA_ERROR_UNKNOWN")
#undef QOPT_NAME
  default:
    return invalidValue;
  }
}

STANDIN cuGetErrorString(Result, const char **text) {
  *text = "as the test asked";
  return api::success;
}

// NOLINTEND(readability-identifier-naming)
}
