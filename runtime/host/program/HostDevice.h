// The host as a device: memory from the system, copies are memcpy, code objects
// are loaded into the process, programs are lists of host kernel calls on one
// thread pool.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_HOST_PROGRAM_HOSTDEVICE_H
#define QOPT_RUNTIME_HOST_PROGRAM_HOSTDEVICE_H

#include "runtime/Device.h"
#include "runtime/host/CodeObject.h"
#include "runtime/host/ThreadPool.h"

namespace qopt::runtime {

/// A code object as a module.
class HostModule : public Module {
public:
  explicit HostModule(std::shared_ptr<CodeObject> object)
      : object(std::move(object)) {}
  std::shared_ptr<CodeObject> object;
};

/// A layer of the cache on the host (CachedAttention.h).
StatusOr<CacheSizes> hostCacheSizes(const plan::CacheLayer &layer,
                                    int64_t page);
/// A row of quantized activations on the host (QuantizedActivations.h).
std::optional<int64_t> hostQuantizedRowBytes(const quant::Format &format,
                                             int64_t columns);

class HostDevice : public Device {
public:
  /// The device with that many threads (0: one for each processor); those who
  /// ask for the same number share it.
  static StatusOr<std::shared_ptr<Device>> shared(int threads);
  explicit HostDevice(int threads) : pool(threads) {}

  const char *name() const override { return "host"; }
  StatusOr<std::unique_ptr<DeviceMemory>> allocate(size_t bytes) override;
  StatusOr<std::unique_ptr<DeviceMemory>> allocateHost(size_t bytes) override {
    return allocate(bytes);
  }
  StatusOr<std::unique_ptr<DeviceQueue>> makeQueue() override;
  StatusOr<std::shared_ptr<Module>>
  load(std::span<const uint8_t> code) override;
  StatusOr<std::vector<std::shared_ptr<Module>>>
  loadCode(const plan::Function &function,
           const ModuleLookup &modules) override;
  bool hasOwnMemory() const override { return false; }
  Status requireMemory(std::span<const MemoryPart>) override { return {}; }
  size_t constantBytes(const ArtifactFile &, const plan::Function &) override {
    return 0;
  }
  StatusOr<std::vector<std::shared_ptr<DeviceMemory>>>
  loadConstants(const ArtifactFile &, const plan::Function &) override {
    return std::vector<std::shared_ptr<DeviceMemory>>();
  }
  WorkingMemory workingMemory(const BoundFunction &function) const override {
    return {size_t(function.arenaBytes()), 0};
  }
  StatusOr<std::unique_ptr<Program>>
  prepare(std::shared_ptr<const BoundFunction> function,
          const ModuleLookup &modules) override;
  QuantizedRowBytes quantizedRowBytes() const override;
  StatusOr<CacheSizes> cacheSizes(const plan::CacheLayer &layer,
                                  int64_t page) const override;

private:
  host::ThreadPool pool;
};

} // namespace qopt::runtime

#endif // QOPT_RUNTIME_HOST_PROGRAM_HOSTDEVICE_H
