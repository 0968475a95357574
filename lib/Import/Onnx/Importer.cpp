// The way in: a file is opened and parsed, what it uses is checked against the
// table, its graph is walked, the result verified.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Import/Onnx/Importer.h"
#include "dialects/Onnx/PrintableNames.h"
#include "lib/Import/Onnx/CallLimits.h"
#include "lib/Import/Onnx/GraphImporter.h"
#include "lib/Import/Onnx/OpTable.h"
#include "mlir/IR/Verifier.h"
#include "llvm/ADT/StringExtras.h"
#include <map>
#include <set>

using namespace mlir;

namespace qopt::import {

static llvm::StringRef canonicalDomain(llvm::StringRef domain) {
  return domain == "ai.onnx" ? "" : domain;
}

Opsets
opsetsOf(const google::protobuf::RepeatedPtrField<onnx_file::OperatorSetIdProto>
             &imports) {
  Opsets opsets;
  for (const auto &import : imports)
    opsets[canonicalDomain(import.domain())] = import.version();
  return opsets;
}

std::string functionKey(llvm::StringRef domain, llvm::StringRef name,
                        llvm::StringRef overload) {
  return (canonicalDomain(domain) + "\x1f" + name + "\x1f" + overload).str();
}

Functions functionsOf(const onnx_file::ModelProto &model) {
  Functions functions;
  for (const auto &function : model.functions())
    functions[functionKey(function.domain(), function.name(),
                          function.overload())] = &function;
  return functions;
}

namespace {

/// Collects what the table lacks over the graph, its subgraphs and functions.
class SupportCheck {
public:
  explicit SupportCheck(const onnx_file::ModelProto &model)
      : functions(functionsOf(model)) {
    static_assert(newestIr == onnx_file::IR_VERSION);
    if (model.ir_version() < oldestIr || model.ir_version() > newestIr)
      opsetLines.insert("ir_version " + std::to_string(model.ir_version()) +
                        " of the file; expected " + std::to_string(oldestIr) +
                        " to " + std::to_string(newestIr) +
                        ", save the model with an onnx package that writes "
                        "one of these");
    Opsets opsets = opsetsOf(model.opset_import());
    checkOpset(opsets, "the model");
    checkNodes(model.graph().node(), opsets);
    for (auto &[version, names] : changed)
      opsetLines.insert(
          opsetLine(version, " of the model, which has older forms of " +
                                 llvm::join(names, ", ")));
  }

  std::string message(const std::string &path) const {
    std::string text = "\"" + path + "\" uses what is not supported:";
    for (const std::string &line : opsetLines)
      text += "\n  " + line;
    for (auto &[what, nodes] : missing) {
      text += "\n  " + what + ": node";
      size_t shown = std::min<size_t>(nodes.size(), 8);
      for (size_t i = 0; i < shown; ++i)
        text += (i ? ", \"" : " \"") + nodes[i] + "\"";
      if (shown < nodes.size())
        text += " and " + std::to_string(nodes.size() - shown) + " more";
    }
    return text;
  }
  bool complete() const { return missing.empty() && opsetLines.empty(); }

  void describe(ImportReport &report) const {
    for (const auto &[key, use] : uses)
      report.operators.push_back(use);
    report.opsets.assign(opsetLines.begin(), opsetLines.end());
  }

private:
  template <typename Nodes>
  void checkNodes(const Nodes &nodes, const Opsets &opsets) {
    for (const auto &node : nodes) {
      checkNode(node, opsets);
      for (const auto &attribute : node.attribute()) {
        if (attribute.has_g())
          checkNodes(attribute.g().node(), opsets);
        for (const auto &graph : attribute.graphs())
          checkNodes(graph.node(), opsets);
      }
    }
  }

