// Memory, modules and sharing of the host device; programs are made in
// HostProgram.cpp.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/host/program/HostDevice.h"

#include "runtime/MemoryBudget.h"
#include "runtime/host/QuantizedActivations.h"
#include "runtime/host/program/CacheLayout.h"
#include "runtime/host/program/HostProgram.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <mutex>
#include <sys/mman.h>
#include <sys/sysinfo.h>

namespace qopt::runtime {
namespace {

/// Pages of the system, which appear when they are touched: a large cache costs
/// what is used of it.
class HostMemory : public DeviceMemory {
public:
  HostMemory(void *memory, size_t size) {
    address = static_cast<uint8_t *>(memory);
    bytes = size;
  }
  ~HostMemory() override {
    if (bytes > 0)
      ::munmap(address, bytes);
  }
};

/// Bytes of memory and swap space that there are, used or not.
size_t memoryOfMachine() {
  struct sysinfo facts;
  if (::sysinfo(&facts) != 0)
    return SIZE_MAX;
  return (size_t(facts.totalram) + size_t(facts.totalswap)) * facts.mem_unit;
}

/// A launch has ended when it returns.
class HostQueue : public DeviceQueue {
public:
  Status synchronise() override { return {}; }
};

} // namespace

StatusOr<std::shared_ptr<Device>> HostDevice::shared(int threads) {
  static std::mutex mutex;
  static std::map<int, std::weak_ptr<Device>> devices;
  if (threads < 0 || threads > 1024)
    return Status(StatusCode::InvalidArgument,
                  "--threads must lie between 0 (one for each processor) and "
                  "1024, got " +
                      std::to_string(threads));
  std::lock_guard lock(mutex);
  if (std::shared_ptr<Device> device = devices[threads].lock())
    return device;
  try {
    std::shared_ptr<Device> device = std::make_shared<HostDevice>(threads);
    devices[threads] = device;
    return device;
  } catch (const std::exception &error) {
    return Status(StatusCode::OutOfResources,
                  std::string("cannot start the host's threads: ") +
                      error.what());
  }
}

StatusOr<std::unique_ptr<DeviceMemory>> HostDevice::allocate(size_t bytes) {
  if (bytes == 0)
    return std::unique_ptr<DeviceMemory>(new HostMemory(nullptr, 0));
  if (size_t all = memoryOfMachine(); bytes > all)
    return Status(StatusCode::OutOfResources,
                  spellBytes(bytes) + " are needed at once; this machine has " +
                      spellBytes(all) + ", with its swap space");
  void *memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED)
    return Status(StatusCode::OutOfResources,
                  "cannot allocate " + std::to_string(bytes) +
                      " bytes: " + std::strerror(errno));
  return std::unique_ptr<DeviceMemory>(new HostMemory(memory, bytes));
}

StatusOr<std::shared_ptr<Module>>
HostDevice::load(std::span<const uint8_t> code) {
  StatusOr<std::shared_ptr<CodeObject>> object =
      CodeObject::load(code.data(), code.size());
  if (!object.ok())
    return object.status();
  return std::shared_ptr<Module>(
      std::make_shared<HostModule>(std::move(*object)));
}

StatusOr<std::unique_ptr<DeviceQueue>> HostDevice::makeQueue() {
  return std::unique_ptr<DeviceQueue>(std::make_unique<HostQueue>());
}

StatusOr<std::vector<std::shared_ptr<Module>>>
HostDevice::loadCode(const plan::Function &function,
                     const ModuleLookup &modules) {
  std::vector<std::shared_ptr<Module>> loaded;
  if (const auto *steps = function.steps())
    for (const plan::Step *step : *steps)
      if (const plan::Generated *generated = step->operation_as_Generated()) {
        auto module = modules(generated->segment());
        if (!module.ok())
          return module.status();
        loaded.push_back(std::move(*module));
      }
  return loaded;
}

StatusOr<std::unique_ptr<Program>>
HostDevice::prepare(std::shared_ptr<const BoundFunction> function,
                    const ModuleLookup &modules) {
  return HostProgram::create(std::move(function), modules, pool);
}

std::optional<int64_t> hostQuantizedRowBytes(const quant::Format &format,
                                             int64_t columns) {
  std::optional<host::ActivationCodes> codes = host::activationCodes(format);
  if (!codes)
    return std::nullopt;
  return host::QuantizedLayout{columns, *codes}.rowBytes();
}

QuantizedRowBytes HostDevice::quantizedRowBytes() const {
  return hostQuantizedRowBytes;
}

StatusOr<CacheSizes> hostCacheSizes(const plan::CacheLayer &layer,
                                    int64_t page) {
  StatusOr<host::KvCacheLayout> layout = cacheLayout(layer, page);
  if (!layout.ok())
    return layout.status();
  return CacheSizes{layout->pageBytes(), layout->slotBytes()};
}

StatusOr<CacheSizes> HostDevice::cacheSizes(const plan::CacheLayer &layer,
                                            int64_t page) const {
  return hostCacheSizes(layer, page);
}

} // namespace qopt::runtime
