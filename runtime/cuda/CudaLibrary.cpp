// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/cuda/CudaLibrary.h"

#include "runtime/cuda/CudaApi.h"

#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <vector>

namespace qopt::cuda {
namespace {

/// The library and its functions; stays loaded for the process's life, as the
/// driver's own threads may.
struct Library {
  api::Functions functions = {};

  static StatusOr<std::shared_ptr<const Library>> open();
  Status check(api::Result result, const char *call) const;
};

StatusOr<std::shared_ptr<const Library>> Library::open() {
  const char *chosen = std::getenv("QOPT_CUDA_DRIVER");
  std::string path = chosen && *chosen ? chosen : "libcuda.so.1";
  void *handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle)
    return Status(StatusCode::Unsupported,
                  "there is no CUDA driver here: " + std::string(dlerror()) +
                      "; install the NVIDIA driver, or run with --device host "
                      "or emulator");
  auto library = std::make_shared<Library>();
  const char *missing = nullptr;
#define QOPT_LOAD(field, symbol, parameters)                                   \
  if (void *address = dlsym(handle, symbol))                                   \
    std::memcpy(&library->functions.field, &address, sizeof(address));         \
  else                                                                         \
    missing = symbol;
  QOPT_CUDA_FUNCTIONS(QOPT_LOAD)
#undef QOPT_LOAD
  if (missing)
    return Status(
        StatusCode::Unsupported,
        "the CUDA driver '" + path + "' has no " + missing +
            "; a driver for CUDA " + std::to_string(oldestDriver / 1000) + "." +
            std::to_string(oldestDriver % 1000 / 10) + " or later is needed");
  return std::shared_ptr<const Library>(std::move(library));
}

Status Library::check(api::Result result, const char *call) const {
  if (result == api::success)
    return {};
  const char *name = nullptr, *text = nullptr;
  functions.errorName(result, &name);
  functions.errorString(result, &text);
  return Status(result == api::outOfMemory ? StatusCode::OutOfResources
                : result == api::notFound  ? StatusCode::NotFound
                                           : StatusCode::Internal,
                std::string(call) + " failed: " + (name ? name : "error ") +
                    (name ? "" : std::to_string(result)) +
                    (text ? std::string(" (") + text + ")" : ""));
}

class CudaModuleHandle : public DriverModule {
public:
  CudaModuleHandle(std::shared_ptr<const Library> library,
                   api::ModuleHandle module)
      : library(std::move(library)), module(module) {}
  ~CudaModuleHandle() override { library->functions.unloadModule(module); }

  StatusOr<Function> function(const std::string &name) override {
    api::FunctionHandle handle = nullptr;
    if (Status found = library->check(
            library->functions.getFunction(&handle, module, name.c_str()),
            "cuModuleGetFunction");
        !found.ok())
      return Status(found.code(), "kernel '" + name + "': " + found.message());
    return Function{handle};
  }

private:
  std::shared_ptr<const Library> library;
  api::ModuleHandle module;
};

class CudaGraph : public DriverGraph {
public:
  CudaGraph(std::shared_ptr<const Library> library, api::GraphExec graph,
            api::Stream stream)
      : library(std::move(library)), graph(graph), stream(stream) {}
  ~CudaGraph() override { library->functions.destroyGraphExec(graph); }
  Status launch() override {
    return library->check(library->functions.launchGraph(graph, stream),
                          "cuGraphLaunch");
  }

private:
  std::shared_ptr<const Library> library;
  api::GraphExec graph;
  api::Stream stream;
};

class CudaDriver : public Driver {
public:
  static StatusOr<std::shared_ptr<Driver>> open(int ordinal);
  ~CudaDriver() override;

