// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/EmulatorDriver.h"

#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <vector>

namespace qopt::emulator {
namespace {

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
        return found.status();
      known = std::make_unique<LoadedKernel>(LoadedKernel{*found});
    }
    return cuda::Function{known.get()};
  }

private:
  std::unique_ptr<Module> module;
  std::map<std::string, std::unique_ptr<LoadedKernel>> kernels;
};

using Work = std::function<Status()>;

class RecordedWork : public cuda::DriverGraph {
public:
  explicit RecordedWork(std::vector<Work> work) : work(std::move(work)) {}
  Status launch() override {
    for (const Work &part : work)
      QOPT_RETURN_IF_ERROR(part());
    return {};
  }

private:
  std::vector<Work> work;
};

class EmulatorDriver : public cuda::Driver {
public:
  explicit EmulatorDriver(EmulatorOptions options)
      : options(std::move(options)) {
    deviceFacts.name = "PTX emulator";
    deviceFacts.major = this->options.major;
    deviceFacts.minor = this->options.minor;
    deviceFacts.multiprocessors = 132;
    deviceFacts.memory = this->options.memory;
    deviceFacts.sharedPerBlock = 227 * 1024;
  }

  const char *name() const override { return "emulator"; }
  const cuda::DeviceFacts &facts() const override { return deviceFacts; }

  StatusOr<size_t> freeMemory() override { return deviceFacts.memory - used; }
  StatusOr<cuda::Address> allocate(size_t bytes) override {
    StatusOr<uint64_t> address = memory.allocate(bytes);
    if (!address.ok())
      return address.status();
    sizes[*address] = bytes;
    used += bytes;
    return cuda::Address(*address);
  }
  void release(cuda::Address address) override {
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

  Status copyIn(cuda::Address to, const void *from, size_t bytes) override {
    return perform([this, to, from, bytes] {
      return bytes ? memory.write(to, from, bytes) : Status();
    });
  }
  Status copyOut(void *to, cuda::Address from, size_t bytes) override {
    return perform([this, to, from, bytes] {
      return bytes ? memory.read(to, from, bytes) : Status();
    });
  }
  Status clear(cuda::Address address, size_t bytes) override {
    return perform([this, address, zeros = std::vector<uint8_t>(bytes)] {
      return memory.write(address, zeros.data(), zeros.size());
    });
  }

  Status launch(cuda::Function function, const cuda::LaunchShape &shape,
                std::span<void *const> arguments) override;

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
  Status synchronise() override { return {}; }

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

private:
  /// Everything is done at once, or kept for the graph.
  Status perform(Work work) {
    if (!recording)
      return work();
    recorded.push_back(std::move(work));
    return {};
  }

  EmulatorOptions options;
  cuda::DeviceFacts deviceFacts;
  Memory memory;
  std::map<uint64_t, size_t> sizes; ///< of allocations
  size_t used = 0;
  bool recording = false;
  std::vector<Work> recorded;
};

Status EmulatorDriver::launch(cuda::Function function,
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
  return perform([this, &kernel, grid, shape, buffer = std::move(buffer)] {
    StatusOr<Statistics> statistics = qopt::emulator::launch(
        kernel, grid, {shape.block, 1, 1}, shape.sharedBytes, buffer, memory,
        options.launch);
    return statistics.ok() ? Status() : statistics.status();
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
  StatusOr<std::unique_ptr<Module>> module =
      Module::parse(std::move(text), memory);
  if (!module.ok())
    return module.status();
  return std::unique_ptr<cuda::DriverModule>(
      std::make_unique<EmulatedModule>(std::move(*module)));
}

} // namespace

std::shared_ptr<cuda::Driver> makeEmulatorDriver(EmulatorOptions options) {
  return std::make_shared<EmulatorDriver>(std::move(options));
}

StatusOr<std::shared_ptr<cuda::Driver>> openEmulatorDriver() {
  return makeEmulatorDriver();
}

} // namespace qopt::emulator
