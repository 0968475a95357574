// The evaluator computes what ONNX says, asks only for what it needs, and names
// what it cannot do.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Onnx/Evaluate/Evaluator.h"
#include "dialects/Onnx/OnnxDialect.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Parser/Parser.h"
#include <gtest/gtest.h>

using namespace mlir;
using namespace qopt;
using namespace qopt::onnx;

namespace {

class EvaluatorTest : public testing::Test {
protected:
  EvaluatorTest() { context.loadDialect<OnnxDialect, func::FuncDialect>(); }

  /// The operand of the return of the only function of `text`.
  Value result(const std::string &text) {
    module = parseSourceString<ModuleOp>(text, &context);
    if (!module) {
      ADD_FAILURE() << "the IR does not parse";
      return {};
    }
    func = *module->getOps<func::FuncOp>().begin();
    return func.front().getTerminator()->getOperand(0);
  }

  std::vector<double> numbers(const std::string &text) {
    StatusOr<HostTensor> tensor = Evaluator().evaluate(result(text));
    if (!tensor) {
      ADD_FAILURE() << tensor.status().message();
      return {};
    }
    shape.assign(tensor->shape().begin(), tensor->shape().end());
    return tensor->floats();
  }

  MLIRContext context;
  OwningOpRef<ModuleOp> module;
  func::FuncOp func;
  std::vector<int64_t> shape;
};

using Numbers = std::vector<double>;

TEST_F(EvaluatorTest, broadcastsArithmetic) {
  EXPECT_EQ(numbers(R"(func.func @f() -> tensor<2x3xf32> {
    %a = onnx.Constant dense<[[1.0], [2.0]]> : tensor<2x1xf32>
    %b = onnx.Constant dense<[10.0, 20.0, 30.0]> : tensor<3xf32>
    %c = onnx.Add %a, %b : (tensor<2x1xf32>, tensor<3xf32>) -> tensor<2x3xf32>
    return %c : tensor<2x3xf32>
  })"),
            (Numbers{11, 21, 31, 12, 22, 32}));
  EXPECT_EQ(shape, (std::vector<int64_t>{2, 3}));
}

TEST_F(EvaluatorTest, dividesIntegersTowardsZero) {
  EXPECT_EQ(numbers(R"(func.func @f() -> tensor<2xi64> {
    %a = onnx.Constant dense<[-7, 7]> : tensor<2xi64>
    %b = onnx.Constant dense<2> : tensor<i64>
    %c = onnx.Div %a, %b : (tensor<2xi64>, tensor<i64>) -> tensor<2xi64>
    return %c : tensor<2xi64>
  })"),
            (Numbers{-3, 3}));
}

TEST_F(EvaluatorTest, takesTheSignOfTheDivisorInMod) {
  EXPECT_EQ(numbers(R"(func.func @f() -> tensor<2xi64> {
    %a = onnx.Constant dense<[-7, 7]> : tensor<2xi64>
    %b = onnx.Constant dense<[3, -3]> : tensor<2xi64>
    %c = onnx.Mod %a, %b : (tensor<2xi64>, tensor<2xi64>) -> tensor<2xi64>
    return %c : tensor<2xi64>
  })"),
            (Numbers{2, -2}));
}

TEST_F(EvaluatorTest, roundsToHalfPrecision) {
  // 2049 lies between the f16 neighbours 2048 and 2050; ties go to even.
  EXPECT_EQ(numbers(R"(func.func @f() -> tensor<2xf16> {
    %a = onnx.Constant dense<[2049.0, 2051.0]> : tensor<2xf32>
    %c = onnx.Cast %a : (tensor<2xf32>) -> tensor<2xf16>
    return %c : tensor<2xf16>
  })"),
            (Numbers{2048, 2052}));
}

TEST_F(EvaluatorTest, slicesBackwards) {
  EXPECT_EQ(numbers(R"(func.func @f() -> tensor<2xi64> {
    %a = onnx.Constant dense<[0, 1, 2, 3, 4]> : tensor<5xi64>
    %start = onnx.Constant dense<-1> : tensor<1xi64>
    %end = onnx.Constant dense<0> : tensor<1xi64>
    %axis = onnx.Constant dense<0> : tensor<1xi64>
    %step = onnx.Constant dense<-2> : tensor<1xi64>
    %c = onnx.Slice %a, %start, %end, %axis, %step : (tensor<5xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<2xi64>
    return %c : tensor<2xi64>
  })"),
            (Numbers{4, 2}));
}

