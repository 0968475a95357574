// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tools/qopt-translate/Translation.h"

#include "dialects/AllDialects.h"
#include "dialects/Onnx/SymbolicShapes.h"
#include "lib/Import/Onnx/Importer.h"
#include "lib/Import/Onnx/OpTable.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/MLIRContext.h"
#include "llvm/Support/raw_ostream.h"

namespace qopt::translate {

/// "[batch, 8, 64]" for each result of each op, as the attribute `sizes`.
static Status annotateSizes(mlir::ModuleOp module) {
  mlir::Builder b(module.getContext());
  for (auto function : module.getOps<mlir::func::FuncOp>()) {
    onnx::SymbolicShapes shapes(module.getContext());
    QOPT_RETURN_IF_ERROR(shapes.run(function));
    function->walk([&](mlir::Operation *op) {
      llvm::SmallVector<mlir::Attribute> texts;
      for (mlir::Value result : op->getResults())
        if (const auto *facts = shapes.lookup(result))
          texts.push_back(b.getStringAttr(shapes.spell(*facts)));
      if (!texts.empty())
        op->setAttr("sizes", b.getArrayAttr(texts));
    });
  }
  return {};
}

StatusOr<std::string> importAsText(const TranslateOptions &options) {
  mlir::DialectRegistry registry;
  registerAllDialects(registry);
  mlir::MLIRContext context(registry);
  auto module = import::importOnnx(options.model, {}, context);
  if (!module)
    return module.status();
  if (options.sizes)
    QOPT_RETURN_IF_ERROR(annotateSizes(**module));
  mlir::OpPrintingFlags flags;
  if (!options.weights)
    flags.elideLargeResourceString(0);
  if (options.locations)
    flags.enableDebugInfo();
  std::string text;
  llvm::raw_string_ostream stream(text);
  (*module)->print(stream, flags);
  stream << "\n";
  return text;
}

std::string listOperators() {
  std::string text;
  llvm::raw_string_ostream os(text);
  os << "Opsets " << import::oldestOpset << " to " << import::newestOpset
     << " of the default domain, and older ones whose operators have the form "
        "of these.\n\n| operator | domain | from opset | op |\n"
        "|---|---|---|---|\n";
  for (const import::OpRow &row : import::opTable()) {
    llvm::StringRef domain = row.domain;
    os << "| " << row.name << " | " << (domain.empty() ? "ai.onnx" : domain)
       << " | " << row.since << " | "
       << (row.target ? "onnx." + std::string(row.target) : "rewritten")
       << " |\n";
  }
  return text;
}

} // namespace qopt::translate
