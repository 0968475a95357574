// Writes the body of a causal language model again for a ragged batch: every
// tensor [B, S, features…] becomes [T, features…] in f32, T the tokens of all
// sequences of a step, and every attention reads a paged cache instead of its
// past operands. Whether the source means that is RaiseDecoder's question.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_PASSES_RAISE_RAGGEDREWRITER_H
#define QOPT_PASSES_RAISE_RAGGEDREWRITER_H

#include "dialects/Onnx/OnnxOps.h"
#include "dialects/QOpt/QOptOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/DenseMap.h"

namespace qopt::passes {

/// One attention of the source and what the rewriter needs to know of it.
struct DecoderLayer {
  ir::AttentionOp attention;
  mlir::Value newKey, newValue; ///< [B, KV, S, D], without the past
  std::optional<int64_t> window = std::nullopt;
  llvm::SmallVector<float> slopes = {}; ///< ALiBi, of each head; empty: none
  llvm::SmallVector<float> biases = {}; ///< [heads, distances]; empty: none
  /// Of attention to what an encoder made: the layer of the cache that has it,
  /// for which there are no new keys and values.
  std::optional<int64_t> source = std::nullopt;
};

/// The parts of a causal language model in the source function.
struct DecoderParts {
  mlir::Value tokens; ///< the argument [B, S] of token ids
  mlir::Value logits; ///< [B, S, V]
  /// Proven to be each token's position plus a number.
  llvm::DenseMap<mlir::Value, int64_t> positions;
  llvm::SmallVector<DecoderLayer> layers; ///< in the order of the network
};

class RaggedRewriter {
public:
  /// `builder` stands in the body of a function with the arguments tokens
  /// tensor<?xi32>, batch and cache.
  RaggedRewriter(mlir::OpBuilder &builder, const DecoderParts &parts,
                 mlir::BlockArgument tokens, mlir::BlockArgument batch,
                 mlir::BlockArgument cache)
      : builder(builder), parts(parts), tokens(tokens), batch(batch),
        cache(cache) {}

  /// The logits [selected rows, V] and the cache after the step. Fails with a
  /// remark at the first operation that has no ragged form.
  mlir::FailureOr<std::pair<mlir::Value, mlir::Value>> rewrite();

private:
  using MaybeValue = mlir::FailureOr<mlir::Value>;

  MaybeValue translate(mlir::Value value);
  /// As translate, for the selected rows only, taken as early as it is exact.
  MaybeValue translateSelected(mlir::Value value);
  MaybeValue translateNew(mlir::Value value);
  MaybeValue translateIds(mlir::Value value);
  MaybeValue translateConstant(mlir::Value value);
  MaybeValue translateTokenWise(mlir::Operation *op, mlir::Value value);
  MaybeValue translateReshape(mlir::Value value, mlir::Value source);
  MaybeValue translateSlice(mlir::Value value, mlir::Value source,
                            int64_t offset);
  /// The places [offset, offset + size) of the last axis.
  mlir::Value sliceOf(mlir::Value x, int64_t offset, int64_t size);
  /// [T, features…] of as many numbers a token.
  MaybeValue regrouped(mlir::Value x, llvm::ArrayRef<int64_t> features);
  MaybeValue translateSplit(mlir::Value value);
  /// One of the places of an axis of the features.
  MaybeValue translateGather(onnx::GatherOp op);
  MaybeValue translateElementwise(mlir::Operation *op);
  MaybeValue translateAttention(ir::AttentionOp op);
  /// [B, KV, S, D] as [T, KV, D].
  MaybeValue translateHeads(mlir::Value value);
  MaybeValue unsupported(mlir::Value value);

  mlir::OpBuilder &builder;
  const DecoderParts &parts;
  mlir::Value tokens, batch, cache;
  llvm::DenseMap<mlir::Value, mlir::Value> known;
  /// Sources whose row count is that of the selected rows.
  llvm::DenseSet<mlir::Value> selected;
};

} // namespace qopt::passes

#endif // QOPT_PASSES_RAISE_RAGGEDREWRITER_H
