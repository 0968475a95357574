// Where an op comes from: the ONNX node's name, operator, domain and opset as a
// location, and back, so that every later stage can say
// `node "attn_0" (Softmax, opset 13)`.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_DIALECTS_ONNX_NODELOCATION_H
#define QOPT_DIALECTS_ONNX_NODELOCATION_H

#include "mlir/IR/Location.h"
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace qopt::onnx {

/// What a node's location says. `domain` is empty for ONNX's own operators.
struct NodeOrigin {
  std::string name, opType, domain;
  int64_t opset = 0;
  /// metadata_props of the node, in the file's order.
  std::vector<std::pair<std::string, std::string>> metadata;
};

/// A NameLoc of the node's name around a FusedLoc whose metadata dictionary
/// holds op_type, domain, opset and metadata.
mlir::Location nodeLocation(mlir::MLIRContext *context,
                            const NodeOrigin &origin);

/// The first node that a location, or a fusion of locations, comes from.
std::optional<NodeOrigin> nodeOrigin(mlir::Location location);

/// `node "x" (Softmax, opset 13)` or `node "y" (MatMulNBits,
/// com.microsoft 1)`; an empty string for locations of no node.
std::string describeNode(mlir::Location location);
std::string describe(const NodeOrigin &origin);

/// The name of the node that an operation came from; empty where its location
/// names none.
std::string nodeName(mlir::Location location);

} // namespace qopt::onnx

#endif // QOPT_DIALECTS_ONNX_NODELOCATION_H
