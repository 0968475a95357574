// Keys that lie in the cache ahead of their rotation (Rotary.h): each chunk is
// rotated when it is read, by the positions of its keys. Channels that are
// large in all positions stay so in the cache, where a rotation would spread
// them over two, which is what scales of channels want (KVQuant, arXiv
// 2401.18079).
//
// A position is chunk + 16·block + step, and the cosine of a sum is one of
// cosines and sines: those of the chunk are computed when it is read, in f64,
// those of blocks and steps lie in tables.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_HOST_KEYROTATION_H
#define QOPT_RUNTIME_HOST_KEYROTATION_H

#include <cstdint>
#include <vector>

namespace qopt::host {

/// Cosines and sines of the angles within a chunk.
struct KeyRotationTables {
  std::vector<float> blockCos, blockSin; ///< [blocks of a chunk][R/2]
  std::vector<float> stepCos, stepSin;   ///< [R/2][16], times the scale
};

/// The rotation; `count` 0: keys are attended to as they are stored.
struct KeyRotation {
  int64_t count = 0;                  ///< R/2
  const float *frequencies = nullptr; ///< [count]
  float scale = 1;                    ///< of cosines and sines
  bool interleaved = false;
  const KeyRotationTables *tables = nullptr;
};

/// Those of its frequencies and scale.
KeyRotationTables keyRotationTables(const KeyRotation &rotation);

} // namespace qopt::host

#endif // QOPT_RUNTIME_HOST_KEYROTATION_H
