// Copies large constants to a GPU at the speed of the bus: through two pieces
// of pinned memory, one of which is filled while the other is on its way.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_CUDA_UPLOAD_H
#define QOPT_RUNTIME_CUDA_UPLOAD_H

#include "runtime/cuda/CudaDevice.h"

#include <array>
#include <span>

namespace qopt::runtime {

class Upload {
public:
  static StatusOr<Upload> create(std::shared_ptr<cuda::Driver> driver);

  /// `from` may change when this returns.
  Status copy(cuda::Address to, std::span<const uint8_t> from);
  /// Waits for all copies.
  Status finish();

private:
  static constexpr size_t pieceBytes = size_t(8) << 20;
  struct Lane {
    std::unique_ptr<CudaMemory> piece;
    std::unique_ptr<cuda::DriverStream> stream;
    Lane() = default;
    Lane(Lane &&) = default;
    /// After a failure too the piece outlives its copy.
    ~Lane() {
      if (stream)
        (void)stream->synchronise().ok();
    }
  };
  std::array<Lane, 2> lanes;
  size_t next = 0;
};

} // namespace qopt::runtime

#endif // QOPT_RUNTIME_CUDA_UPLOAD_H
