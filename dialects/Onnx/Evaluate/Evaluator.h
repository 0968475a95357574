// Evaluates values of the onnx dialect on concrete tensors: the reference
// meaning of the dialect, used to fold constants and to find out what a
// subgraph computes (a mask, a position) by asking it. Demand driven: only what
// a value needs is computed, once; where only a shape matters no data is.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_DIALECTS_ONNX_EVALUATE_EVALUATOR_H
#define QOPT_DIALECTS_ONNX_EVALUATE_EVALUATOR_H

#include "dialects/Onnx/Evaluate/Kernel.h"
#include "mlir/IR/Value.h"
#include "llvm/ADT/DenseMap.h"

namespace qopt::onnx {

class Evaluator {
public:
  /// `further`: kernels of operations outside the onnx dialect, by their full
  /// names ("tensor.cast"); they live as long as the evaluator.
  explicit Evaluator(EvaluationLimits limits = {},
                     llvm::ArrayRef<KernelEntry> further = {})
      : limits(limits), further(further) {}

  /// Fixes a value, usually a function argument. A tensor without data gives
  /// only its shape; whoever needs the data then fails.
  void bind(mlir::Value value, HostTensor tensor);

  /// The tensor of a value. Fails, naming the operation, where an unbound
  /// argument, an unsupported operation or a limit is met.
  StatusOr<HostTensor> evaluate(mlir::Value value);
  /// The shape of a value, without its data where that is possible.
  StatusOr<HostTensor::Shape> shapeOf(mlir::Value value);

private:
  enum class Level { Shape, Data };
  struct Demand {
    mlir::Value value;
    Level level;
  };

  StatusOr<HostTensor> satisfy(Demand demand);
  bool isKnown(Demand demand);
  /// Computes one value, or adds to `missing` what has to be known before.
  Status step(Demand demand, llvm::SmallVectorImpl<Demand> &missing);
  Status stepBranch(Demand demand, llvm::SmallVectorImpl<Demand> &missing);
  Status stepKernel(Demand demand, llvm::SmallVectorImpl<Demand> &missing);
  Status remember(mlir::Value value, HostTensor tensor);

  const KernelEntry *kernelOf(mlir::Operation *op) const;

  EvaluationLimits limits;
  llvm::ArrayRef<KernelEntry> further;
  int64_t used = 0;
  llvm::DenseMap<mlir::Value, HostTensor> known;
};

} // namespace qopt::onnx

#endif // QOPT_DIALECTS_ONNX_EVALUATE_EVALUATOR_H
