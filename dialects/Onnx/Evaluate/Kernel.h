// What a reference kernel of the evaluator is: a function from one operation
// and its operands' tensors to its results' tensors. A kernel is asked for data
// or, where only the shape of a value matters, for shapes alone; then its
// operands may lack data, except those that the kernel table names as deciding
// the shape.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_DIALECTS_ONNX_EVALUATE_KERNEL_H
#define QOPT_DIALECTS_ONNX_EVALUATE_KERNEL_H

#include "dialects/Onnx/Evaluate/HostTensor.h"
#include "mlir/IR/Operation.h"
#include "qopt/Status.h"
#include "llvm/ADT/Twine.h"

namespace qopt::onnx {

/// Memory that an evaluation may take, in bytes of elements.
struct EvaluationLimits {
  int64_t tensorBytes = int64_t(64) << 20;
  int64_t totalBytes = int64_t(512) << 20;
};

using Results = llvm::SmallVector<HostTensor, 1>;
using KernelResult = StatusOr<Results>;

/// One operation to be evaluated. Attributes are read by their ONNX names, with
/// the default of the ONNX standard given by the kernel.
class Call {
public:
  Call(mlir::Operation *op, llvm::ArrayRef<HostTensor> inputs, bool wantsData,
       const EvaluationLimits &limits)
      : operation(op), inputs(inputs), wantsData(wantsData), limits(limits) {}

  mlir::Operation *op() const { return operation; }
  /// The operation's name without the dialect: "MatMul", "ms.FusedMatMul".
  llvm::StringRef name() const;
  size_t inputCount() const { return inputs.size(); }
  bool has(size_t i) const { return i < inputs.size() && !inputs[i].isNone(); }
  const HostTensor &in(size_t i) const { return inputs[i]; }
  /// False: only the shapes of the results are asked for.
  bool data() const { return wantsData; }

  bool hasAttr(llvm::StringRef name) const;
  int64_t attr(llvm::StringRef name, int64_t standard) const;
  double attrFloat(llvm::StringRef name, double standard) const;
  llvm::StringRef attrString(llvm::StringRef name,
                             llvm::StringRef standard) const;
  HostTensor::Shape attrInts(llvm::StringRef name) const;
  /// The element type of a result, as its type says; None for an omitted one.
  Element element(unsigned result = 0) const;
  unsigned resultCount() const { return operation->getNumResults(); }

  /// An axis attribute, counted from the end when negative; fails out of range.
  StatusOr<int64_t> axis(int64_t value, int64_t rank) const;
  /// Fails when a result of this shape is impossible or beyond the limit.
  Status admit(llvm::ArrayRef<int64_t> shape) const;
  /// A failure of this call; the evaluator adds the operation's name.
  static Status fail(const llvm::Twine &message);

private:
  mlir::Operation *operation;
  llvm::ArrayRef<HostTensor> inputs;
  bool wantsData;
  const EvaluationLimits &limits;
};

using Kernel = KernelResult (*)(const Call &);

/// One row of the table of kernels.
struct KernelEntry {
  llvm::StringLiteral name;
  Kernel kernel;
  /// Bit i: operand i is needed with data even where only shapes are asked for.
  uint32_t shapeOperands = 0;
  /// The kernel never reads data of its operands (Shape, Size, EyeLike).
  bool shapesSuffice = false;
  /// Bit i: operand i is not looked at, and may be no tensor.
  uint32_t unreadOperands = 0;
};

/// The table's rows by family, one function per file of kernels.
llvm::ArrayRef<KernelEntry> elementwiseKernels();
llvm::ArrayRef<KernelEntry> unaryKernels();
llvm::ArrayRef<KernelEntry> shapeKernels();
llvm::ArrayRef<KernelEntry> indexKernels();
llvm::ArrayRef<KernelEntry> scatterKernels();
llvm::ArrayRef<KernelEntry> reduceKernels();
llvm::ArrayRef<KernelEntry> productKernels();
llvm::ArrayRef<KernelEntry> normKernels();
llvm::ArrayRef<KernelEntry> quantKernels();
llvm::ArrayRef<KernelEntry> attentionKernels();
/// Operations of which only the shapes of the results are known here.
llvm::ArrayRef<KernelEntry> shapeOnlyKernels();

/// The row of an operation, or null. `name` is as Call::name says.
const KernelEntry *findKernel(llvm::StringRef name);

/// A kernel's single result.
inline KernelResult one(HostTensor tensor) {
  Results results;
  results.push_back(std::move(tensor));
  return results;
}

} // namespace qopt::onnx

#endif // QOPT_DIALECTS_ONNX_EVALUATE_KERNEL_H
