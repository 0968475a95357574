// Keys that lie in the cache ahead of their rotation: `qopt.key_rotation` of a
// cached_attention says how each key is rotated when it is read, by its
// position. Without it keys are attended to as they are stored.
//
//   {frequencies = array<f32: …>, scale = 1.0 : f32, interleaved}
//
// The angle of channel pair i at position j is j · frequencies[i]; `scale`
// multiplies its cosine and sine; pairs are those of qopt.rotary.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_DIALECTS_QOPT_KEYROTATION_H
#define QOPT_DIALECTS_QOPT_KEYROTATION_H

#include "mlir/IR/Operation.h"
#include <optional>

namespace qopt::ir {

constexpr llvm::StringLiteral keyRotationAttribute = "qopt.key_rotation";

struct KeyRotation {
  llvm::SmallVector<float> frequencies; ///< of pairs of channels
  float scale = 1;
  bool interleaved = false;
};

/// Of a cached_attention; nothing: keys are stored rotated.
std::optional<KeyRotation> keyRotationOf(mlir::Operation *attention);
void setKeyRotation(mlir::Operation *attention, const KeyRotation &rotation);

/// Fails with an error at `op` where the attribute is no rotation of its keys.
mlir::LogicalResult verifyKeyRotation(mlir::Operation *op,
                                      mlir::Attribute attribute);

} // namespace qopt::ir

#endif // QOPT_DIALECTS_QOPT_KEYROTATION_H
