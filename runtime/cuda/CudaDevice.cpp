// Memory, modules and constants of a GPU; programs are made in CudaProgram.cpp.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/cuda/CudaDevice.h"

#include "runtime/cuda/CodeImage.h"
#include "runtime/cuda/CudaProgram.h"
#include "runtime/cuda/KvPageLayout.h"
#include "runtime/plan/PlanFormat.h"

namespace qopt::runtime {

StatusOr<std::unique_ptr<CudaMemory>>
CudaMemory::allocate(std::shared_ptr<cuda::Driver> driver, size_t bytes,
                     Place place) {
  auto memory =
      std::unique_ptr<CudaMemory>(new CudaMemory(std::move(driver), place));
  if (bytes == 0)
    return memory;
  cuda::Driver &from = *memory->driver;
  if (place == Place::Host) {
    StatusOr<void *> host = from.allocateHost(bytes);
    if (!host.ok())
      return host.status();
    memory->address = static_cast<uint8_t *>(*host);
  } else {
    StatusOr<size_t> free = from.freeMemory();
    if (free.ok() && *free < bytes)
      return Status(StatusCode::OutOfResources,
                    "the GPU (" + from.facts().name + ") has " +
                        std::to_string(*free) + " bytes free; " +
                        std::to_string(bytes) +
                        " are needed: use fewer cache tokens or a smaller "
                        "format");
    StatusOr<cuda::Address> device = from.allocate(bytes);
    if (!device.ok())
      return device.status();
    memory->address = reinterpret_cast<uint8_t *>(*device);
    memory->bytes = bytes;
    QOPT_RETURN_IF_ERROR(from.clear(*device, bytes));
  }
  memory->bytes = bytes;
  return memory;
}

CudaMemory::~CudaMemory() {
  if (!address)
    return;
  if (place == Place::Host)
    driver->releaseHost(address);
  else
    driver->release(deviceAddress());
}

StatusOr<std::unique_ptr<DeviceMemory>> CudaDevice::allocate(size_t bytes) {
  auto memory = CudaMemory::allocate(driver, bytes, CudaMemory::Place::Device);
  if (!memory.ok())
    return memory.status();
  return std::unique_ptr<DeviceMemory>(std::move(*memory));
}

StatusOr<std::unique_ptr<DeviceMemory>> CudaDevice::allocateHost(size_t bytes) {
  auto memory = CudaMemory::allocate(driver, bytes, CudaMemory::Place::Host);
  if (!memory.ok())
    return memory.status();
  return std::unique_ptr<DeviceMemory>(std::move(*memory));
}

StatusOr<std::shared_ptr<Module>>
CudaDevice::load(std::span<const uint8_t> code) {
  StatusOr<std::vector<cuda::CodeImage>> images = cuda::readCodeImages(code);
  if (!images.ok())
    return images.status();
  if (!driver->runsMachineCode())
    std::erase_if(*images, [](const cuda::CodeImage &image) {
      return image.kind == cuda::ImageKind::Cubin;
    });
  const cuda::DeviceFacts &facts = driver->facts();
  StatusOr<cuda::CodeImage> image =
      cuda::chooseImage(*images, facts.major, facts.minor);
  if (!image.ok())
    return image.status();
  StatusOr<std::unique_ptr<cuda::DriverModule>> module =
      driver->load(image->bytes);
  if (!module.ok())
    return Status(module.status().code(),
                  image->spell() + ": " + module.status().message());
  return std::shared_ptr<Module>(
      std::make_shared<CudaModule>(driver, std::move(*module)));
}

StatusOr<CudaDevice::Constants>
CudaDevice::constantsOf(const BoundFunction &function) {
  std::lock_guard lock(mutex);
  Constants constants;
  const auto *values = function.function().values();
  for (uint32_t id = 0; values && id < values->size(); ++id) {
    if (function.value(id).slot != Slot::Constant)
      continue;
    uint32_t index = function.value(id).index;
    std::shared_ptr<CudaMemory> &memory = constants[index];
    if (memory)
      continue;
    std::span<const uint8_t> bytes = function.file().segment(index);
    std::weak_ptr<CudaMemory> &known = segments[{bytes.data(), bytes.size()}];
    memory = known.lock();
    if (memory)
      continue;
    auto copy =
        CudaMemory::allocate(driver, bytes.size(), CudaMemory::Place::Device);
    if (!copy.ok())
      return copy.status();
    QOPT_RETURN_IF_ERROR(
        driver->copyIn((*copy)->deviceAddress(), bytes.data(), bytes.size()));
    memory = std::move(*copy);
    known = memory;
  }
  QOPT_RETURN_IF_ERROR(driver->synchronise());
  return constants;
}

StatusOr<std::unique_ptr<Program>>
CudaDevice::prepare(std::shared_ptr<const BoundFunction> function,
                    const ModuleLookup &modules) {
  StatusOr<Constants> constants = constantsOf(*function);
  if (!constants.ok())
    return constants.status();
  return CudaProgram::create(std::move(function), modules, driver,
                             std::move(*constants));
}

/// Quantized activations are plain tensors of codes and scales on a GPU.
static int64_t noQuantizedRows(int64_t) { return 0; }

QuantizedRowBytes CudaDevice::quantizedRowBytes() const {
  return noQuantizedRows;
}

StatusOr<int64_t> cudaCachePageBytes(const plan::CacheLayer &layer,
                                     int64_t page) {
  cuda::KvPageLayout layout;
  layout.keyHeads = layer.kv_heads();
  layout.keySize = layer.key_size();
  layout.valueSize = layer.value_size();
  layout.page = page;
  layout.key = toFormat(*layer.key());
  layout.value = toFormat(*layer.value());
  QOPT_RETURN_IF_ERROR(layout.check());
  return layout.pageBytes();
}

StatusOr<int64_t> CudaDevice::cachePageBytes(const plan::CacheLayer &layer,
                                             int64_t page) const {
  return cudaCachePageBytes(layer, page);
}

} // namespace qopt::runtime
