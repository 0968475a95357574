// The walk over a model's graph: scopes of value names, nodes in order,
// subgraphs as regions, local functions inlined.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_IMPORT_ONNX_GRAPHIMPORTER_H
#define QOPT_LIB_IMPORT_ONNX_GRAPHIMPORTER_H

#include "dialects/Onnx/NodeLocation.h"
#include "lib/Import/Onnx/Importer.h"
#include "lib/Import/Onnx/NodeContext.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace qopt::import {

/// Opset versions by domain; "ai.onnx" is stored as "".
using Opsets = llvm::StringMap<int64_t>;

Opsets
opsetsOf(const google::protobuf::RepeatedPtrField<onnx_file::OperatorSetIdProto>
             &imports);

/// The key of a local function: domain, name, overload.
std::string functionKey(llvm::StringRef domain, llvm::StringRef name,
                        llvm::StringRef overload);

using Functions = llvm::StringMap<const onnx_file::FunctionProto *>;
Functions functionsOf(const onnx_file::ModelProto &model);

class GraphImporter {
public:
  /// `report`, which may be null, as in ImportOptions.
  GraphImporter(const ModelFile &file, mlir::MLIRContext &context,
                ImportReport *report);

  StatusOr<mlir::OwningOpRef<mlir::ModuleOp>> run(const ImportOptions &options);

  // For NodeContext and the functions of ops/.
  mlir::Value none();
  mlir::Value constant(mlir::Location loc, mlir::ElementsAttr value);
  Status inferTypes(mlir::Operation *op);
  /// A constant in place of a value whose elements are all known.
  mlir::Value foldContent(mlir::Value value);
  /// A subgraph as a region that ends in onnx.Yield.
  Status importBranch(const onnx_file::GraphProto &graph, mlir::Region &region);
  /// A subgraph at the place of its node.
  Status importInline(const onnx_file::GraphProto &graph,
                      llvm::SmallVectorImpl<mlir::Value> &results);

  mlir::OpBuilder builder;
  onnx::SymbolicShapes shapes;
  TensorReader tensors;

private:
  using Nodes = google::protobuf::RepeatedPtrField<onnx_file::NodeProto>;

  /// Names of one graph or function body. A subgraph sees those around it, a
  /// function's body does not.
  struct Scope {
    Scope *outer = nullptr;
    llvm::StringMap<mlir::Value> values;
    llvm::StringMap<const onnx_file::TensorProto *> initializers;
    const Opsets *opsets = nullptr;
    /// Names of the calls around a function's body, for node names.
    std::string callPrefix;
  };

  StatusOr<mlir::func::FuncOp> declareFunction(const ImportOptions &options);
  Status collectInitializers(const onnx_file::GraphProto &graph);
  Status importNodes(const Nodes &nodes);
  Status importNode(const onnx_file::NodeProto &node);
  Status callFunction(const onnx_file::NodeProto &node,
                      const onnx_file::FunctionProto &function,
                      llvm::ArrayRef<mlir::Value> inputs);
  StatusOr<mlir::Value> lookup(const std::string &name);
  Status define(const std::string &name, mlir::Value value);
  Status returnOutputs(mlir::func::FuncOp function);
  onnx::NodeOrigin originOf(const onnx_file::NodeProto &node) const;

  const ModelFile &file;
  const onnx_file::ModelProto &model;
  mlir::MLIRContext &context;
  Opsets modelOpsets;
  Functions functions;
  Scope *scope = nullptr;
  /// Constants are put before this op, the first of the function.
  mlir::Operation *noneOp = nullptr;
  unsigned branchDepth = 0;
  uint64_t copiedBytes = 0; ///< by calls so far, see CallLimits.h
};

/// Every operator, opset and function that the model uses and the table lacks,
/// in one message; `report`, which may be null, gets all operators.
Status checkSupported(const ModelFile &file, ImportReport *report);

} // namespace qopt::import

#endif // QOPT_LIB_IMPORT_ONNX_GRAPHIMPORTER_H