  const char *name() const override { return "cuda"; }
  const DeviceFacts &facts() const override { return deviceFacts; }
  StatusOr<size_t> freeMemory() override;
  StatusOr<Address> allocate(size_t bytes) override;
  void release(Address address) override {
    library->functions.setContext(context);
    library->functions.release(address);
  }
  StatusOr<void *> allocateHost(size_t bytes) override;
  void releaseHost(void *memory) override {
    library->functions.setContext(context);
    library->functions.releaseHost(memory);
  }
  Status copyIn(Address to, const void *from, size_t bytes) override {
    QOPT_RETURN_IF_ERROR(use());
    return library->check(library->functions.copyIn(to, from, bytes, stream),
                          "cuMemcpyHtoDAsync");
  }
  Status copyOut(void *to, Address from, size_t bytes) override {
    QOPT_RETURN_IF_ERROR(use());
    return library->check(library->functions.copyOut(to, from, bytes, stream),
                          "cuMemcpyDtoHAsync");
  }
  Status clear(Address address, size_t bytes) override {
    QOPT_RETURN_IF_ERROR(use());
    return library->check(library->functions.fill(address, 0, bytes, stream),
                          "cuMemsetD8Async");
  }
  Status launch(Function function, const LaunchShape &shape,
                std::span<void *const> arguments) override;
  Status beginRecording() override {
    QOPT_RETURN_IF_ERROR(use());
    return library->check(
        library->functions.beginCapture(stream, api::captureThreadLocal),
        "cuStreamBeginCapture");
  }
  StatusOr<std::unique_ptr<DriverGraph>> endRecording() override;
  Status synchronise() override {
    QOPT_RETURN_IF_ERROR(use());
    return library->check(library->functions.synchronise(stream),
                          "cuStreamSynchronize");
  }
  StatusOr<std::unique_ptr<DriverModule>>
  load(std::span<const uint8_t> image) override;
  Status allowShared(Function function, uint32_t bytes) override;

private:
  explicit CudaDriver(std::shared_ptr<const Library> library)
      : library(std::move(library)) {}
  Status openDevice(int ordinal);
  Status readFacts();
  /// The calling thread may be another than the last.
  Status use() {
    return library->check(library->functions.setContext(context),
                          "cuCtxSetCurrent");
  }

