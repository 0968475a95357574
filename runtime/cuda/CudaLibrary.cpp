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
                      "; install the NVIDIA driver, or run with --device host "
                      "or emulator");
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

/// After these every later call of the process fails too.
static bool losesContext(api::Result result) {
  switch (result) {
  case api::uncorrectableMemory:
  case api::illegalAddress:
  case api::launchTimeout:
  case api::failedAssertion:
  case api::launchFailed:
    return true;
  default:
    return result >= api::stackError && result <= api::invalidCounter;
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
  return Status(result == api::outOfMemory ? StatusCode::OutOfResources
                : result == api::notFound  ? StatusCode::NotFound
                                           : StatusCode::Internal,
                std::move(message));
}

} // namespace qopt::cuda
