// Writes a function that consists of kernels as a plan: each qopt op is one
// step, reshapes and slices are views, index arithmetic is symbols. Where the
// bytes of constants and weights go is the ConstantPool's business.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_DRIVER_PLANBUILDER_H
#define QOPT_LIB_DRIVER_PLANBUILDER_H

#include "dialects/QOpt/QOptOps.h"
#include "lib/Driver/SizeSymbols.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/StringMap.h"

namespace qopt::driver {

/// Where constant bytes lie in the artifact.
struct ConstantPlace {
  uint32_t segment;
  uint64_t offset, bytes;
};

/// Stores constants; implemented by the artifact's writer.
class ConstantPool {
public:
  virtual ~ConstantPool() = default;
  virtual StatusOr<ConstantPlace> addWeight(mlir::Value weight) = 0;
  /// The sums of the codes of each row, i32, in the order of the rows.
  virtual StatusOr<ConstantPlace> addRowSums(mlir::Value weight) = 0;
  virtual StatusOr<ConstantPlace> addBytes(llvm::ArrayRef<char> bytes) = 0;
  /// The elements of a constant as they are stored (StoredElements), or f16 and
  /// bf16 as f32. BadModel where the IR lacks them.
  virtual StatusOr<ConstantPlace> addElements(mlir::ElementsAttr elements);
  virtual StatusOr<ConstantPlace> addWidened(mlir::ElementsAttr halves);
};

/// The machine code of qopt.generated: its segment, and for each kernel the
/// iterations of its outermost loop over its sizes as symbols.
struct GeneratedCode {
  uint32_t segment = 0;
  llvm::StringMap<mlir::AffineMap> extents;
};

/// What a plan calls an element type; sizes of tensors are I64.
plan::DType dtypeOf(mlir::Type element);

class CudaKernels;

class PlanBuilder {
public:
  PlanBuilder(ConstantPool &pool, const GeneratedCode &code,
              mlir::func::FuncOp func);
  /// A plan of GPU kernels, which are made in `kernels`.
  PlanBuilder(ConstantPool &pool, CudaKernels &kernels,
              mlir::func::FuncOp func);

  /// The function's plan; a failure is an error at the op that has no step.
  mlir::FailureOr<std::unique_ptr<plan::FunctionT>> build();

private:
  friend class CudaSteps;
  friend class KernelSteps;
  using Sizes = llvm::SmallVector<uint32_t, 4>;

  mlir::LogicalResult addArguments();
  mlir::LogicalResult addOperation(mlir::Operation *op);
  mlir::LogicalResult addKernel(mlir::Operation *op);
  /// As addOperation, once the sizes of the op's results are found.
  mlir::LogicalResult addWithSizes(mlir::Operation *op);
  mlir::LogicalResult addConstant(mlir::Operation *op);
  mlir::LogicalResult addView(mlir::Operation *op);
  mlir::LogicalResult addSlice(mlir::tensor::ExtractSliceOp op);
  /// Whether an operand's kernel reads rows that lie apart (Plan.fbs, Value);
  /// isAligned: each begins at a multiple of 16 bytes, which norms of GPUs
  /// want.
  bool readsSeparateRows(mlir::OpOperand &use, bool isAligned) const;
  mlir::LogicalResult addRequirement(ir::RequireOp op);
  /// The elements of value `from` as those of `to`, of the same type and shape.
  mlir::LogicalResult addCopy(mlir::Operation *op, uint32_t from, uint32_t to);
  mlir::LogicalResult addOutputs(mlir::Operation *terminator);

  /// Finds the sizes of an op's results.
  mlir::LogicalResult resolveSizes(mlir::Operation *op);
  mlir::FailureOr<uint32_t> dimOf(mlir::Value tensor, int64_t axis);
  uint32_t addValue(mlir::Value value, plan::Storage storage);
  uint32_t newValue(mlir::Value type, plan::Storage storage);
  /// The plan's value of a tensor operand; vectors of norms and biases are
  /// widened to f32.
  uint32_t valueOf(mlir::Value value);
  /// On a GPU, where quantized activations are plain tensors: the scales beside
  /// the codes that valueOf gives, one f32 a row.
  uint32_t scalesOf(mlir::Value quantized);
  mlir::FailureOr<uint32_t> widenedConstant(mlir::Value value);
  mlir::FailureOr<uint32_t> weightOf(mlir::Value value);
  /// The sums of the codes of its rows, as a constant.
  mlir::FailureOr<uint32_t> rowSumsOf(mlir::Value weight);
  /// A constant vector of the plan that no op of the IR holds.
  mlir::FailureOr<uint32_t> floatVector(llvm::ArrayRef<float> numbers);
  /// Makes `value` another name of the buffer of `other`.
  void shareValue(mlir::Value value, mlir::Value other);
  template <typename Table> Table &addStep(mlir::Operation *op);

  ConstantPool &pool;
  const GeneratedCode &code;
  CudaKernels *kernels = nullptr; ///< of a plan for a GPU
  mlir::func::FuncOp func;
  std::unique_ptr<plan::FunctionT> plan;
  SizeSymbols symbols;
  llvm::DenseMap<mlir::Value, uint32_t> values;
  llvm::DenseMap<mlir::Value, uint32_t> widened;
  llvm::DenseMap<mlir::Value, uint32_t> scales;
  llvm::DenseMap<mlir::Value, uint32_t> rowSums; ///< of weights
  llvm::DenseMap<int64_t, uint32_t> stepRows;    ///< of layers, on a GPU
  llvm::DenseMap<mlir::Value, Sizes> sizes;
};

} // namespace qopt::driver

#endif // QOPT_LIB_DRIVER_PLANBUILDER_H
