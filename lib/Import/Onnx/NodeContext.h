// One node while it is imported: its inputs as values, its attributes (each of
// which must be asked for, or it is reported as unknown), and the creation of
// its op. The opset upgrades in ops/ work on this.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_IMPORT_ONNX_NODECONTEXT_H
#define QOPT_LIB_IMPORT_ONNX_NODECONTEXT_H

#include "dialects/Onnx/OnnxOps.h"
#include "dialects/Onnx/SymbolicShapes.h"
#include "lib/Import/Onnx/Tensors.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/StringSet.h"

namespace qopt::import {

class GraphImporter;

class NodeContext {
public:
  NodeContext(GraphImporter &importer, const onnx_file::NodeProto &node,
              int64_t opset, mlir::Location location,
              llvm::SmallVector<mlir::Value> inputs);

  int64_t opset() const { return version; }
  const onnx_file::NodeProto &node() const { return proto; }
  mlir::Location location() const { return loc; }
  mlir::OpBuilder &builder();
  onnx::SymbolicShapes &shapes();
  TensorReader &tensors();
  GraphImporter &importer() { return owner; }

  /// Inputs; absent ones have type none.
  mlir::Value input(unsigned index) const { return inputs[index]; }
  bool hasInput(unsigned index) const;
  void setInput(unsigned index, mlir::Value value);
  /// Inputs that the file writes as empty names after the last real one.
  void dropInputsFrom(unsigned count) {
    if (inputs.size() > count)
      inputs.truncate(count);
  }
  /// Outputs of the node, without empty names at the end.
  unsigned numOutputs() const;
  bool wantsOutput(unsigned index) const;

  /// Attributes of the file. A wrong type is remembered and reported after the
  /// node is built; the default comes back.
  bool hasAttribute(llvm::StringRef name);
  int64_t integer(llvm::StringRef name, int64_t absent);
  float number(llvm::StringRef name, float absent);
  std::string text(llvm::StringRef name, llvm::StringRef absent);
  llvm::SmallVector<int64_t> integers(llvm::StringRef name);
  llvm::SmallVector<float> numbers(llvm::StringRef name);
  const onnx_file::TensorProto *tensor(llvm::StringRef name);
  const onnx_file::GraphProto *graph(llvm::StringRef name);
  /// An attribute of which only one value is supported.
  Status expect(llvm::StringRef name, int64_t only);

  /// Attributes of the op to be created.
  void set(llvm::StringRef name, mlir::Attribute value) {
    attributes.set(name, value);
  }
  bool isSet(llvm::StringRef name) const {
    return static_cast<bool>(attributes.get(name));
  }

  mlir::Value none();
  mlir::Value constant(llvm::ArrayRef<int64_t> values);
  mlir::Value scalar(int64_t value);
  mlir::Value scalar(float value);
  /// Creates an op of the onnx dialect from values and attributes, infers and
  /// sets its result types. `hint` is the element type of the first result
  /// where inference reads it from there.
  StatusOr<mlir::Operation *>
  create(llvm::StringRef name, llvm::ArrayRef<mlir::Value> operands,
         unsigned results, mlir::NamedAttrList attrs, mlir::Type hint = {});
  /// Creates the node's own op from the inputs and the attributes set so far;
  /// results beyond the node's outputs have type none.
  Status finish(llvm::StringRef name, unsigned results, mlir::Type hint = {});
  void output(mlir::Value value) { outputs.push_back(value); }
  llvm::ArrayRef<mlir::Value> results() const { return outputs; }

  /// What was wrong with attributes: a type, or one that nobody asked for.
  Status attributeStatus() const;

private:
  const onnx_file::AttributeProto *find(llvm::StringRef name);
  const onnx_file::AttributeProto *find(llvm::StringRef name, int type,
                                        const char *expected);

  GraphImporter &owner;
  const onnx_file::NodeProto &proto;
  int64_t version;
  mlir::Location loc;
  llvm::SmallVector<mlir::Value> inputs, outputs;
  mlir::NamedAttrList attributes;
  llvm::StringSet<> asked;
  Status wrongAttribute;
};

} // namespace qopt::import

#endif // QOPT_LIB_IMPORT_ONNX_NODECONTEXT_H
