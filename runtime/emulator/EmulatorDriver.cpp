// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/EmulatorDriver.h"

#include "runtime/emulator/Schedules.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <mutex>
#include <vector>

namespace qopt::emulator {
namespace {

/// As a driver says it: what is wrong is the artifact's code, no argument that
/// somebody gave.
Status blameArtifact(const Status &status) {
  bool wrong = status.code() == StatusCode::InvalidArgument ||
               status.code() == StatusCode::NotFound;
  return wrong ? Status(StatusCode::BadArtifact,
                        status.message() + "; compile the model again")
               : status;
}

/// A kernel as launches name it; lives as long as its module.
struct LoadedKernel {
  Kernel kernel;
};

class EmulatedModule : public cuda::DriverModule {
public:
  explicit EmulatedModule(std::unique_ptr<Module> module)
      : module(std::move(module)) {}

  StatusOr<cuda::Function> function(const std::string &name) override {
    auto &known = kernels[name];
    if (!known) {
      StatusOr<Kernel> found = module->kernel(name);
      if (!found.ok())
        return blameArtifact(found.status());
      known = std::make_unique<LoadedKernel>(LoadedKernel{*found});
    }
    return cuda::Function{known.get()};
  }

private:
  std::unique_ptr<Module> module;
  std::map<std::string, std::unique_ptr<LoadedKernel>> kernels;
};

using Work = std::function<Status()>;

struct RecordedWork : cuda::DriverGraph {
  explicit RecordedWork(std::vector<Work> work) : work(std::move(work)) {}
  std::vector<Work> work;
};

/// The device. One thing happens at a time: a launch needs its memory to stay.
class EmulatorDriver : public cuda::Driver,
                       public std::enable_shared_from_this<EmulatorDriver> {
public:
  explicit EmulatorDriver(EmulatorOptions options) : options(options) {
    deviceFacts.name = "PTX emulator";
    deviceFacts.major = this->options.major;
    deviceFacts.minor = this->options.minor;
    deviceFacts.multiprocessors = 132;
    deviceFacts.memory = this->options.memory;
    deviceFacts.sharedPerBlock = size_t(227) * 1024;
  }

  const char *name() const override { return "emulator"; }
  const cuda::DeviceFacts &facts() const override { return deviceFacts; }

  StatusOr<size_t> freeMemory() override {
    std::lock_guard lock(mutex);
    return deviceFacts.memory - used;
  }
  StatusOr<cuda::Address> allocate(size_t bytes) override {
    std::lock_guard lock(mutex);
    if (bytes > deviceFacts.memory - used)
      return Status(StatusCode::OutOfResources,
                    "the emulated memory is used up");
    StatusOr<uint64_t> address = memory.allocate(bytes);
    if (!address.ok())
      return address.status();
    sizes[*address] = bytes;
    used += bytes;
    return cuda::Address(*address);
  }
  void release(cuda::Address address) override {
    std::lock_guard lock(mutex);
    auto found = sizes.find(address);
    if (found == sizes.end())
      return;
    used -= found->second;
    sizes.erase(found);
    (void)memory.release(address).ok();
  }
  StatusOr<void *> allocateHost(size_t bytes) override {
    void *host = std::aligned_alloc(4096, (bytes + 4095) & ~size_t(4095));
    if (!host)
      return Status(StatusCode::OutOfResources,
                    "cannot allocate " + std::to_string(bytes) + " bytes");
    std::memset(host, 0, bytes);
    return host;
  }
  void releaseHost(void *host) override { std::free(host); }

  StatusOr<std::unique_ptr<cuda::DriverStream>> createStream() override;
  /// Runs something now.
  Status perform(const Work &work) {
    std::lock_guard lock(mutex);
    return work();
  }
  /// The launch of a kernel with the arguments' values of now.
  StatusOr<Work> prepare(cuda::Function function,
                         const cuda::LaunchShape &shape,
                         std::span<void *const> arguments);

  bool runsMachineCode() const override { return false; }
  StatusOr<std::unique_ptr<cuda::DriverModule>>
  load(std::span<const uint8_t> image) override;
  Status allowShared(cuda::Function, uint32_t bytes) override {
    if (bytes <= deviceFacts.sharedPerBlock)
      return {};
    return Status(StatusCode::Unsupported,
                  "a kernel needs " + std::to_string(bytes) +
                      " bytes of shared memory; a block may have " +
                      std::to_string(deviceFacts.sharedPerBlock));
  }

  EmulatorOptions options;
  Memory memory;

private:
  std::mutex mutex;
  cuda::DeviceFacts deviceFacts;
  std::map<uint64_t, size_t> sizes; ///< of allocations
  size_t used = 0;
};

/// Everything is done at once, or kept for the graph.
class EmulatedStream : public cuda::DriverStream {
public:
  explicit EmulatedStream(std::shared_ptr<EmulatorDriver> driver)
      : driver(std::move(driver)) {}

