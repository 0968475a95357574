// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/host/KeyRotation.h"
#include "runtime/host/AttentionBlock.h"

#include <cmath>

namespace qopt::host {

KeyRotationTables keyRotationTables(const KeyRotation &rotation) {
  constexpr int64_t blocks = chunkKeys / groupKeys;
  KeyRotationTables tables;
  for (int64_t block = 0; block < blocks; ++block)
    for (int64_t i = 0; i < rotation.count; ++i) {
      double angle = double(block * groupKeys) * rotation.frequencies[i];
      tables.blockCos.push_back(float(std::cos(angle)));
      tables.blockSin.push_back(float(std::sin(angle)));
    }
  for (int64_t i = 0; i < rotation.count; ++i)
    for (int64_t step = 0; step < groupKeys; ++step) {
      double angle = double(step) * rotation.frequencies[i];
      tables.stepCos.push_back(float(rotation.scale * std::cos(angle)));
      tables.stepSin.push_back(float(rotation.scale * std::sin(angle)));
    }
  return tables;
}

} // namespace qopt::host
