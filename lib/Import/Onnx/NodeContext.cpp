// Attributes of a node, and the creation of its op.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Import/Onnx/NodeContext.h"
#include "lib/Import/Onnx/GraphImporter.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Verifier.h"

using namespace mlir;
using onnx_file::AttributeProto;

namespace qopt::import {

NodeContext::NodeContext(GraphImporter &importer,
                         const onnx_file::NodeProto &node, int64_t opset,
                         Location location, SmallVector<Value> inputs)
    : owner(importer), proto(node), version(opset), loc(location),
      inputs(std::move(inputs)) {}

OpBuilder &NodeContext::builder() { return owner.builder; }
onnx::SymbolicShapes &NodeContext::shapes() { return owner.shapes; }
TensorReader &NodeContext::tensors() { return owner.tensors; }

bool NodeContext::hasInput(unsigned index) const {
  return index < inputs.size() && !onnx::isAbsent(inputs[index]);
}

void NodeContext::setInput(unsigned index, Value value) {
  while (inputs.size() <= index)
    inputs.push_back(none());
  inputs[index] = value;
}

unsigned NodeContext::numOutputs() const {
  int count = proto.output_size();
  while (count > 0 && proto.output(count - 1).empty())
    --count;
  return count;
}

bool NodeContext::wantsOutput(unsigned index) const {
  return index < numOutputs() && !proto.output(index).empty();
}

const AttributeProto *NodeContext::find(StringRef name) {
  asked.insert(name);
  for (const AttributeProto &attribute : proto.attribute())
    if (attribute.name() == name)
      return &attribute;
  return nullptr;
}

const AttributeProto *NodeContext::find(StringRef name, int type,
                                        const char *expected) {
  const AttributeProto *attribute = find(name);
  if (!attribute || attribute->type() == type)
    return attribute;
  wrongAttribute = Status(StatusCode::BadModel,
                          "attribute \"" + name.str() +
                              "\" has the wrong type; expected " + expected);
  return nullptr;
}

bool NodeContext::hasAttribute(StringRef name) { return find(name); }

int64_t NodeContext::integer(StringRef name, int64_t absent) {
  auto *attribute = find(name, AttributeProto::INT, "an integer");
  return attribute ? attribute->i() : absent;
}

float NodeContext::number(StringRef name, float absent) {
  auto *attribute = find(name, AttributeProto::FLOAT, "a float");
  return attribute ? attribute->f() : absent;
}

std::string NodeContext::text(StringRef name, StringRef absent) {
  auto *attribute = find(name, AttributeProto::STRING, "a string");
  return attribute ? attribute->s() : absent.str();
}

SmallVector<int64_t> NodeContext::integers(StringRef name) {
  auto *attribute = find(name, AttributeProto::INTS, "integers");
  if (!attribute)
    return {};
  return SmallVector<int64_t>(attribute->ints().begin(),
                              attribute->ints().end());
}

SmallVector<float> NodeContext::numbers(StringRef name) {
  auto *attribute = find(name, AttributeProto::FLOATS, "floats");
  if (!attribute)
    return {};
  return SmallVector<float>(attribute->floats().begin(),
                            attribute->floats().end());
}

const onnx_file::TensorProto *NodeContext::tensor(StringRef name) {
  auto *attribute = find(name, AttributeProto::TENSOR, "a tensor");
  return attribute ? &attribute->t() : nullptr;
}

const onnx_file::GraphProto *NodeContext::graph(StringRef name) {
  auto *attribute = find(name, AttributeProto::GRAPH, "a graph");
  return attribute ? &attribute->g() : nullptr;
}

Status NodeContext::expect(StringRef name, int64_t only) {
  int64_t value = integer(name, only);
  if (value == only)
    return {};
  return Status(StatusCode::Unsupported,
                "attribute \"" + name.str() + "\" is " + std::to_string(value) +
                    ", which is not supported; expected " +
                    std::to_string(only));
}

Status NodeContext::attributeStatus() const {
  QOPT_RETURN_IF_ERROR(wrongAttribute);
  for (const AttributeProto &attribute : proto.attribute())
    if (!asked.contains(attribute.name()))
      return Status(StatusCode::Unsupported,
                    "attribute \"" + attribute.name() +
                        "\" is not known in this opset");
  return {};
}

Value NodeContext::none() { return owner.none(); }

Value NodeContext::scalar(int64_t value) {
  auto type = RankedTensorType::get({}, builder().getI64Type());
  return owner.constant(loc, DenseElementsAttr::get(type, value));
}

Value NodeContext::scalar(float value) {
  auto type = RankedTensorType::get({}, builder().getF32Type());
  return owner.constant(loc, DenseElementsAttr::get(type, value));
}

Value NodeContext::constant(ArrayRef<int64_t> values) {
  return owner.constant(
      loc, DenseElementsAttr::get(
               RankedTensorType::get(static_cast<int64_t>(values.size()),
                                     builder().getI64Type()),
               values));
}

/// Verifies one op; its message loses the op's name, which the node's replaces.
static Status verifyOp(Operation *op) {
  std::string message;
  ScopedDiagnosticHandler handler(op->getContext(),
                                  [&](Diagnostic &diagnostic) {
                                    if (message.empty())
                                      message = diagnostic.str();
                                    return success();
                                  });
  if (succeeded(verify(op)))
    return {};
  StringRef text = message;
  text.consume_front(("'" + op->getName().getStringRef() + "' op ").str());
  return Status(StatusCode::BadModel, text.str());
}

StatusOr<Operation *> NodeContext::create(StringRef name,
                                          ArrayRef<Value> operands,
                                          unsigned results, NamedAttrList attrs,
                                          Type hint) {
  OperationState state(loc, ("onnx." + name).str());
  state.addOperands(operands);
  state.attributes = std::move(attrs);
  Type f32 = builder().getF32Type();
  for (unsigned i = 0; i < results; ++i)
    state.addTypes(UnrankedTensorType::get(i == 0 && hint ? hint : f32));
  Operation *op = builder().create(state);
  QOPT_RETURN_IF_ERROR(verifyOp(op));
  QOPT_RETURN_IF_ERROR(owner.inferTypes(op));
  return op;
}

Status NodeContext::finish(StringRef name, unsigned results, Type hint) {
  OperationState state(loc, ("onnx." + name).str());
  state.addOperands(inputs);
  state.attributes = attributes;
  Builder b(loc.getContext());
  for (unsigned i = 0; i < results; ++i) {
    Type element = i == 0 && hint ? hint : b.getF32Type();
    bool wanted = i == 0 || wantsOutput(i);
    state.addTypes(wanted ? Type(UnrankedTensorType::get(element))
                          : b.getNoneType());
  }
  Operation *op = builder().create(state);
  QOPT_RETURN_IF_ERROR(verifyOp(op));
  QOPT_RETURN_IF_ERROR(owner.inferTypes(op));
  for (unsigned i = 0; i < numOutputs(); ++i)
    output(owner.foldContent(op->getResult(i)));
  return {};
}

} // namespace qopt::import
