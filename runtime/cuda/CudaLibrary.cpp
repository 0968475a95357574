// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/cuda/CudaLibrary.h"

#include <cstdlib>
#include <cstring>
#include <dlfcn.h>

namespace qopt::cuda {

std::string spellDriver(int version) {
  return std::to_string(version / 1000) + "." +
         std::to_string(version % 1000 / 10);
}

StatusOr<std::shared_ptr<const CudaLibrary>> CudaLibrary::open() {
  const char *chosen = std::getenv("QOPT_CUDA_DRIVER");
  std::string path = chosen && *chosen ? chosen : "libcuda.so.1";
  void *handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle)
    return Status(StatusCode::Unsupported,
                  "there is no CUDA driver here: " + std::string(dlerror()) +
                      "; install the NVIDIA driver, run with --device "
                      "emulator, or compile the model with --target host");
  auto library = std::make_shared<CudaLibrary>();
  const char *missing = nullptr;
#define QOPT_LOAD(field, symbol, parameters)                                   \
  if (void *address = dlsym(handle, symbol))                                   \
    std::memcpy(&library->functions.field, &address, sizeof(address));         \
  else                                                                         \
    missing = symbol;
  QOPT_CUDA_FUNCTIONS(QOPT_LOAD)
#undef QOPT_LOAD
  if (missing)
    return Status(StatusCode::Unsupported,
                  "the CUDA driver '" + path + "' has no " + missing +
                      "; a driver for CUDA " + spellDriver(oldestDriver) +
                      " or later is needed");
  return std::shared_ptr<const CudaLibrary>(std::move(library));
}

/// A kernel did what no kernel may: it is wrong, unless the GPU is.
static bool blamesKernel(api::Result result) {
  return result == api::illegalAddress || result == api::failedAssertion ||
         result == api::launchFailed ||
         (result >= api::stackError && result <= api::invalidCounter);
}

bool losesContext(api::Result result) {
  return result == api::uncorrectableMemory ||
         result == api::uncorrectableLink || result == api::launchTimeout ||
         blamesKernel(result);
}

/// What to do about a GPU that is busy or has failed, or a kernel; null for
/// results that say nothing of the kind.
static const char *adviceFor(api::Result result) {
  switch (result) {
  case api::deviceUnavailable:
    return "another process has the GPU for itself, or its compute mode "
           "forbids any: nvidia-smi shows both; wait, or choose another GPU";
  case api::uncorrectableMemory:
    return "the GPU's memory is faulty: nvidia-smi -q -d ECC shows it; reset "
           "the GPU or choose another";
  case api::uncorrectableLink:
    return "a link between GPUs is faulty: nvidia-smi nvlink -e shows it; "
           "choose another GPU";
  case api::launchResources:
    return "the GPU has too few registers or too little shared memory for the "
           "kernel: compile the model with --arch of this GPU";
  case api::launchTimeout:
    return "a kernel took longer than the GPU of a display may: choose a GPU "
           "without one";
  case api::systemNotReady:
    return "the GPU's services have not started: see that "
           "nvidia-fabricmanager runs";
  case api::unknown:
    return "the kernel log (dmesg, Xid) says what the GPU did; reset it or "
           "restart the machine";
  default:
    return blamesKernel(result)
               ? "either a kernel is wrong, which is a defect of qopt, or the "
                 "GPU is faulty: Xid 48, 79, 94 or 95 in the kernel log "
                 "(dmesg) tell of the GPU; else report it with the artifact"
               : nullptr;
  }
}

Status CudaLibrary::check(api::Result result, const char *call) const {
  if (result == api::success)
    return {};
  const char *name = nullptr, *text = nullptr;
  functions.errorName(result, &name);
  functions.errorString(result, &text);
  std::string message = std::string(call) + " failed: " +
                        (name ? name : "error " + std::to_string(result)) +
                        (text ? std::string(" (") + text + ")" : "");
  if (losesContext(result))
    message += "; this process cannot use the GPU any more: start it again";
  const char *advice = adviceFor(result);
  if (advice)
    message += std::string("; ") + advice;
  return Status(result == api::outOfMemory        ? StatusCode::OutOfResources
                : result == api::notFound         ? StatusCode::NotFound
                : advice && !blamesKernel(result) ? StatusCode::DeviceFailed
                                                  : StatusCode::Internal,
                std::move(message));
}

} // namespace qopt::cuda
