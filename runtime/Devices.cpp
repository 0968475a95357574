// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/Devices.h"

#include "runtime/cuda/CudaDevice.h"
#include "runtime/cuda/CudaDriver.h"
#include "runtime/emulator/EmulatorDriver.h"
#include "runtime/host/program/CacheLayout.h"
#include "runtime/host/program/HostDevice.h"

#include <charconv>
#include <map>
#include <mutex>
#include <optional>
#include <string_view>

namespace qopt::runtime {

static std::string targetOf(const plan::Plan &plan) {
  const flatbuffers::String *target = plan.manifest()->target();
  return target ? target->str() : std::string();
}

static bool isForGpu(const plan::Plan &plan) {
  return targetOf(plan).rfind("cuda/", 0) == 0;
}

/// What "cuda", "cuda:1" and "cuda:1,synchronous" ask for; nothing in other
/// names.
struct GpuName {
  int ordinal = 0;
  LaunchMode mode = LaunchMode::Recorded;
};

static std::optional<GpuName> gpuNamed(std::string_view name) {
  constexpr std::string_view synchronous = ",synchronous";
  GpuName gpu;
  if (!name.starts_with("cuda"))
    return std::nullopt;
  name.remove_prefix(4);
  if (name.ends_with(synchronous)) {
    gpu.mode = LaunchMode::Synchronous;
    name.remove_suffix(synchronous.size());
  }
  if (name.empty())
    return gpu;
  const char *begin = name.data() + 1, *end = name.data() + name.size();
  auto [last, failed] = std::from_chars(begin, end, gpu.ordinal);
  bool isNumber = failed == std::errc() && last == end && gpu.ordinal >= 0;
  return name[0] == ':' && isNumber ? std::optional(gpu) : std::nullopt;
}

/// The number in "emulator,schedules=4"; 1 in "emulator", 0 in other names.
static unsigned schedulesOf(const std::string &name) {
  constexpr std::string_view plain = "emulator", several = ",schedules=";
  std::string_view rest = name;
  if (!rest.starts_with(plain))
    return 0;
  rest.remove_prefix(plain.size());
  if (rest.empty())
    return 1;
  if (!rest.starts_with(several))
    return 0;
  rest.remove_prefix(several.size());
  unsigned schedules = 0;
  const char *end = rest.data() + rest.size();
  auto [last, failed] = std::from_chars(rest.data(), end, schedules);
  return failed == std::errc() && last == end ? schedules : 0;
}

static StatusOr<std::shared_ptr<Device>> makeGpu(const std::string &name) {
  emulator::EmulatorOptions options;
  options.schedules = schedulesOf(name);
  GpuName gpu = gpuNamed(name).value_or(GpuName());
  StatusOr<std::shared_ptr<cuda::Driver>> driver =
      options.schedules ? emulator::openEmulatorDriver(options)
                        : cuda::openCudaDriver(gpu.ordinal);
  if (!driver.ok())
    return driver.status();
  return std::shared_ptr<Device>(
      std::make_shared<CudaDevice>(std::move(*driver), gpu.mode));
}

StatusOr<std::shared_ptr<Device>>
openDevice(const plan::Plan &plan, const std::string &asked, int threads) {
  std::string name = !asked.empty() ? asked : isForGpu(plan) ? "cuda" : "host";
  bool gpu = gpuNamed(name) || schedulesOf(name);
  if (!gpu && name != "host")
    return Status(StatusCode::InvalidArgument,
                  "there is no device \"" + name +
                      "\"; expected host, cuda, cuda:N, cuda,synchronous, "
                      "emulator or emulator,schedules=N");
  if (gpu != isForGpu(plan))
    return Status(StatusCode::InvalidArgument,
                  "the artifact was compiled for " + targetOf(plan) +
                      " and does not run on device \"" + name +
                      "\"; compile it with --target " +
                      (gpu ? "cuda" : "host"));
  if (!gpu)
    return HostDevice::shared(threads);
  static std::mutex mutex;
  static std::map<std::string, std::weak_ptr<Device>> devices;
  std::lock_guard lock(mutex);
  if (std::shared_ptr<Device> device = devices[name].lock())
    return device;
  StatusOr<std::shared_ptr<Device>> device = makeGpu(name);
  if (device.ok())
    devices[name] = *device;
  return device;
}

StatusOr<CacheSizes> cacheSizes(const plan::Plan &plan,
                                const plan::CacheLayer &layer) {
  int64_t page = plan.decoder()->page();
  return isForGpu(plan) ? cudaCacheSizes(layer, page)
                        : hostCacheSizes(layer, page);
}

StatusOr<int64_t> bytesBesideArena(const plan::Plan &plan,
                                   const BoundFunction &step) {
  if (isForGpu(plan))
    return int64_t(0);
  StatusOr<int64_t> elements = stepRowElements(step);
  if (!elements.ok())
    return elements.status();
  return *elements * int64_t(sizeof(uint16_t));
}

QuantizedRowBytes quantizedRowBytes(const plan::Plan &plan) {
  return isForGpu(plan) ? cudaQuantizedRowBytes : hostQuantizedRowBytes;
}

} // namespace qopt::runtime
