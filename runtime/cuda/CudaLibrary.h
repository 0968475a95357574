// The CUDA driver, loaded when it is asked for: no toolkit and no GPU is needed
// to build or to start a program that could use one.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_CUDA_CUDALIBRARY_H
#define QOPT_RUNTIME_CUDA_CUDALIBRARY_H

#include "runtime/cuda/Driver.h"

namespace qopt::cuda {

/// The oldest driver that has every function used here: CUDA 12.3, for
/// dependent launches inside graphs.
inline constexpr int oldestDriver = 12030;

/// Opens device `ordinal` of the driver library (QOPT_CUDA_DRIVER names another
/// file than libcuda.so.1). Unsupported where there is no driver, no such
/// device, or the driver is too old; the message says what is needed.
StatusOr<std::shared_ptr<Driver>> openCudaDriver(int ordinal = 0);

} // namespace qopt::cuda

#endif // QOPT_RUNTIME_CUDA_CUDALIBRARY_H
