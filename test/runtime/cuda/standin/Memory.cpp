// The driver's functions of devices, contexts and memory.
// NOLINTBEGIN(readability-identifier-naming): the names are the driver's.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Entry.h"

#include <cstdlib>
#include <cstring>

using namespace qopt;
using namespace qopt::cuda;
using namespace qopt::standin;

extern "C" {

STANDIN cuInit(unsigned) {
  Entry call("cuInit", "", Needs::Nothing);
  QOPT_ANSWER_IF(call.result);
  return call.state.settings.devices > 0 ? api::success : noDevice;
}

STANDIN cuDriverGetVersion(int *version) {
  Entry call("cuDriverGetVersion", "", Needs::Nothing);
  *version = call.state.settings.version;
  return call.result;
}

STANDIN cuDeviceGetCount(int *count) {
  Entry call("cuDeviceGetCount", "", Needs::Nothing);
  *count = call.state.settings.devices;
  return call.result;
}

STANDIN cuDeviceGet(api::Device *device, int ordinal) {
  Entry call("cuDeviceGet", "ordinal=" + std::to_string(ordinal),
             Needs::Nothing);
  QOPT_ANSWER_IF(call.result);
  *device = ordinal;
  return ordinal < call.state.settings.devices ? api::success : noDevice;
}

STANDIN cuDeviceGetName(char *name, int bytes, api::Device) {
  Entry call("cuDeviceGetName", "", Needs::Nothing);
  std::strncpy(name, "stand-in GPU", size_t(bytes));
  return call.result;
}

STANDIN cuDeviceTotalMem_v2(size_t *bytes, api::Device) {
  Entry call("cuDeviceTotalMem_v2", "", Needs::Nothing);
  *bytes = call.state.settings.memory;
  return call.result;
}

STANDIN cuDeviceGetAttribute(int *value, int attribute, api::Device) {
  Entry call("cuDeviceGetAttribute", std::to_string(attribute), Needs::Nothing);
  switch (attribute) {
  case api::multiprocessorCount:
    *value = 132;
    break;
  case api::capabilityMajor:
    *value = call.state.settings.major;
    break;
  case api::capabilityMinor:
    *value = call.state.settings.minor;
    break;
  case api::sharedPerBlockOptin:
    *value = call.state.settings.sharedPerBlock();
    break;
  default:
    return invalidValue;
  }
  return call.result;
}

STANDIN cuDevicePrimaryCtxRetain(api::Context *context, api::Device) {
  Entry call("cuDevicePrimaryCtxRetain", "", Needs::Nothing);
  QOPT_ANSWER_IF(call.result);
  ++call.state.contexts;
  *context = reinterpret_cast<api::Context>(&call.state);
  return api::success;
}

STANDIN cuDevicePrimaryCtxRelease_v2(api::Device) {
  Entry call("cuDevicePrimaryCtxRelease_v2", "", Needs::Nothing);
  if (call.state.contexts == 0)
    return invalidContext;
  --call.state.contexts;
  return call.result;
}

STANDIN cuCtxSetCurrent(api::Context context) {
  State &state = State::get();
  std::lock_guard lock(state.mutex);
  if (context != reinterpret_cast<api::Context>(&state) || !state.contexts)
    return invalidContext;
  hasContext = true;
  return api::success;
}

STANDIN cuMemGetInfo_v2(size_t *free, size_t *total) {
  Entry call("cuMemGetInfo_v2", "", Needs::Context);
  *free = call.state.settings.memory - call.state.used;
  *total = call.state.settings.memory;
  return call.result;
}

STANDIN cuMemAlloc_v2(api::DevicePointer *address, size_t bytes) {
  Entry call("cuMemAlloc_v2", "bytes=" + std::to_string(bytes),
             Needs::NoCapture);
  QOPT_ANSWER_IF(call.result);
  if (bytes == 0)
    return invalidValue;
  if (bytes > call.state.settings.memory - call.state.used)
    return api::outOfMemory;
  StatusOr<uint64_t> made = call.state.memory.allocate(bytes);
  if (!made.ok())
    return api::outOfMemory;
  *address = *made;
  call.state.allocations[*made] = bytes;
  call.state.used += bytes;
  return api::success;
}

STANDIN cuMemFree_v2(api::DevicePointer address) {
  Entry call("cuMemFree_v2", "", Needs::NoCapture);
  (void)call.state.runAll();
  auto found = call.state.allocations.find(address);
  if (found == call.state.allocations.end())
    return invalidValue;
  call.state.used -= found->second;
  call.state.allocations.erase(found);
  (void)call.state.memory.release(address).ok();
  return call.result;
}

STANDIN cuMemAllocHost_v2(void **memory, size_t bytes) {
  Entry call("cuMemAllocHost_v2", "bytes=" + std::to_string(bytes),
             Needs::NoCapture);
  QOPT_ANSWER_IF(call.result);
  *memory = std::aligned_alloc(4096, (bytes + 4095) & ~size_t(4095));
  if (!*memory)
    return api::outOfMemory;
  std::memset(*memory, 0xcd, bytes); // nobody promises zeros
  call.state.hostMemory[*memory] = bytes;
  return api::success;
}

STANDIN cuMemFreeHost(void *memory) {
  Entry call("cuMemFreeHost", "", Needs::NoCapture);
  (void)call.state.runAll();
  if (call.state.hostMemory.erase(memory) == 0)
    return invalidValue;
  std::free(memory);
  return call.result;
}

// NOLINTEND(readability-identifier-naming)
}
