// A GPU behind Device.h, whatever driver runs it. Weights are copied to it once
// for each artifact; a step's inputs go over in one piece.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_CUDA_CUDADEVICE_H
#define QOPT_RUNTIME_CUDA_CUDADEVICE_H

#include "runtime/Device.h"
#include "runtime/cuda/Driver.h"

#include <map>
#include <memory>
#include <mutex>

namespace qopt::runtime {

/// A driver's memory as the runtime holds it.
class CudaMemory : public DeviceMemory {
public:
  enum class Place : uint8_t { Device, Host };

  /// On the device its content is not defined. OutOfResources names what was
  /// asked and what is free.
  static StatusOr<std::unique_ptr<CudaMemory>>
  allocate(std::shared_ptr<cuda::Driver> driver, size_t bytes, Place place);
  ~CudaMemory() override;
  cuda::Address deviceAddress() const {
    return reinterpret_cast<cuda::Address>(data());
  }

private:
  CudaMemory(std::shared_ptr<cuda::Driver> driver, Place place)
      : driver(std::move(driver)), place(place) {}
  std::shared_ptr<cuda::Driver> driver;
  Place place;
};

/// Code on the device.
class CudaModule : public Module {
public:
  CudaModule(std::shared_ptr<cuda::Driver> driver,
             std::unique_ptr<cuda::DriverModule> module)
      : driver(std::move(driver)), module(std::move(module)) {}
  StatusOr<cuda::Function> function(const std::string &name) {
    return module->function(name);
  }

private:
  std::shared_ptr<cuda::Driver> driver; // outlives the module
  std::unique_ptr<cuda::DriverModule> module;
};

/// A stream of the device.
class CudaQueue : public DeviceQueue {
public:
  explicit CudaQueue(std::unique_ptr<cuda::DriverStream> stream)
      : work(std::move(stream)) {}
  Status synchronise() override { return work->synchronise(); }
  cuda::DriverStream &stream() { return *work; }

private:
  std::unique_ptr<cuda::DriverStream> work;
};

/// A layer of the cache on any GPU (KvPageLayout.h).
StatusOr<CacheSizes> cudaCacheSizes(const plan::CacheLayer &layer,
                                    int64_t page);
/// Quantized activations are plain tensors of codes and scales on a GPU: 0.
std::optional<int64_t> cudaQuantizedRowBytes(const quant::Format &format,
                                             int64_t columns);

/// Recorded: the host waits at a step's end, and launches that come again are a
/// graph. Synchronous: it waits for each launch, so that a failure names one.
enum class LaunchMode : uint8_t { Recorded, Synchronous };

class CudaDevice : public Device {
public:
  explicit CudaDevice(std::shared_ptr<cuda::Driver> driver,
                      LaunchMode mode = LaunchMode::Recorded)
      : driver(std::move(driver)), mode(mode) {}

  const char *name() const override { return driver->name(); }
  StatusOr<std::unique_ptr<DeviceMemory>> allocate(size_t bytes) override;
  StatusOr<std::unique_ptr<DeviceMemory>> allocateHost(size_t bytes) override;
  StatusOr<std::unique_ptr<DeviceQueue>> makeQueue() override;
  StatusOr<std::shared_ptr<Module>>
  load(std::span<const uint8_t> code) override;
  StatusOr<std::vector<std::shared_ptr<Module>>>
  loadCode(const plan::Function &function,
           const ModuleLookup &modules) override;
  bool hasOwnMemory() const override { return true; }
  Status requireMemory(std::span<const MemoryPart> parts) override;
  size_t constantBytes(const ArtifactFile &file,
                       const plan::Function &function) override;
  StatusOr<std::vector<std::shared_ptr<DeviceMemory>>>
  loadConstants(const ArtifactFile &file,
                const plan::Function &function) override;
  WorkingMemory workingMemory(const BoundFunction &function) const override;
  StatusOr<std::unique_ptr<Program>>
  prepare(std::shared_ptr<const BoundFunction> function,
          const ModuleLookup &modules) override;
  QuantizedRowBytes quantizedRowBytes() const override;
  StatusOr<CacheSizes> cacheSizes(const plan::CacheLayer &layer,
                                  int64_t page) const override;

private:
  using Constants = std::map<uint32_t, std::shared_ptr<CudaMemory>>;
  using Bytes = std::span<const uint8_t>;
  /// The segments that the function's constants lie in, on the device.
  StatusOr<Constants> constantsOf(const ArtifactFile &file,
                                  const plan::Function &function);
  std::weak_ptr<CudaMemory> &known(Bytes segment) {
    return segments[{segment.data(), segment.size()}];
  }

  std::shared_ptr<cuda::Driver> driver;
  LaunchMode mode;
  std::mutex mutex; ///< of `segments`
  /// Segments on the device for as long as somebody holds them.
  std::map<std::pair<const uint8_t *, size_t>, std::weak_ptr<CudaMemory>>
      segments;
};

} // namespace qopt::runtime

#endif // QOPT_RUNTIME_CUDA_CUDADEVICE_H
