// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Import/Onnx/CallLimits.h"
#include "lib/Import/Onnx/GraphImporter.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/MathExtras.h"

namespace qopt::import {

namespace {

/// What one call of a function becomes.
struct CallSize {
  uint64_t nodes = 0;
  unsigned depth = 0;
};

/// Sizes of functions, each computed once.
class CallCounter {
public:
  explicit CallCounter(const onnx_file::ModelProto &model)
      : functions(functionsOf(model)) {}

  /// Adds to `size` what the calls among the nodes and in their subgraphs
  /// become; `all` counts the other nodes too.
  template <typename Nodes>
  Status count(const Nodes &nodes, bool all, CallSize &size) {
    for (const auto &node : nodes) {
      size.nodes += all;
      for (const auto &attribute : node.attribute()) {
        if (attribute.has_g())
          QOPT_RETURN_IF_ERROR(count(attribute.g().node(), all, size));
        for (const auto &graph : attribute.graphs())
          QOPT_RETURN_IF_ERROR(count(graph.node(), all, size));
      }
      auto function = functions.find(
          functionKey(node.domain(), node.op_type(), node.overload()));
      if (function == functions.end())
        continue;
      CallSize call;
      QOPT_RETURN_IF_ERROR(measure(*function->second, call));
      size.nodes = llvm::SaturatingAdd(size.nodes, call.nodes);
      size.depth = std::max(size.depth, call.depth + 1);
    }
    return {};
  }

private:
  Status measure(const onnx_file::FunctionProto &function, CallSize &size) {
    auto bad = [&](const std::string &what) {
      return Status(StatusCode::BadModel,
                    "the function \"" + function.name() + "\" " + what);
    };
    if (auto known = sizes.find(&function); known != sizes.end()) {
      size = known->second;
      return {};
    }
    if (llvm::is_contained(open, &function))
      return bad("calls itself");
    // Also the bound of this recursion.
    if (open.size() >= deepestCall)
      return bad("is nested more than " + std::to_string(deepestCall) +
                 " calls deep");
    open.push_back(&function);
    QOPT_RETURN_IF_ERROR(count(function.node(), /*all=*/true, size));
    open.pop_back();
    if (size.depth >= deepestCall)
      return bad("nests calls more than " + std::to_string(deepestCall) +
                 " deep");
    sizes[&function] = size;
    return {};
  }

  Functions functions;
  llvm::SmallVector<const onnx_file::FunctionProto *> open;
  llvm::DenseMap<const onnx_file::FunctionProto *, CallSize> sizes;
};

} // namespace

static Status checkNames(const onnx_file::ModelProto &model) {
  llvm::StringSet<> names;
  for (const auto &function : model.functions())
    if (!names
             .insert(functionKey(function.domain(), function.name(),
                                 function.overload()))
             .second)
      return Status(StatusCode::BadModel, "the function \"" + function.name() +
                                              "\" of \"" + function.domain() +
                                              "\" is defined twice");
  return {};
}

Status checkCalls(const onnx_file::ModelProto &model) {
  QOPT_RETURN_IF_ERROR(checkNames(model));
  CallSize size;
  QOPT_RETURN_IF_ERROR(
      CallCounter(model).count(model.graph().node(), /*all=*/false, size));
  if (size.nodes <= mostInlinedNodes)
    return {};
  return Status(StatusCode::BadModel,
                "the calls of local functions become more than " +
                    std::to_string(mostInlinedNodes) +
                    " nodes, the most that are inlined");
}

Status takeInlined(uint64_t &total, uint64_t bytes) {
  total = llvm::SaturatingAdd(total, bytes);
  if (total <= mostInlinedBytes)
    return {};
  return Status(StatusCode::BadModel,
                "the calls of local functions copy more than " +
                    std::to_string(mostInlinedBytes >> 20) +
                    " MiB, the most that is inlined");
}

} // namespace qopt::import
