// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/GraphInputs.h"
#include "lib/Driver/PlanBuilder.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;

namespace qopt::driver {

/// Nothing for what has no name or is no tensor.
static void addSpec(Type type, StringAttr name, ArrayAttr dims,
                    std::vector<TensorSpec> &specs) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  if (!tensor || !name)
    return;
  TensorSpec spec{
      name.str(), DType(uint8_t(dtypeOf(tensor.getElementType()))), {}};
  for (auto [axis, size] : llvm::enumerate(tensor.getShape())) {
    auto dim = dims ? dyn_cast<StringAttr>(dims[axis]) : StringAttr();
    spec.shape.push_back(!ShapedType::isDynamic(size) ? std::to_string(size)
                         : dim                        ? dim.str()
                                                      : "?");
  }
  specs.push_back(std::move(spec));
}

std::vector<TensorSpec> graphInputs(ModuleOp raised) {
  auto graph = *raised.getOps<func::FuncOp>().begin();
  std::vector<TensorSpec> specs;
  for (BlockArgument argument : graph.getArguments()) {
    unsigned number = argument.getArgNumber();
    addSpec(argument.getType(),
            graph.getArgAttrOfType<StringAttr>(number, "qopt.name"),
            graph.getArgAttrOfType<ArrayAttr>(number, "onnx.dims"), specs);
  }
  return specs;
}

std::vector<TensorSpec> graphOutputs(ModuleOp raised) {
  auto graph = *raised.getOps<func::FuncOp>().begin();
  std::vector<TensorSpec> specs;
  for (unsigned i = 0; i < graph.getNumResults(); ++i)
    addSpec(graph.getResultTypes()[i],
            graph.getResultAttrOfType<StringAttr>(i, "qopt.name"), {}, specs);
  return specs;
}

} // namespace qopt::driver
