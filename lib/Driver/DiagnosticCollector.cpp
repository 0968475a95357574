// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/DiagnosticCollector.h"
#include "dialects/Onnx/NodeLocation.h"
#include "dialects/Onnx/PrintableNames.h"
#include "dialects/QOpt/ErrorCode.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;

namespace qopt::driver {

/// Verifiers begin with the operation of the IR, where the node says more.
static std::string withoutOperation(StringRef text) {
  size_t end = text.starts_with("'qopt.") ? text.find("' op ") : text.npos;
  return end == text.npos ? text.str() : text.substr(end + 5).str();
}

static std::string describe(Diagnostic &diagnostic) {
  std::string node =
      "\"" + onnx::printableName(onnx::nodeName(diagnostic.getLocation())) +
      "\"";
  std::string text = diagnostic.str();
  if (node != "\"\"" && text.find(node) == std::string::npos) {
    auto origin = onnx::nodeOrigin(diagnostic.getLocation());
    text = (origin ? onnx::describe(*origin) : "node " + node) + ": " +
           withoutOperation(text);
  }
  for (Diagnostic &note : diagnostic.getNotes())
    text += "\n  " + note.str();
  return text;
}

static std::string indented(const std::string &text) {
  std::string result = "  ";
  for (char c : text)
    result += c == '\n' ? "\n  " : std::string(1, c);
  return result;
}

DiagnosticCollector::DiagnosticCollector(MLIRContext &context,
                                         CompileSummary &summary)
    : handler(&context, [this, &summary](Diagnostic &diagnostic) {
        std::string text = onnx::printable(describe(diagnostic));
        if (diagnostic.getSeverity() == DiagnosticSeverity::Error) {
          errors.push_back({std::move(text),
                            onnx::nodeOrigin(diagnostic.getLocation()),
                            ir::codeOf(diagnostic)});
        } else if (diagnostic.getSeverity() == DiagnosticSeverity::Warning)
          summary.warnings.push_back(text);
        else
          summary.remarks.push_back(text);
        return success();
      }) {}

Status
DiagnosticCollector::status(StatusCode code, const std::string &fallback,
                            const std::vector<std::string> &reasons) const {
  std::string text = errors.empty() ? fallback : errors.front().text;
  if (errors.size() > 1) {
    text = std::to_string(errors.size()) + " errors:";
    for (const Error &error : errors)
      text += "\n" + indented(error.text);
  }
  for (const std::string &reason : reasons)
    text += "\n  " + reason;
  auto sameCode = [&](const Error &error) {
    return error.code == errors.front().code;
  };
  if (!errors.empty() && errors.front().code != StatusCode::Ok &&
      llvm::all_of(errors, sameCode))
    code = errors.front().code;
  return Status(code, onnx::printable(text));
}

} // namespace qopt::driver
