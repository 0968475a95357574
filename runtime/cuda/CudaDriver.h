// The CUDA driver as a Driver: one GPU, its primary context, streams in it.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_CUDA_CUDADRIVER_H
#define QOPT_RUNTIME_CUDA_CUDADRIVER_H

#include "runtime/cuda/Driver.h"

namespace qopt::cuda {

/// Opens device `ordinal`. Unsupported where there is no driver (CudaLibrary.h)
/// or no such device, or the one or the other is too old; the message says what
/// is needed.
StatusOr<std::shared_ptr<Driver>> openCudaDriver(int ordinal = 0);

} // namespace qopt::cuda

#endif // QOPT_RUNTIME_CUDA_CUDADRIVER_H
