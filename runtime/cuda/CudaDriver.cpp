// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/cuda/CudaDriver.h"

#include "runtime/cuda/CudaLibrary.h"

#include <atomic>
#include <vector>

namespace qopt::cuda {
namespace {

/// The primary context of a GPU, for as long as anything of it is used.
struct Context {
  explicit Context(std::shared_ptr<const CudaLibrary> library)
      : library(std::move(library)) {}
  ~Context() {
    if (handle)
      library->functions.releaseContext(device);
  }
  Status check(api::Result result, const char *call) const {
    if (losesContext(result))
      lost = true;
    return library->check(result, call);
  }
  /// Before any call: the thread may be another than the last.
  Status use() const {
    return check(library->functions.setContext(handle), "cuCtxSetCurrent");
  }
  const api::Functions &calls() const { return library->functions; }

  std::shared_ptr<const CudaLibrary> library;
  api::Device device = 0;
  api::Context handle = nullptr;
  mutable std::atomic<bool> lost = false;
};

class CudaModuleHandle : public DriverModule {
public:
  CudaModuleHandle(std::shared_ptr<const Context> context,
                   api::ModuleHandle module)
      : context(std::move(context)), module(module) {}
  ~CudaModuleHandle() override {
    if (context->use().ok())
      context->calls().unloadModule(module);
  }

  StatusOr<Function> function(const std::string &name) override {
    QOPT_RETURN_IF_ERROR(context->use());
    api::FunctionHandle handle = nullptr;
    if (Status found = context->check(
            context->calls().getFunction(&handle, module, name.c_str()),
            "cuModuleGetFunction");
        !found.ok())
      return Status(found.code(), "kernel '" + name + "': " + found.message());
    return Function{handle};
  }

private:
  std::shared_ptr<const Context> context;
  api::ModuleHandle module;
};

class CudaGraph : public DriverGraph {
public:
  CudaGraph(std::shared_ptr<const Context> context, api::GraphExec handle)
      : handle(handle), context(std::move(context)) {}
  ~CudaGraph() override {
    if (context->use().ok())
      context->calls().destroyGraphExec(handle);
  }
  const api::GraphExec handle;

private:
  std::shared_ptr<const Context> context;
};

class CudaStream : public DriverStream {
public:
  CudaStream(std::shared_ptr<const Context> context, api::Stream stream)
      : context(std::move(context)), stream(stream) {}
  ~CudaStream() override {
    if (context->use().ok())
      context->calls().destroyStream(stream);
  }

  Status copyIn(Address to, const void *from, size_t bytes) override {
    QOPT_RETURN_IF_ERROR(context->use());
    return context->check(context->calls().copyIn(to, from, bytes, stream),
                          "cuMemcpyHtoDAsync");
  }
  Status copyOut(void *to, Address from, size_t bytes) override {
    QOPT_RETURN_IF_ERROR(context->use());
    return context->check(context->calls().copyOut(to, from, bytes, stream),
                          "cuMemcpyDtoHAsync");
  }
  Status clear(Address address, size_t bytes) override {
    QOPT_RETURN_IF_ERROR(context->use());
    return context->check(context->calls().fill(address, 0, bytes, stream),
                          "cuMemsetD8Async");
  }
  Status launch(Function function, const LaunchShape &shape,
                std::span<void *const> arguments) override;
  Status beginRecording() override {
    QOPT_RETURN_IF_ERROR(context->use());
    return context->check(
        context->calls().beginCapture(stream, api::captureThreadLocal),
        "cuStreamBeginCapture");
  }
  StatusOr<std::unique_ptr<DriverGraph>> endRecording() override;
  Status launch(DriverGraph &graph) override {
    QOPT_RETURN_IF_ERROR(context->use());
    return context->check(context->calls().launchGraph(
                              static_cast<CudaGraph &>(graph).handle, stream),
                          "cuGraphLaunch");
  }
  Status synchronise() override {
    QOPT_RETURN_IF_ERROR(context->use());
    return context->check(context->calls().synchronise(stream),
                          "cuStreamSynchronize");
  }

private:
  std::shared_ptr<const Context> context;
  api::Stream stream;
};

Status CudaStream::launch(Function function, const LaunchShape &shape,
                          std::span<void *const> arguments) {
  QOPT_RETURN_IF_ERROR(context->use());
  api::LaunchAttribute early = {};
  early.id = api::programmaticStreamSerialization;
  early.value.programmaticStreamSerializationAllowed = 1;
  api::LaunchConfig config = {shape.grid[0],
                              shape.grid[1],
                              shape.grid[2],
                              shape.block,
                              1,
                              1,
                              shape.sharedBytes,
                              stream,
                              shape.early ? &early : nullptr,
                              shape.early ? 1u : 0u};
  return context->check(
      context->calls().launch(&config,
                              static_cast<api::FunctionHandle>(function.handle),
                              const_cast<void **>(arguments.data()), nullptr),
      "cuLaunchKernelEx");
}

StatusOr<std::unique_ptr<DriverGraph>> CudaStream::endRecording() {
  QOPT_RETURN_IF_ERROR(context->use());
  const api::Functions &f = context->calls();
  api::Graph graph = nullptr;
  QOPT_RETURN_IF_ERROR(
      context->check(f.endCapture(stream, &graph), "cuStreamEndCapture"));
  api::GraphExec executable = nullptr;
  Status made = context->check(f.instantiate(&executable, graph, 0),
                               "cuGraphInstantiate");
  f.destroyGraph(graph);
  QOPT_RETURN_IF_ERROR(made);
  return std::unique_ptr<DriverGraph>(
      std::make_unique<CudaGraph>(context, executable));
}

class CudaDriver : public Driver {
public:
  static StatusOr<std::shared_ptr<Driver>> open(int ordinal);