TEST_F(EvaluatorTest, readsOnlyTheShapeOfWhatHasNoData) {
  Value value = result(
      R"(func.func @f(%x: tensor<?x?x4xf32>, %w: tensor<4x6xf32>) -> tensor<i64> {
    %y = onnx.MatMul %x, %w : (tensor<?x?x4xf32>, tensor<4x6xf32>) -> tensor<?x?x6xf32>
    %shape = onnx.Shape %y : (tensor<?x?x6xf32>) -> tensor<3xi64>
    %one = onnx.Constant dense<1> : tensor<i64>
    %n = onnx.Gather %shape, %one : (tensor<3xi64>, tensor<i64>) -> tensor<i64>
    return %n : tensor<i64>
  })");
  Evaluator evaluator;
  evaluator.bind(func.getArgument(0),
                 HostTensor::shapeOnly(Element::F32, {2, 5, 4}));
  StatusOr<HostTensor> tensor = evaluator.evaluate(value);
  ASSERT_TRUE(tensor.ok()) << tensor.status().message();
  EXPECT_EQ(tensor->intAt(0), 5);
}

TEST_F(EvaluatorTest, takesTheBranchOfItsCondition) {
  EXPECT_EQ(numbers(R"(func.func @f() -> tensor<i64> {
    %three = onnx.Constant dense<3> : tensor<i64>
    %no = onnx.Constant dense<false> : tensor<i1>
    %c = onnx.If %no : (tensor<i1>) -> tensor<i64> {
      onnx.Yield %three : tensor<i64>
    } else {
      %d = onnx.Neg %three : (tensor<i64>) -> tensor<i64>
      onnx.Yield %d : tensor<i64>
    }
    return %c : tensor<i64>
  })"),
            (Numbers{-3}));
}

TEST_F(EvaluatorTest, dequantizesShortBlocks) {
  EXPECT_EQ(numbers(R"(func.func @f() -> tensor<3x2xf32> {
    %q = onnx.Constant dense<[[1, -8], [2, 7], [3, 1]]> : tensor<3x2xi4>
    %s = onnx.Constant dense<[[1.0, 0.5], [10.0, 2.0]]> : tensor<2x2xf32>
    %none = onnx.None
    %c = onnx.DequantizeLinear %q, %s, %none {axis = 0 : i64, block_size = 2 : i64} : (tensor<3x2xi4>, tensor<2x2xf32>, none) -> tensor<3x2xf32>
    return %c : tensor<3x2xf32>
  })"),
            (Numbers{1, -4, 2, 3.5, 30, 2}));
}

TEST_F(EvaluatorTest, namesAnArgumentWithoutData) {
  Value value = result(R"(func.func @f(%x: tensor<2xf32>) -> tensor<2xf32> {
    %y = onnx.Neg %x : (tensor<2xf32>) -> tensor<2xf32>
    return %y : tensor<2xf32>
  })");
  EXPECT_EQ(Evaluator().evaluate(value).status().message(),
            "the data of argument 0 is needed but not given");
}

TEST_F(EvaluatorTest, keepsToItsLimit) {
  Value value = result(R"(func.func @f() -> tensor<1000x1000xf32> {
    %shape = onnx.Constant dense<1000> : tensor<2xi64>
    %y = onnx.ConstantOfShape %shape {value = dense<0.0> : tensor<1xf32>} : (tensor<2xi64>) -> tensor<1000x1000xf32>
    return %y : tensor<1000x1000xf32>
  })");
  EvaluationLimits limits;
  limits.tensorBytes = 1000;
  StatusOr<HostTensor> tensor = Evaluator(limits).evaluate(value);
  ASSERT_FALSE(tensor.ok());
  EXPECT_EQ(tensor.status().code(), StatusCode::OutOfResources);
}

} // namespace
