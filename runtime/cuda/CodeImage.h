// A code segment of a GPU artifact: the same kernels as PTX text and as machine
// code (cubin) for some architectures. What a device can run best is chosen
// here, and what is missing is said.
//
//   | magic "QGPU" | version u32 | count u32 | 0 u32 |
//   | entry: kind u32 (0 PTX, 1 cubin), architecture u32 (90), specific u32,
//     0 u32, offset u64, bytes u64 | × count
//   | images, each at a multiple of 16 |
//
// All integers are little endian. `specific` is 1 where the code runs on that
// architecture alone (sm_90a), else on all of the same major number from it on
// (cubin), or on every later one (PTX).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_CUDA_CODEIMAGE_H
#define QOPT_RUNTIME_CUDA_CODEIMAGE_H

#include "qopt/Status.h"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace qopt::cuda {

enum class ImageKind : uint32_t { Ptx = 0, Cubin = 1 };

struct CodeImage {
  ImageKind kind = ImageKind::Ptx;
  uint32_t architecture = 0; ///< 80, 90
  bool specific = false;     ///< sm_90a
  std::span<const uint8_t> bytes;

  std::string spell() const; ///< "cubin for sm_90a"
};

/// The segment's bytes for these images.
std::vector<uint8_t> writeCodeImages(std::span<const CodeImage> images);

/// Checks every offset. Fails with BadArtifact.
StatusOr<std::vector<CodeImage>>
readCodeImages(std::span<const uint8_t> segment);

/// The image for a device of compute capability `major`.`minor`: a cubin made
/// for it before PTX, the closest architecture first. Fails with Unsupported
/// and a message that lists what there is.
StatusOr<CodeImage> chooseImage(std::span<const CodeImage> images, int major,
                                int minor);

} // namespace qopt::cuda

#endif // QOPT_RUNTIME_CUDA_CODEIMAGE_H