  const char *name() const override { return "cuda"; }
  const DeviceFacts &facts() const override { return deviceFacts; }
  StatusOr<size_t> freeMemory() override;
  StatusOr<Address> allocate(size_t bytes) override;
  void release(Address address) override {
    if (context->use().ok())
      context->calls().release(address);
  }
  StatusOr<void *> allocateHost(size_t bytes) override;
  void releaseHost(void *memory) override {
    if (context->use().ok())
      context->calls().releaseHost(memory);
  }
  StatusOr<std::unique_ptr<DriverStream>> createStream() override;
  StatusOr<std::unique_ptr<DriverModule>>
  load(std::span<const uint8_t> image) override;
  bool lost() const override { return context->lost; }
  Status allowShared(Function function, uint32_t bytes) override;

private:
  explicit CudaDriver(std::shared_ptr<Context> context)
      : context(std::move(context)) {}
  Status openDevice(int ordinal);
  Status checkVersion();
  Status readFacts();

  std::shared_ptr<Context> context;
  DeviceFacts deviceFacts;
};

StatusOr<std::shared_ptr<Driver>> CudaDriver::open(int ordinal) {
  StatusOr<std::shared_ptr<const CudaLibrary>> library = CudaLibrary::open();
  if (!library.ok())
    return library.status();
  auto driver = std::shared_ptr<CudaDriver>(
      new CudaDriver(std::make_shared<Context>(*library)));
  QOPT_RETURN_IF_ERROR(driver->openDevice(ordinal));
  return std::shared_ptr<Driver>(std::move(driver));
}

Status CudaDriver::checkVersion() {
  int version = 0;
  QOPT_RETURN_IF_ERROR(context->check(context->calls().driverVersion(&version),
                                      "cuDriverGetVersion"));
  if (version >= oldestDriver)
    return {};
  return Status(StatusCode::Unsupported,
                "the CUDA driver is for CUDA " + spellDriver(version) +
                    "; expected " + spellDriver(oldestDriver) +
                    " or later: update the NVIDIA driver");
}

Status CudaDriver::openDevice(int ordinal) {
  const api::Functions &f = context->calls();
  QOPT_RETURN_IF_ERROR(checkVersion());
  if (Status started = context->check(f.init(0), "cuInit"); !started.ok())
    return Status(started.code() == StatusCode::DeviceFailed
                      ? StatusCode::DeviceFailed
                      : StatusCode::Unsupported,
                  "the CUDA driver does not start: " + started.message() +
                      "; nvidia-smi shows the GPUs that it sees");
  int count = 0;
  QOPT_RETURN_IF_ERROR(
      context->check(f.deviceCount(&count), "cuDeviceGetCount"));
  if (ordinal < 0 || ordinal >= count)
    return Status(StatusCode::Unsupported,
                  "there is no GPU " + std::to_string(ordinal) +
                      "; the driver sees " + std::to_string(count) +
                      ", counted from 0");
  QOPT_RETURN_IF_ERROR(
      context->check(f.deviceGet(&context->device, ordinal), "cuDeviceGet"));
  QOPT_RETURN_IF_ERROR(readFacts());
  return context->check(f.retainContext(&context->handle, context->device),
                        "cuDevicePrimaryCtxRetain");
}

Status CudaDriver::readFacts() {
  const api::Functions &f = context->calls();
  api::Device device = context->device;
  char text[256] = {};
  QOPT_RETURN_IF_ERROR(context->check(
      f.deviceName(text, sizeof(text) - 1, device), "cuDeviceGetName"));
  deviceFacts.name = text;
  QOPT_RETURN_IF_ERROR(context->check(
      f.deviceMemory(&deviceFacts.memory, device), "cuDeviceTotalMem"));
  int shared = 0;
  struct Fact {
    int attribute;
    int &value;
  };
  for (const Fact &fact :
       {Fact{api::capabilityMajor, deviceFacts.major},
        Fact{api::capabilityMinor, deviceFacts.minor},
        Fact{api::multiprocessorCount, deviceFacts.multiprocessors},
        Fact{api::sharedPerBlockOptin, shared}})
    QOPT_RETURN_IF_ERROR(
        context->check(f.deviceAttribute(&fact.value, fact.attribute, device),
                       "cuDeviceGetAttribute"));
  deviceFacts.sharedPerBlock = size_t(shared);
  if (deviceFacts.major < 8)
    return Status(StatusCode::Unsupported,
                  "the GPU (" + deviceFacts.name + ") has compute capability " +
                      deviceFacts.capability() + "; expected 8.0 or later");
  return {};
}

StatusOr<size_t> CudaDriver::freeMemory() {
  QOPT_RETURN_IF_ERROR(context->use());
  size_t free = 0, total = 0;
  QOPT_RETURN_IF_ERROR(context->check(
      context->calls().memoryInfo(&free, &total), "cuMemGetInfo"));
  return free;
}

StatusOr<Address> CudaDriver::allocate(size_t bytes) {
  QOPT_RETURN_IF_ERROR(context->use());
  api::DevicePointer address = 0;
  QOPT_RETURN_IF_ERROR(
      context->check(context->calls().allocate(&address, bytes), "cuMemAlloc"));
  return Address(address);
}

StatusOr<void *> CudaDriver::allocateHost(size_t bytes) {
  QOPT_RETURN_IF_ERROR(context->use());
  void *memory = nullptr;
  QOPT_RETURN_IF_ERROR(context->check(
      context->calls().allocateHost(&memory, bytes), "cuMemAllocHost"));
  return memory;
}

StatusOr<std::unique_ptr<DriverStream>> CudaDriver::createStream() {
  QOPT_RETURN_IF_ERROR(context->use());
  api::Stream stream = nullptr;
  QOPT_RETURN_IF_ERROR(context->check(
      context->calls().createStream(&stream, api::streamNonBlocking),
      "cuStreamCreate"));
  return std::unique_ptr<DriverStream>(
      std::make_unique<CudaStream>(context, stream));
}

/// Why the driver refuses a module, and what to do about it.
static Status refusalOf(api::Result result, const Status &failure,
                        const std::string &log) {
  std::string message = failure.message() + (log.empty() ? "" : ": " + log);
  switch (result) {
  case api::unsupportedPtx:
  case api::noCompiler:
    return Status(StatusCode::Unsupported,
                  message + "; update the NVIDIA driver, or compile the model "
                            "where ptxas is, so that the artifact has machine "
                            "code for this GPU");
  case api::invalidImage:
  case api::invalidPtx:
  case api::noBinary:
    return Status(StatusCode::BadArtifact,
                  message + "; compile the model again");
  default:
    return Status(failure.code(), message);
  }
}

StatusOr<std::unique_ptr<DriverModule>>
CudaDriver::load(std::span<const uint8_t> image) {
  QOPT_RETURN_IF_ERROR(context->use());
  // PTX is text and must end with a zero; a cubin does not mind one.
  std::vector<uint8_t> bytes(image.begin(), image.end());
  bytes.push_back(0);
  char log[4096] = {};
  int options[] = {api::jitErrorLogBuffer, api::jitErrorLogBytes};
  void *values[] = {log, reinterpret_cast<void *>(sizeof(log) - 1)};
  api::ModuleHandle module = nullptr;
  api::Result result =
      context->calls().loadModule(&module, bytes.data(), 2, options, values);
  if (Status loaded = context->check(result, "cuModuleLoadDataEx");
      !loaded.ok())
    return refusalOf(result, loaded, log);
  return std::unique_ptr<DriverModule>(
      std::make_unique<CudaModuleHandle>(context, module));
}

Status CudaDriver::allowShared(Function function, uint32_t bytes) {
  if (bytes > deviceFacts.sharedPerBlock)
    return Status(StatusCode::Unsupported,
                  "a kernel needs " + std::to_string(bytes) +
                      " bytes of shared memory; the GPU (" + deviceFacts.name +
                      ") has " + std::to_string(deviceFacts.sharedPerBlock) +
                      " for a block: compile the model again with --arch "
                      "sm_80, whose kernels fit every GPU from 8.0 on");
  QOPT_RETURN_IF_ERROR(context->use());
  auto set = [&](int attribute, int value) {
    return context->check(context->calls().setFunctionAttribute(
                              static_cast<api::FunctionHandle>(function.handle),
                              attribute, value),
                          "cuFuncSetAttribute");
  };
  // The same division of an SM between shared memory and cache for all kernels:
  // one that wants another starts on SMs that are empty only.
  QOPT_RETURN_IF_ERROR(set(api::preferredSharedCarveout, 100));
  return bytes ? set(api::maxDynamicShared, int(bytes)) : Status();
}

} // namespace

StatusOr<std::shared_ptr<Driver>> openCudaDriver(int ordinal) {
  return CudaDriver::open(ordinal);
}

} // namespace qopt::cuda
