// Comparison of lowered functions with the reference evaluator.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/AllDialects.h"
#include "dialects/Onnx/Evaluate/Evaluator.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"
#include "test/passes/Lower/LowerOnnxTest.h"
#include "test/passes/Lower/LoweredFunction.h"

#include <cmath>

using namespace qopt;
using onnx::Element;
using onnx::HostTensor;

LowerOnnx::LowerOnnx() {
  mlir::DialectRegistry registry;
  registerAllDialects(registry);
  codegen::registerHostCodegen(registry);
  context.appendDialectRegistry(registry);
  context.loadAllAvailableDialects();
}

HostTensor LowerOnnx::randomTensor(mlir::RankedTensorType type,
                                   llvm::ArrayRef<int64_t> shape) {
  Element element = *onnx::elementOf(type.getElementType());
  int64_t count = onnx::countOf(shape);
  if (onnx::isFloat(element)) {
    std::uniform_real_distribution<double> values(least, largest);
    std::vector<double> data(count);
    for (double &value : data)
      value = values(random);
    return HostTensor::ofFloats(element, shape, data);
  }
  std::uniform_int_distribution<int64_t> values(
      element == Element::Bool ? 0 : low, element == Element::Bool ? 1 : high);
  std::vector<int64_t> data(count);
  for (int64_t &value : data)
    value = values(random);
  return HostTensor::ofInts(element, shape, data);
}

static void expectNear(const HostTensor &got, const HostTensor &want,
                       double tolerance) {
  ASSERT_EQ(got.shape(), want.shape());
  ASSERT_EQ(int(got.element()), int(want.element()));
  std::vector<double> a = got.floats(), b = want.floats();
  double scale = 1;
  for (double value : b)
    if (std::isfinite(value))
      scale = std::max(scale, std::fabs(value));
  for (size_t i = 0; i < a.size(); ++i) {
    if (std::isnan(b[i]) || std::isinf(b[i]))
      ASSERT_TRUE(a[i] == b[i] || (std::isnan(a[i]) && std::isnan(b[i])))
          << "element " << i << ": got " << a[i] << ", expected " << b[i];
    else
      ASSERT_NEAR(a[i], b[i], tolerance * scale) << "element " << i;
  }
}

std::vector<HostTensor> LowerOnnx::randomInputs(mlir::func::FuncOp function) {
  std::vector<HostTensor> inputs;
  for (mlir::BlockArgument argument : function.getArguments()) {
    auto type = mlir::cast<mlir::RankedTensorType>(argument.getType());
    auto dims = function.getArgAttrOfType<mlir::ArrayAttr>(
        argument.getArgNumber(), "onnx.dims");
    std::vector<int64_t> shape;
    for (auto [dim, size] : llvm::enumerate(type.getShape()))
      shape.push_back(
          mlir::ShapedType::isDynamic(size)
              ? sizes.at(
                    mlir::cast<mlir::StringAttr>(dims[dim]).getValue().str())
              : size);
    inputs.push_back(randomTensor(type, shape));
  }
  return inputs;
}

void LowerOnnx::check(llvm::StringRef text, double tolerance) {
  SCOPED_TRACE(text.str());
  auto module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
  ASSERT_TRUE(module);
  auto function = *module->getOps<mlir::func::FuncOp>().begin();
  std::vector<HostTensor> inputs = randomInputs(function);
  onnx::Evaluator evaluator;
  for (auto [argument, input] : llvm::zip(function.getArguments(), inputs))
    evaluator.bind(argument, input);
  LoweredFunction lowered(*module);
  ASSERT_EQ(lowered.error, "");
  for (int64_t pieces : {1, 3}) {
    std::vector<HostTensor> outputs = lowered.run(inputs, pieces);
    ASSERT_EQ(lowered.error, "");
    mlir::Operation *end = function.getBody().front().getTerminator();
    for (auto [index, value] : llvm::enumerate(end->getOperands())) {
      auto expected = evaluator.evaluate(value);
      ASSERT_TRUE(expected.ok()) << expected.status().message();
      expectNear(outputs[index], *expected, tolerance);
    }
  }
}

void LowerOnnx::checkZero(llvm::StringRef text, double tolerance) {
  SCOPED_TRACE(text.str());
  auto module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
  ASSERT_TRUE(module);
  LoweredFunction lowered(*module);
  ASSERT_EQ(lowered.error, "");
  auto function = *module->getOps<mlir::func::FuncOp>().begin();
  for (const HostTensor &output : lowered.run(randomInputs(function), 2))
    for (double value : output.floats())
      ASSERT_NEAR(value, 0, tolerance);
  ASSERT_EQ(lowered.error, "");
}
