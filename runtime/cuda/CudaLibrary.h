// The CUDA driver library, loaded when it is asked for: no toolkit and no GPU
// is needed to build or to start a program that could use one. What its calls
// answer becomes a Status here.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_CUDA_CUDALIBRARY_H
#define QOPT_RUNTIME_CUDA_CUDALIBRARY_H

#include "qopt/Status.h"
#include "runtime/cuda/CudaApi.h"

#include <memory>
#include <string>

namespace qopt::cuda {

/// The oldest driver that has every function used here: CUDA 12.3, for
/// dependent launches inside graphs.
inline constexpr int oldestDriver = 12030;

/// "12.3" of 12030.
std::string spellDriver(int version);

/// After these every later call of the process fails too.
bool losesContext(api::Result result);

/// The functions of the library, which stays loaded for the process's life, as
/// the driver's own threads may.
struct CudaLibrary {
  api::Functions functions = {};

  /// QOPT_CUDA_DRIVER names another file than libcuda.so.1. Unsupported where
  /// there is none or one that lacks a function.
  static StatusOr<std::shared_ptr<const CudaLibrary>> open();
  /// What `call` answered. OutOfResources: memory; NotFound: a name;
  /// DeviceFailed: a GPU that is busy or has failed; Internal: a kernel that
  /// failed, or a wrong call. The message names call and error, says when the
  /// process cannot use the GPU any more, and what to do.
  Status check(api::Result result, const char *call) const;
};

} // namespace qopt::cuda

#endif // QOPT_RUNTIME_CUDA_CUDALIBRARY_H
