// Runs a function of the onnx dialect the long way: through the stage lower,
// host code generation and the loader, then step by step as the plan would,
// with index arithmetic on the sizes of concrete inputs.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TEST_PASSES_LOWER_LOWEREDFUNCTION_H
#define QOPT_TEST_PASSES_LOWER_LOWEREDFUNCTION_H

#include "dialects/Onnx/Evaluate/HostTensor.h"
#include "dialects/QOpt/QOptOps.h"
#include "lib/Codegen/Host/HostCodegen.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "runtime/host/CodeObject.h"

#include <string>
#include <vector>

namespace qopt {

class LoweredFunction {
public:
  /// Lowers a copy of the module's only function. `error` is set on failure.
  explicit LoweredFunction(mlir::ModuleOp source);

  /// One call with concrete inputs, each kernel in `pieces` pieces.
  std::vector<onnx::HostTensor> run(std::vector<onnx::HostTensor> inputs,
                                    int64_t pieces = 1);

  std::string error;

private:
  struct Buffer {
    std::shared_ptr<std::vector<char>> bytes;
    std::vector<int64_t> shape;
  };

  void step(mlir::Operation &op);
  void call(qopt::ir::GeneratedOp op);
  bool stepIndex(mlir::Operation &op);
  int64_t index(mlir::Value value) { return indices.at(value); }

  mlir::OwningOpRef<mlir::ModuleOp> module;
  codegen::HostCode code;
  std::shared_ptr<runtime::CodeObject> object;
  llvm::DenseMap<mlir::Value, Buffer> buffers;
  llvm::DenseMap<mlir::Value, int64_t> indices;
  int64_t pieces = 1;
};

} // namespace qopt

#endif // QOPT_TEST_PASSES_LOWER_LOWEREDFUNCTION_H