  Status copyIn(cuda::Address to, const void *from, size_t bytes) override {
    return perform([&memory = driver->memory, to, from, bytes] {
      return bytes ? memory.write(to, from, bytes) : Status();
    });
  }
  Status copyOut(void *to, cuda::Address from, size_t bytes) override {
    return perform([&memory = driver->memory, to, from, bytes] {
      return bytes ? memory.read(to, from, bytes) : Status();
    });
  }
  Status clear(cuda::Address address, size_t bytes) override {
    return perform([&memory = driver->memory, address, bytes] {
      const std::vector<uint8_t> zeros(std::min<size_t>(bytes, 1 << 20));
      for (size_t done = 0; done < bytes; done += zeros.size())
        QOPT_RETURN_IF_ERROR(
            memory.write(address + done, zeros.data(),
                         std::min(zeros.size(), bytes - done)));
      return Status();
    });
  }
  Status launch(cuda::Function function, const cuda::LaunchShape &shape,
                std::span<void *const> arguments) override {
    StatusOr<Work> work = driver->prepare(function, shape, arguments);
    return work.ok() ? perform(std::move(*work)) : work.status();
  }
  Status beginRecording() override {
    recording = true;
    recorded.clear();
    return {};
  }
  StatusOr<std::unique_ptr<cuda::DriverGraph>> endRecording() override {
    recording = false;
    return std::unique_ptr<cuda::DriverGraph>(
        std::make_unique<RecordedWork>(std::move(recorded)));
  }
  Status launch(cuda::DriverGraph &graph) override {
    for (const Work &part : static_cast<RecordedWork &>(graph).work)
      QOPT_RETURN_IF_ERROR(driver->perform(part));
    return {};
  }
  Status synchronise() override { return {}; }

private:
  Status perform(Work work) {
    if (!recording)
      return driver->perform(work);
    recorded.push_back(std::move(work));
    return {};
  }

  std::shared_ptr<EmulatorDriver> driver;
  bool recording = false;
  std::vector<Work> recorded;
};

StatusOr<std::unique_ptr<cuda::DriverStream>> EmulatorDriver::createStream() {
  return std::unique_ptr<cuda::DriverStream>(
      std::make_unique<EmulatedStream>(shared_from_this()));
}

StatusOr<Work> EmulatorDriver::prepare(cuda::Function function,
                                       const cuda::LaunchShape &shape,
                                       std::span<void *const> arguments) {
  const Kernel &kernel = static_cast<LoadedKernel *>(function.handle)->kernel;
  if (kernel.parameters() != arguments.size())
    return Status(StatusCode::Internal,
                  "kernel '" + kernel.name() + "' has " +
                      std::to_string(kernel.parameters()) +
                      " parameters; the launch gives " +
                      std::to_string(arguments.size()));
  std::vector<uint8_t> buffer(kernel.argumentBytes());
  for (size_t i = 0; i < arguments.size(); ++i)
    std::memcpy(buffer.data() + kernel.parameterOffset(i), arguments[i],
                kernel.parameterBytes(i));
  Extent grid = {shape.grid[0], shape.grid[1], shape.grid[2]};
  return Work([this, &kernel, grid, shape, buffer = std::move(buffer)] {
    StatusOr<Statistics> statistics = launchSchedules(
        {kernel, grid, {shape.block, 1, 1}, shape.sharedBytes, buffer}, memory,
        options.launch, options.schedules);
    return statistics.ok() ? Status() : blameArtifact(statistics.status());
  });
}

StatusOr<std::unique_ptr<cuda::DriverModule>>
EmulatorDriver::load(std::span<const uint8_t> image) {
  if (image.size() >= 4 && std::memcmp(image.data(),
                                       "\x7f"
                                       "ELF",
                                       4) == 0)
    return Status(StatusCode::Unsupported,
                  "the emulator runs PTX, not machine code");
  std::string text(image.begin(), image.end());
  std::lock_guard lock(mutex);
  StatusOr<std::unique_ptr<Module>> module =
      Module::parse(std::move(text), memory);
  if (!module.ok())
    return blameArtifact(module.status());
  return std::unique_ptr<cuda::DriverModule>(
      std::make_unique<EmulatedModule>(std::move(*module)));
}

} // namespace

std::shared_ptr<cuda::Driver> makeEmulatorDriver(EmulatorOptions options) {
  return std::make_shared<EmulatorDriver>(options);
}

StatusOr<std::shared_ptr<cuda::Driver>>
openEmulatorDriver(const EmulatorOptions &options) {
  return makeEmulatorDriver(options);
}

} // namespace qopt::emulator
