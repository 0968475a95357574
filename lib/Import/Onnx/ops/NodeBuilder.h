// Several ops of the default domain in place of one node, one after the other:
// the first error is kept, and nothing more is created behind it.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_IMPORT_ONNX_OPS_NODEBUILDER_H
#define QOPT_LIB_IMPORT_ONNX_OPS_NODEBUILDER_H

#include "lib/Import/Onnx/NodeContext.h"

namespace qopt::import {

/// BadModel where one of the node's inputs is absent: com.microsoft has
/// optional ones ahead of others that must be there.
inline Status requireInputs(const NodeContext &node,
                            llvm::ArrayRef<unsigned> inputs) {
  for (unsigned index : inputs)
    if (!node.hasInput(index))
      return Status(StatusCode::BadModel, "input " + std::to_string(index) +
                                              " is absent; expected a tensor");
  return {};
}

class NodeBuilder {
public:
  explicit NodeBuilder(NodeContext &node) : node(node) {}

  /// Results of an op, or as many null values behind an error. `hint` as in
  /// NodeContext::create.
  llvm::SmallVector<mlir::Value> createAll(llvm::StringRef name,
                                           llvm::ArrayRef<mlir::Value> operands,
                                           unsigned results,
                                           mlir::NamedAttrList attrs = {},
                                           mlir::Type hint = {}) {
    llvm::SmallVector<mlir::Value> values(results);
    if (!error.ok())
      return values;
    auto op = node.create(name, operands, results, std::move(attrs), hint);
    if (op)
      values.assign((*op)->result_begin(), (*op)->result_end());
    else
      error = op.status();
    return values;
  }
  /// The one result of an op.
  mlir::Value create(llvm::StringRef name, llvm::ArrayRef<mlir::Value> operands,
                     mlir::NamedAttrList attrs = {}, mlir::Type hint = {}) {
    return createAll(name, operands, 1, std::move(attrs), hint)[0];
  }
  mlir::Value cast(mlir::Value x, mlir::Type element) {
    return create("Cast", {x}, {}, element);
  }
  mlir::Value none() { return node.none(); }
  /// An input of the node; of type none where it is absent.
  mlir::Value input(unsigned index) {
    return node.hasInput(index) ? node.input(index) : node.none();
  }

  mlir::NamedAttrList axis(int64_t value) {
    mlir::NamedAttrList attrs;
    attrs.set("axis", node.builder().getI64IntegerAttr(value));
    return attrs;
  }
  mlir::Type f32() { return node.builder().getF32Type(); }
  mlir::Type i32() { return node.builder().getI32Type(); }

  /// The node's outputs, or the error. Values of outputs that the node does not
  /// name are left out.
  Status finish(llvm::ArrayRef<mlir::Value> outputs) {
    QOPT_RETURN_IF_ERROR(error);
    for (mlir::Value value : outputs.take_front(node.numOutputs()))
      node.output(value);
    return {};
  }

private:
  NodeContext &node;
  Status error;
};

} // namespace qopt::import

#endif // QOPT_LIB_IMPORT_ONNX_OPS_NODEBUILDER_H
