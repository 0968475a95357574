// Memory, modules and constants of a GPU; programs are made in CudaProgram.cpp.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/cuda/CudaDevice.h"

#include "runtime/MemoryBudget.h"
#include "runtime/cuda/CodeImage.h"
#include "runtime/cuda/CudaProgram.h"
#include "runtime/cuda/KvPageLayout.h"
#include "runtime/cuda/StepLayout.h"
#include "runtime/cuda/Upload.h"
#include "runtime/plan/PlanFormat.h"

#include <cstring>
#include <optional>
#include <set>

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
    StatusOr<cuda::Address> device = from.allocate(bytes);
    if (!device.ok()) {
      StatusOr<size_t> free = from.freeMemory();
      return Status(
          device.status().code(),
          "cannot allocate " + spellBytes(bytes) + " on the GPU (" +
              from.facts().name + ")" +
              (free.ok() ? ", which has " + spellBytes(*free) + " free" : "") +
              ": " + device.status().message());
    }
    memory->address = reinterpret_cast<uint8_t *>(*device);
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
  auto stream = driver->createStream();
  if (!stream.ok())
    return stream.status();
  if (bytes > 0)
    QOPT_RETURN_IF_ERROR((*stream)->clear((*memory)->deviceAddress(), bytes));
  QOPT_RETURN_IF_ERROR((*stream)->synchronise());
  return std::unique_ptr<DeviceMemory>(std::move(*memory));
}

StatusOr<std::unique_ptr<DeviceMemory>> CudaDevice::allocateHost(size_t bytes) {
  auto memory = CudaMemory::allocate(driver, bytes, CudaMemory::Place::Host);
  if (!memory.ok())
    return memory.status();
  if (bytes > 0)
    std::memset((*memory)->data(), 0, bytes);
  return std::unique_ptr<DeviceMemory>(std::move(*memory));
}