  void checkNode(const onnx_file::NodeProto &node, const Opsets &opsets) {
    auto function = functions.find(
        functionKey(node.domain(), node.op_type(), node.overload()));
    if (function != functions.end()) {
      if (!visited.insert(function->second).second)
        return;
      Opsets inner = opsetsOf(function->second->opset_import());
      checkOpset(inner, "the function \"" + function->second->name() + "\"");
      checkNodes(function->second->node(), inner);
      return;
    }
    llvm::StringRef domain = canonicalDomain(node.domain());
    auto found = opsets.find(domain);
    std::string version =
        found == opsets.end() ? "?" : std::to_string(found->second);
    std::string what =
        onnx::printableName(node.op_type()) + " (" +
        (domain.empty() ? "opset" : onnx::printableName(domain)) + " " +
        version + ")";
    const OpRow *row = findOp(domain, node.op_type());
    bool imported = !domain.empty() || found != opsets.end();
    int64_t opset = found == opsets.end() ? 0 : found->second;
    OperatorUse &use = uses[{domain.str(), node.op_type(), opset}];
    use.op = onnx::printableName(node.op_type());
    use.domain = domain.empty() ? "" : onnx::printableName(domain);
    use.opset = opset;
    use.nodes.push_back(onnx::printableName(
        node.name().empty() && node.output_size() ? node.output(0)
                                                  : node.name()));
    if (row && (!domain.empty() || (imported && opset >= row->since)))
      return;
    use.isKnown = false;
    if (row && imported && opset < oldestOpset) {
      changed[opset].insert(what.substr(0, what.find(' ')));
      use.reason = "which has an older form in opset " + version;
      return;
    }
    if (!imported)
      use.reason = "whose opset the model does not name";
    else if (row)
      use.reason = "which exists from opset " + std::to_string(row->since);
    else
      use.reason = hintFor(node.op_type()).str();
    if (!use.reason.empty())
      what += ", " + use.reason;
    missing[what].push_back(use.nodes.back());
  }

  static std::string opsetLine(int64_t version, llvm::StringRef where) {
    return "opset " + std::to_string(version) + where.str() + "; expected " +
           std::to_string(oldestOpset) + " to " + std::to_string(newestOpset) +
           ", convert the model with onnx.version_converter";
  }

  /// Opsets before the oldest are asked for each operator: where it did not
  /// change in between, its node means the same.
  void checkOpset(const Opsets &opsets, const std::string &who) {
    auto found = opsets.find("");
    if (found != opsets.end() &&
        (found->second < 1 || found->second > newestOpset))
      opsetLines.insert(opsetLine(found->second, " of " + who));
  }

  Functions functions;
  llvm::DenseSet<const onnx_file::FunctionProto *> visited;
  std::set<std::string> opsetLines;
  /// Operators of opsets before the oldest that have changed since.
  std::map<int64_t, std::set<std::string>> changed;
  std::map<std::string, std::vector<std::string>> missing;
  /// By domain, name and opset.
  std::map<std::tuple<std::string, std::string, int64_t>, OperatorUse> uses;
};

} // namespace

Status checkSupported(const ModelFile &file, ImportReport *report) {
  SupportCheck check(file.model());
  if (report)
    check.describe(*report);
  if (check.complete())
    return {};
  return Status(StatusCode::Unsupported, check.message(file.path()));
}

static StatusOr<OwningOpRef<ModuleOp>>
importUnchecked(const std::string &path, const ImportOptions &options,
                MLIRContext &context) {
  context.loadDialect<onnx::OnnxDialect, func::FuncDialect>();
  StatusOr<ModelFile> file = ModelFile::open(path);
  if (!file)
    return file.status();
  if (Status calls = checkCalls(file->model()); !calls)
    return Status(calls.code(), "\"" + file->path() + "\": " + calls.message());
  QOPT_RETURN_IF_ERROR(checkSupported(*file, options.report));
  GraphImporter importer(*file, context, options.report);
  auto module = importer.run(options);
  if (!module)
    return Status(module.status().code(),
                  "\"" + file->path() + "\": " + module.status().message());
  std::string message;
  ScopedDiagnosticHandler handler(&context, [&](Diagnostic &diagnostic) {
    if (message.empty())
      message = onnx::describeNode(diagnostic.getLocation()) + ": " +
                diagnostic.str();
    return success();
  });
  if (failed(verify(**module)))
    return Status(StatusCode::BadModel, "\"" + file->path() + "\": " + message);
  return module;
}

StatusOr<OwningOpRef<ModuleOp>> importOnnx(const std::string &path,
                                           const ImportOptions &options,
                                           MLIRContext &context) {
  auto module = importUnchecked(path, options, context);
  if (!module)
    return Status(module.status().code(),
                  onnx::printable(module.status().message()));
  return module;
}

} // namespace qopt::import
