// Nodes with subgraphs, and nodes that are their operand.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Import/Onnx/GraphImporter.h"
#include "lib/Import/Onnx/ops/Upgrades.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;

namespace qopt::import {

Status buildIf(NodeContext &node) {
  OpBuilder &b = node.builder();
  const auto *thenGraph = node.graph("then_branch");
  const auto *elseGraph = node.graph("else_branch");
  if (!thenGraph || !elseGraph)
    return Status(StatusCode::BadModel, "a branch is missing");
  // A condition that shapes decide leaves one branch.
  if (auto known = onnx::constantIntegers(node.input(0));
      known && known->size() == 1) {
    SmallVector<Value> results;
    QOPT_RETURN_IF_ERROR(node.importer().importInline(
        known->front() ? *thenGraph : *elseGraph, results));
    if (results.size() < node.numOutputs())
      return Status(StatusCode::BadModel,
                    "the branch gives fewer values than the node");
    for (unsigned i = 0; i < node.numOutputs(); ++i)
      node.output(results[i]);
    return {};
  }
  OperationState state(node.location(), "onnx.If");
  state.addOperands(node.input(0));
  for (unsigned i = 0; i < node.numOutputs(); ++i)
    state.addTypes(UnrankedTensorType::get(b.getF32Type()));
  state.addRegion();
  state.addRegion();
  Operation *op = b.create(state);
  for (auto [index, graph] : {std::pair(0, thenGraph), std::pair(1, elseGraph)})
    QOPT_RETURN_IF_ERROR(
        node.importer().importBranch(*graph, op->getRegion(index)));
  QOPT_RETURN_IF_ERROR(node.importer().inferTypes(op));
  for (Value result : op->getResults())
    node.output(result);
  return {};
}

Status buildIdentity(NodeContext &node) {
  node.output(node.input(0));
  return {};
}

Status buildDropout(NodeContext &node) {
  node.integer("seed", 0);
  if (node.opset() < 12)
    node.number("ratio", 0.5f);
  if (node.hasInput(2)) {
    auto training = onnx::constantIntegers(node.input(2));
    bool off = training && training->size() == 1 && training->front() == 0,
         dropsNothing =
             node.hasInput(1) && matchPattern(node.input(1), m_AnyZeroFloat());
    if (!off && !dropsNothing)
      return Status(StatusCode::Unsupported,
                    "training mode is not supported; export the model for "
                    "inference (model.eval() in PyTorch)");
  }
  node.output(node.input(0));
  if (!node.wantsOutput(1))
    return {};
  OpBuilder &b = node.builder();
  auto shape = node.create("Shape", {node.input(0)}, 1, {});
  if (!shape)
    return shape.status();
  NamedAttrList attrs;
  attrs.set("value", DenseElementsAttr::get(
                         RankedTensorType::get({1}, b.getI1Type()), true));
  auto mask =
      node.create("ConstantOfShape", {(*shape)->getResult(0)}, 1, attrs);
  if (!mask)
    return mask.status();
  node.output((*mask)->getResult(0));
  return {};
}

} // namespace qopt::import
