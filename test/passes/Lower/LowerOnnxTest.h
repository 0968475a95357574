// The fixture of the numeric tests of LowerOnnx: a function in text is lowered,
// compiled and run on random inputs, and compared with the reference evaluator
// of the onnx dialect.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TEST_PASSES_LOWER_LOWERONNXTEST_H
#define QOPT_TEST_PASSES_LOWER_LOWERONNXTEST_H

#include "dialects/Onnx/Evaluate/HostTensor.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/MLIRContext.h"
#include "gtest/gtest.h"

#include <map>
#include <random>

namespace qopt {

class LowerOnnx : public testing::Test {
protected:
  LowerOnnx();

  /// Compares all results; integers of inputs lie in [low, high], floats in
  /// [least, largest], named dimensions have the values of `sizes`.
  void check(llvm::StringRef text, double tolerance = 1e-6);

  /// For ops that the evaluator lacks: all results are 0.
  void checkZero(llvm::StringRef text, double tolerance = 1e-6);

private:
  std::vector<onnx::HostTensor> randomInputs(mlir::func::FuncOp function);
  onnx::HostTensor randomTensor(mlir::RankedTensorType type,
                                llvm::ArrayRef<int64_t> shape);

protected:
  mlir::MLIRContext context;
  std::mt19937 random{7};
  std::map<std::string, int64_t> sizes = {
      {"b", 2}, {"s", 5}, {"p", 3}, {"p + s", 8}, {"n", 7}};
  int64_t low = 0, high = 3;
  double least = -3, largest = 3;
};

} // namespace qopt

#endif // QOPT_TEST_PASSES_LOWER_LOWERONNXTEST_H
