// The bytes of an artifact (`model.qopt`), shared by reader and writer:
//
//   0        header, 128 bytes, zeros up to 4096
//   4096     segment 0 … n-1, each at a multiple of 4096, zeros in between
//   …        the plan (FlatBuffers, plan/Plan.fbs), at a multiple of 4096;
//            it ends the file
//
// Every byte is covered: the header by `headerDigest`, the plan by
// `planDigest`, a segment by the digest in the plan's segment table, and the
// padding must be zero. All integers are little-endian.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_ARTIFACTFORMAT_H
#define QOPT_RUNTIME_ARTIFACTFORMAT_H

#include <cstdint>

namespace qopt::runtime {

inline constexpr uint64_t segmentAlignment = 4096;

/// Raised whenever an older runtime could misread a newer artifact.
inline constexpr uint32_t formatVersion = 5;

/// "\x89QOPT\r\n\x1a": a text-mode transfer or a cut at eight bits damages it
/// visibly.
inline constexpr uint8_t artifactMagic[8] = {0x89, 'Q',  'O',  'P',
                                             'T',  '\r', '\n', 0x1a};

struct ArtifactHeader {
  uint8_t magic[8];
  uint32_t version;
  uint32_t headerSize; ///< 128
  uint64_t fileSize;
  uint64_t planOffset;
  uint64_t planSize;
  uint8_t planDigest[32];
  uint8_t reserved[24];     ///< zero
  uint8_t headerDigest[32]; ///< SHA-256 of the 96 bytes before it
};
static_assert(sizeof(ArtifactHeader) == 128);

/// The next multiple of `segmentAlignment`; the callers have bounded `offset`.
inline uint64_t alignSegment(uint64_t offset) {
  return (offset + segmentAlignment - 1) & ~(segmentAlignment - 1);
}

} // namespace qopt::runtime

#endif // QOPT_RUNTIME_ARTIFACTFORMAT_H