StatusOr<std::unique_ptr<DeviceQueue>> CudaDevice::makeQueue() {
  auto stream = driver->createStream();
  if (!stream.ok())
    return stream.status();
  return std::unique_ptr<DeviceQueue>(
      std::make_unique<CudaQueue>(std::move(*stream)));
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

/// Architectures that a launch has kernels for: "sm_80, sm_90a".
static std::string architecturesOf(const plan::Launch &launch) {
  std::set<std::string> names;
  for (const plan::Variant *variant : *launch.variants())
    names.insert("sm_" + std::to_string(variant->architecture()) +
                 (variant->specific() ? "a" : ""));
  std::string text;
  for (const std::string &name : names)
    text += (text.empty() ? "" : ", ") + name;
  return text;
}

StatusOr<std::vector<std::shared_ptr<Module>>>
CudaDevice::loadCode(const plan::Function &function,
                     const ModuleLookup &modules) {
  std::map<uint32_t, std::shared_ptr<Module>> loaded;
  const cuda::DeviceFacts &facts = driver->facts();
  for (uint32_t i = 0; function.steps() && i < function.steps()->size(); ++i) {
    const plan::Launch *launch =
        function.steps()->Get(i)->operation_as_Launch();
    if (!launch)
      continue;
    auto variants = variantsFor(*launch, facts);
    if (variants.empty())
      return Status(StatusCode::Unsupported,
                    "the artifact has kernels for " + architecturesOf(*launch) +
                        "; the GPU (" + facts.name +
                        ") has compute capability " + facts.capability() +
                        ": compile the model again with --arch sm_80, whose "
                        "PTX runs on GPUs from 8.0 on");
    for (const plan::Variant *variant : variants) {
      std::shared_ptr<Module> &module = loaded[variant->segment()];
      if (module)
        continue;
      StatusOr<std::shared_ptr<Module>> found = modules(variant->segment());
      if (!found.ok())
        return found.status();
      module = std::move(*found);
    }
  }
  std::vector<std::shared_ptr<Module>> all;
  all.reserve(loaded.size());
  for (auto &[segment, module] : loaded)
    all.push_back(std::move(module));
  return all;
}

Status CudaDevice::requireMemory(std::span<const MemoryPart> parts) {
  StatusOr<size_t> free = driver->freeMemory();
  if (!free.ok())
    return free.status();
  return checkBudget("the GPU (" + driver->facts().name + ")", *free, parts);
}

/// The segments that constants of a function lie in.
static std::set<uint32_t> segmentsOf(const plan::Function &function) {
  std::set<uint32_t> segments;
  for (uint32_t i = 0; function.values() && i < function.values()->size();
       ++i) {
    const plan::Value &value = *function.values()->Get(i);
    if (value.storage() == plan::Storage::Constant)
      segments.insert(value.index());
  }
  return segments;
}

size_t CudaDevice::constantBytes(const ArtifactFile &file,
                                 const plan::Function &function) {
  std::lock_guard lock(mutex);
  size_t bytes = 0;
  for (uint32_t segment : segmentsOf(function))
    if (known(file.segment(segment)).expired())
      bytes += file.segment(segment).size();
  return bytes;
}

StatusOr<CudaDevice::Constants>
CudaDevice::constantsOf(const ArtifactFile &file,
                        const plan::Function &function) {
  std::lock_guard lock(mutex);
  Constants constants;
  std::optional<Upload> upload;
  for (uint32_t index : segmentsOf(function)) {
    Bytes bytes = file.segment(index);
    std::shared_ptr<CudaMemory> &memory = constants[index];
    memory = known(bytes).lock();
    if (memory)
      continue;
    if (!upload) {
      StatusOr<Upload> made = Upload::create(driver);
      if (!made.ok())
        return made.status();
      upload.emplace(std::move(*made));
    }
    auto copy =
        CudaMemory::allocate(driver, bytes.size(), CudaMemory::Place::Device);
    if (!copy.ok())
      return copy.status();
    QOPT_RETURN_IF_ERROR(upload->copy((*copy)->deviceAddress(), bytes));
    memory = std::move(*copy);
  }
  if (upload)
    QOPT_RETURN_IF_ERROR(upload->finish());
  for (auto &[index, memory] : constants) // those that are complete
    known(file.segment(index)) = memory;
  return constants;
}

StatusOr<std::vector<std::shared_ptr<DeviceMemory>>>
CudaDevice::loadConstants(const ArtifactFile &file,
                          const plan::Function &function) {
  StatusOr<Constants> constants = constantsOf(file, function);
  if (!constants.ok())
    return constants.status();
  std::vector<std::shared_ptr<DeviceMemory>> all;
  for (auto &[index, memory] : *constants)
    all.push_back(memory);
  return all;
}

WorkingMemory CudaDevice::workingMemory(const BoundFunction &function) const {
  return StepLayout::of(function).total;
}

StatusOr<std::unique_ptr<Program>>
CudaDevice::prepare(std::shared_ptr<const BoundFunction> function,
                    const ModuleLookup &modules) {
  StatusOr<Constants> constants =
      constantsOf(function->file(), function->function());
  if (!constants.ok())
    return constants.status();
  return CudaProgram::create(std::move(function), modules, driver,
                             std::move(*constants), mode);
}

std::optional<int64_t> cudaQuantizedRowBytes(const quant::Format &, int64_t) {
  return 0;
}

QuantizedRowBytes CudaDevice::quantizedRowBytes() const {
  return cudaQuantizedRowBytes;
}

StatusOr<CacheSizes> cudaCacheSizes(const plan::CacheLayer &layer,
                                    int64_t page) {
  cuda::KvPageLayout layout;
  layout.keyHeads = layer.kv_heads();
  layout.keySize = layer.key_size();
  layout.valueSize = layer.value_size();
  layout.page = page;
  layout.key = toFormat(*layer.key());
  layout.value = toFormat(*layer.value());
  layout.recent = layer.recent();
  layout.first = layer.first();
  QOPT_RETURN_IF_ERROR(layout.check());
  return CacheSizes{layout.pageBytes(), layout.slotBytes()};
}

StatusOr<CacheSizes> CudaDevice::cacheSizes(const plan::CacheLayer &layer,
                                            int64_t page) const {
  return cudaCacheSizes(layer, page);
}

} // namespace qopt::runtime
