// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/cuda/Upload.h"

#include <algorithm>
#include <cstring>

namespace qopt::runtime {

StatusOr<Upload> Upload::create(std::shared_ptr<cuda::Driver> driver) {
  Upload upload;
  for (Lane &lane : upload.lanes) {
    auto stream = driver->createStream();
    if (!stream.ok())
      return stream.status();
    lane.stream = std::move(*stream);
    auto piece =
        CudaMemory::allocate(driver, pieceBytes, CudaMemory::Place::Host);
    if (!piece.ok())
      return piece.status();
    lane.piece = std::move(*piece);
  }
  return upload;
}

Status Upload::copy(cuda::Address to, std::span<const uint8_t> from) {
  for (size_t begin = 0; begin < from.size(); begin += pieceBytes) {
    Lane &lane = lanes[next++ % lanes.size()];
    size_t bytes = std::min(pieceBytes, from.size() - begin);
    QOPT_RETURN_IF_ERROR(lane.stream->synchronise());
    std::memcpy(lane.piece->data(), from.data() + begin, bytes);
    QOPT_RETURN_IF_ERROR(
        lane.stream->copyIn(to + begin, lane.piece->data(), bytes));
  }
  return {};
}

Status Upload::finish() {
  Status first;
  for (Lane &lane : lanes)
    if (Status done = lane.stream->synchronise(); first.ok())
      first = done;
  return first;
}

} // namespace qopt::runtime
