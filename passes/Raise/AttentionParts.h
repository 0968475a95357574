// What spelt-out attention and the operator share when they become
// qopt.attention.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_PASSES_RAISE_ATTENTIONPARTS_H
#define QOPT_PASSES_RAISE_ATTENTIONPARTS_H

#include "dialects/Onnx/SymbolicShapes.h"
#include "mlir/IR/PatternMatch.h"
#include "passes/Raise/OnnxBuilder.h"
#include "passes/Raise/OnnxValues.h"

namespace qopt::onnx {

/// A tensor and the order in which its axes are wanted.
struct Permuted {
  mlir::Value source;
  llvm::SmallVector<int64_t> order;

  bool isThere() const;
  mlir::RankedTensorType type() const;
  mlir::Value build(OnnxBuilder &b) const;
};

/// `x` with permuted axes; a Transpose that already is there is taken along.
Permuted permuted(mlir::Value x, llvm::ArrayRef<int64_t> perm);

/// Keys or values before each head was repeated for the query heads that share
/// it: Reshape(Expand(Unsqueeze(x, 2))) with x [B, KV, T, D].
mlir::Value withoutRepeatedHeads(mlir::Value x);

/// Takes factors that are scalar constants off `value`; returns their product.
double takeScale(mlir::Value &value);

/// What stands between the product of queries with keys and the softmax.
struct Scores {
  double scale = 1;
  double softcap = 0; ///< 0: none
  mlir::Value mask;   ///< none, or i1 (true attends), or floats to be added
  bool isInverted = false; ///< of an i1 mask: false attends
  mlir::Value bias; ///< none, or [B·H, 1 or S, T] that is added before heads
                    ///< are parted
  llvm::SmallVector<mlir::Value> terms; ///< other floats to be added
  bool causal = false;                  ///< the last query sees the last key
  std::optional<int64_t> window; ///< of causal ones: keys that a query sees
};

struct Heads {
  mlir::Value q;    ///< [B, H, S, D]
  mlir::Value k, v; ///< [B, KV, T, D], [B, KV, T, Dv]
};

/// Why these shapes of heads are no attention, or an empty string.
llvm::StringRef refusal(mlir::RankedTensorType q, mlir::RankedTensorType k,
                        mlir::RankedTensorType v);

/// The attention of [B, H, S, D] queries, [B, H, S, Dv].
mlir::Value makeAttention(OnnxBuilder &b, const Heads &heads,
                          const Scores &scores);

/// onnx.Attention as qopt.attention.
void addAttentionOperatorPattern(mlir::RewritePatternSet &patterns,
                                 const SymbolicShapes &shapes);

} // namespace qopt::onnx

#endif // QOPT_PASSES_RAISE_ATTENTIONPARTS_H