  std::shared_ptr<const Library> library;
  DeviceFacts deviceFacts;
  api::Device device = 0;
  api::Context context = nullptr;
  api::Stream stream = nullptr;
};

StatusOr<std::shared_ptr<Driver>> CudaDriver::open(int ordinal) {
  StatusOr<std::shared_ptr<const Library>> library = Library::open();
  if (!library.ok())
    return library.status();
  auto driver = std::shared_ptr<CudaDriver>(new CudaDriver(*library));
  QOPT_RETURN_IF_ERROR(driver->openDevice(ordinal));
  return std::shared_ptr<Driver>(std::move(driver));
}

Status CudaDriver::openDevice(int ordinal) {
  const api::Functions &f = library->functions;
  QOPT_RETURN_IF_ERROR(library->check(f.init(0), "cuInit"));
  int version = 0, count = 0;
  QOPT_RETURN_IF_ERROR(
      library->check(f.driverVersion(&version), "cuDriverGetVersion"));
  auto spell = [](int v) {
    return std::to_string(v / 1000) + "." + std::to_string(v % 1000 / 10);
  };
  if (version < oldestDriver)
    return Status(StatusCode::Unsupported,
                  "the CUDA driver is for CUDA " + spell(version) +
                      "; expected " + spell(oldestDriver) +
                      " or later: update the NVIDIA driver");
  QOPT_RETURN_IF_ERROR(
      library->check(f.deviceCount(&count), "cuDeviceGetCount"));
  if (ordinal < 0 || ordinal >= count)
    return Status(StatusCode::Unsupported,
                  "there is no GPU " + std::to_string(ordinal) +
                      "; the driver sees " + std::to_string(count));
  QOPT_RETURN_IF_ERROR(
      library->check(f.deviceGet(&device, ordinal), "cuDeviceGet"));
  QOPT_RETURN_IF_ERROR(readFacts());
  QOPT_RETURN_IF_ERROR(library->check(f.retainContext(&context, device),
                                      "cuDevicePrimaryCtxRetain"));
  QOPT_RETURN_IF_ERROR(use());
  return library->check(f.createStream(&stream, api::streamNonBlocking),
                        "cuStreamCreate");
}

Status CudaDriver::readFacts() {
  const api::Functions &f = library->functions;
  char text[256] = {};
  QOPT_RETURN_IF_ERROR(library->check(
      f.deviceName(text, sizeof(text) - 1, device), "cuDeviceGetName"));
  deviceFacts.name = text;
  QOPT_RETURN_IF_ERROR(library->check(
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
        library->check(f.deviceAttribute(&fact.value, fact.attribute, device),
                       "cuDeviceGetAttribute"));
  deviceFacts.sharedPerBlock = size_t(shared);
  if (deviceFacts.major < 8)
    return Status(StatusCode::Unsupported,
                  "the GPU (" + deviceFacts.name + ") has compute capability " +
                      std::to_string(deviceFacts.major) + "." +
                      std::to_string(deviceFacts.minor) +
                      "; expected 8.0 or later");
  return {};
}

CudaDriver::~CudaDriver() {
  const api::Functions &f = library->functions;
  if (stream) {
    f.setContext(context);
    f.destroyStream(stream);
  }
  if (context)
    f.releaseContext(device);
}

StatusOr<size_t> CudaDriver::freeMemory() {
  QOPT_RETURN_IF_ERROR(use());
  size_t free = 0, total = 0;
  QOPT_RETURN_IF_ERROR(library->check(
      library->functions.memoryInfo(&free, &total), "cuMemGetInfo"));
  return free;
}

StatusOr<Address> CudaDriver::allocate(size_t bytes) {
  QOPT_RETURN_IF_ERROR(use());
  api::DevicePointer address = 0;
  QOPT_RETURN_IF_ERROR(library->check(
      library->functions.allocate(&address, bytes), "cuMemAlloc"));
  return Address(address);
}

StatusOr<void *> CudaDriver::allocateHost(size_t bytes) {
  QOPT_RETURN_IF_ERROR(use());
  void *memory = nullptr;
  QOPT_RETURN_IF_ERROR(library->check(
      library->functions.allocateHost(&memory, bytes), "cuMemAllocHost"));
  return memory;
}

Status CudaDriver::launch(Function function, const LaunchShape &shape,
                          std::span<void *const> arguments) {
  QOPT_RETURN_IF_ERROR(use());
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
  return library->check(library->functions.launch(
                            &config,
                            static_cast<api::FunctionHandle>(function.handle),
                            const_cast<void **>(arguments.data()), nullptr),
                        "cuLaunchKernelEx");
}

StatusOr<std::unique_ptr<DriverGraph>> CudaDriver::endRecording() {
  QOPT_RETURN_IF_ERROR(use());
  const api::Functions &f = library->functions;
  api::Graph graph = nullptr;
  QOPT_RETURN_IF_ERROR(
      library->check(f.endCapture(stream, &graph), "cuStreamEndCapture"));
  api::GraphExec executable = nullptr;
  Status made = library->check(f.instantiate(&executable, graph, 0),
                               "cuGraphInstantiate");
  f.destroyGraph(graph);
  QOPT_RETURN_IF_ERROR(made);
  return std::unique_ptr<DriverGraph>(
      std::make_unique<CudaGraph>(library, executable, stream));
}

StatusOr<std::unique_ptr<DriverModule>>
CudaDriver::load(std::span<const uint8_t> image) {
  QOPT_RETURN_IF_ERROR(use());
  // PTX is text and must end with a zero; a cubin does not mind one.
  std::vector<uint8_t> bytes(image.begin(), image.end());
  bytes.push_back(0);
  char log[4096] = {};
  int options[] = {api::jitErrorLogBuffer, api::jitErrorLogBytes};
  void *values[] = {log, reinterpret_cast<void *>(sizeof(log) - 1)};
  api::ModuleHandle module = nullptr;
  Status loaded = library->check(
      library->functions.loadModule(&module, bytes.data(), 2, options, values),
      "cuModuleLoadDataEx");
  if (!loaded.ok())
    return Status(StatusCode::BadArtifact,
                  loaded.message() + (log[0] ? ": " + std::string(log) : ""));
  return std::unique_ptr<DriverModule>(
      std::make_unique<CudaModuleHandle>(library, module));
}

Status CudaDriver::allowShared(Function function, uint32_t bytes) {
  if (bytes > deviceFacts.sharedPerBlock)
    return Status(StatusCode::Unsupported,
                  "a kernel needs " + std::to_string(bytes) +
                      " bytes of shared memory; the GPU (" + deviceFacts.name +
                      ") has " + std::to_string(deviceFacts.sharedPerBlock) +
                      " for a block");
  if (bytes == 0)
    return {};
  QOPT_RETURN_IF_ERROR(use());
  return library->check(library->functions.setFunctionAttribute(
                            static_cast<api::FunctionHandle>(function.handle),
                            api::maxDynamicShared, int(bytes)),
                        "cuFuncSetAttribute");
}

} // namespace

StatusOr<std::shared_ptr<Driver>> openCudaDriver(int ordinal) {
  return CudaDriver::open(ordinal);
}

} // namespace qopt::cuda
