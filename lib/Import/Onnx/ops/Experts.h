// The weights of all experts of a mixture, and those of one.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_IMPORT_ONNX_OPS_EXPERTS_H
#define QOPT_LIB_IMPORT_ONNX_OPS_EXPERTS_H

#include "lib/Import/Onnx/NodeContext.h"

namespace qopt::import {

/// What one expert's product reads; null attributes are absent. With scales,
/// as MatMulNBits has them.
struct ExpertWeights {
  mlir::ElementsAttr weights, scales, zeros, bias;
  int64_t block = 0;
};

/// One of the products fc1, fc2 and fc3 of all experts, x [T, K] with each W
/// [N, K], as com.microsoft's MoE and QMoE have it.
class Projection {
public:
  int64_t experts = 0, rows = 0, columns = 0; ///< E, N, K
  int64_t bits = 0;                           ///< 0: floats

  /// Weights [E, N, K] and an optional bias [E, N]. BadModel for other shapes,
  /// Unsupported for what a graph computes.
  static StatusOr<Projection> ofFloats(NodeContext &node, unsigned weights,
                                       unsigned bias, int64_t columns);

  struct Inputs {
    unsigned weights, scales, bias, zeros;
  };
  /// Codes ui8 [E, N, K · bits / 8], first in the low bits; scales [E, N, K /
  /// block], or [E, N] where the block is 0; zero points packed ui8 [E, N,
  /// ceil(K / block · bits / 8)], or [E, ceil(N · bits / 8)].
  static StatusOr<Projection> ofCodes(NodeContext &node, Inputs inputs,
                                      int64_t columns, int64_t bits,
                                      int64_t block);

  /// Views of the file's bytes; a scale of a whole row is repeated for blocks
  /// as long as MatMulNBits allows.
  ExpertWeights at(int64_t expert) const;

private:
  mlir::ElementsAttr repeatedScales(int64_t expert) const;
  mlir::ElementsAttr repeatedZeros(int64_t expert) const;
  /// Blocks of a row as MatMulNBits has them.
  int64_t blocks() const { return columns / block; }

  mlir::ElementsAttr weights, scales, zeros, bias;
  bool ofRows = false; ///< one scale a row
  int64_t block = 0;   ///< never 0 where there are codes
};

} // namespace qopt::import

#endif // QOPT_LIB_IMPORT_ONNX_OPS_EXPERTS_H
