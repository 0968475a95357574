// The reference: a program behind the stage quantize, computed operation by
// operation from the formulas of the dialect's records, in f64 and with bounds
// (Bounded.h). It knows no kernel, layout or order of sums. Weights are what
// their canonical codes stand for, which lib/Quant's tests compare with other
// models.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TEST_RANDOM_INTERPRETER_H
#define QOPT_TEST_RANDOM_INTERPRETER_H

#include "Bounded.h"
#include "dialects/QOpt/QOptOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "qopt/Status.h"
#include "llvm/ADT/DenseMap.h"

#include <map>
#include <optional>
#include <string>

namespace qopt::programs {

/// New tokens of one sequence in a step.
struct Slice {
  int sequence = 0;
  int64_t first = 0;  ///< position of the first
  int64_t tokens = 0; ///< new ones
};

/// A step of a decoder.
struct Batch {
  std::vector<Slice> slices;
  std::vector<int64_t> selected; ///< rows whose logits are asked
  std::vector<int32_t> tokens;

  /// The position of each token.
  std::vector<int64_t> positions() const;
};

class Interpreter {
public:
  Interpreter(mlir::func::FuncOp function, Precision precision)
      : function(function), precision(precision) {}

  /// Of a graph: inputs by their names.
  StatusOr<Bounded> run(const std::map<std::string, Bounded> &inputs);
  /// Of a decoder, whose cache has what the steps before appended.
  StatusOr<Bounded> run(const Batch &batch);

private:
  /// A matrix, row after row.
  struct Weight {
    int64_t rows = 0, columns = 0;
    std::vector<double> values;
    /// Magnitudes of the terms that kernels make a product of: codes and what
    /// is subtracted from them.
    std::vector<double> sizes;
    /// Bounds on what is lost where a weight is rounded to 16 bits.
    std::vector<double> rounding;
    /// What a device's own numbers of codes add, known but for the x.
    std::vector<double> drift;
    bool alwaysRounded = false; ///< groups of 16 on a GPU
  };
  /// What a layer of the cache has been given, in f64.
  struct Layer {
    std::map<int, std::vector<Real>> keys, values; ///< by sequence
  };
  /// A layer as attention reads it: of one sequence and head.
  struct Entries {
    std::vector<Real> wide, codes; ///< [positions, size]
    std::vector<double> wideSizes, codeSizes;
  };

  using Status = qopt::Status;
  Status runBody();
  Status run(mlir::Operation *op);
  Status unknown(mlir::Operation *op) const;
  const Bounded &of(mlir::Value value) const {
    return known.find(value)->second;
  }
  /// Keeps a result, rounded to its type.
  void keep(mlir::Value result, Bounded value);
  /// The shape of a result with one dimension that only the numbers tell.
  std::vector<int64_t> shapeOf(mlir::Value value, size_t elements) const;

  // Constants and moves (Interpreter.cpp).
  Status constant(mlir::Operation *op, mlir::ElementsAttr value);
  Status reshape(mlir::Operation *op);
  Status transpose(mlir::Operation *op);
  Status slice(mlir::Operation *op);
  Status selectRows(qopt::ir::SelectRowsOp op);
  Status positions(qopt::ir::PositionsOp op);

  // Arithmetic (InterpretArithmetic.cpp).
  Status elementwise(mlir::linalg::GenericOp op);
  Status binary(mlir::Operation *op);
  Status softmax(mlir::Operation *op);
  Status activation(qopt::ir::ActivationOp op);
  Status gated(qopt::ir::GatedActivationOp op);
  Status norm(mlir::Operation *op);
  Status quantize(qopt::ir::QuantizeOp op);
  Status rotaryTable(qopt::ir::RotaryTableOp op);
  Status rotary(qopt::ir::RotaryOp op);
  Real apply(qopt::ir::Function function, Real x) const;

  // Products with weights (InterpretWeights.cpp).
  Status linear(qopt::ir::LinearOp op);
  Status embedding(qopt::ir::EmbeddingOp op);
  StatusOr<const Weight *> weightOf(mlir::Value value);
  Status addRows(mlir::Value part, Weight &weight) const;

  // Attention (InterpretAttention.cpp).
  struct Query;
  struct Entry;
  void attend(const Query &query, const std::vector<Entry> &entries,
              Real *result) const;
  Status append(qopt::ir::KVAppendOp op);
  Status cachedAttention(qopt::ir::CachedAttentionOp op);
  Status attention(qopt::ir::AttentionOp op);
  Entries keysOf(const std::vector<Real> &all, int64_t head,
                 qopt::ir::KVCacheType type, int64_t layer) const;
  Entries valuesOf(const std::vector<Real> &all, int64_t head,
                   qopt::ir::KVCacheType type, int64_t layer) const;

  mlir::func::FuncOp function;
  Precision precision;
  llvm::DenseMap<mlir::Value, Bounded> known;
  llvm::DenseMap<mlir::Value, Weight> weights;
  std::map<int64_t, Layer> cache;
  const Batch *batch = nullptr;
};

} // namespace qopt::programs

#endif // QOPT_TEST_RANDOM_INTERPRETER_H
