// qopt-translate: reads an ONNX file and prints the onnx dialect, or reads
// kernels and prints PTX. A tool for people who work on the compiler, and for
// its tests; weights are printed as "__elided__" unless asked for.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/AllDialects.h"
#include "dialects/Onnx/SymbolicShapes.h"
#include "lib/Import/Onnx/Importer.h"
#include "lib/Import/Onnx/OpTable.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/AsmState.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Support/FileUtilities.h"
#include "ptx.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/ToolOutputFile.h"

namespace cl = llvm::cl;

static cl::opt<std::string>
    input(cl::Positional,
          cl::desc("<model.onnx, its folder, or a file of kernels>"));
static cl::opt<std::string> output("o", cl::desc("where to write"),
                                   cl::value_desc("file"), cl::init("-"));
static cl::opt<bool> importOnnx("import-onnx",
                                cl::desc("from ONNX to the onnx dialect"));
static cl::opt<bool> toPtx("qopt-to-ptx",
                           cl::desc("from kernels in gpu.module to PTX"));
static cl::opt<std::string> arch("arch", cl::desc("architecture of the PTX"),
                                 cl::value_desc("sm_90a|sm_80"),
                                 cl::init("sm_90a"));
static cl::opt<bool> locations("locations",
                               cl::desc("print where each op comes from"));
static cl::opt<bool>
    operators("operators",
              cl::desc("list the operators that can be read, as Markdown"));
static cl::opt<bool> weights("weights", cl::desc("print the weights' bytes"));

static cl::opt<bool> sizes("sizes",
                           cl::desc("write each result's sizes, as far as they "
                                    "are known, beside its op"));

/// "[batch, 8, 64]" for each result of each op, as the attribute `sizes`.
static qopt::Status annotateSizes(mlir::ModuleOp module) {
  mlir::Builder b(module.getContext());
  for (auto function : module.getOps<mlir::func::FuncOp>()) {
    qopt::onnx::SymbolicShapes shapes(module.getContext());
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

static void listOperators(llvm::raw_ostream &os) {
  using namespace qopt::import;
  os << "Opsets " << oldestOpset << " to " << newestOpset
     << " of the default domain.\n\n| operator | domain | from opset | op |\n"
        "|---|---|---|---|\n";
  for (const OpRow &row : opTable()) {
    llvm::StringRef domain = row.domain;
    os << "| " << row.name << " | " << (domain.empty() ? "ai.onnx" : domain)
       << " | "
       << (domain.empty() ? std::max<int64_t>(row.since, oldestOpset) : 1)
       << " | "
       << (row.target ? "onnx." + std::string(row.target) : "rewritten")
       << " |\n";
  }
}

int main(int argc, char **argv) {
  llvm::InitLLVM init(argc, argv);
  cl::ParseCommandLineOptions(
      argc, argv,
      "qopt's import of ONNX models and its PTX, as text\n\n"
      "  qopt-translate --import-onnx model.onnx -o model.mlir\n"
      "  qopt-translate --qopt-to-ptx kernels.mlir --arch=sm_90a\n");
  if (operators) {
    listOperators(llvm::outs());
    return 0;
  }
  if (toPtx && !importOnnx && !input.empty())
    return translateToPtx(input, output, arch);
  if (!importOnnx || toPtx || input.empty()) {
    llvm::errs() << "error: nothing to do; expected --import-onnx and a model, "
                    "--qopt-to-ptx and kernels, or --operators\n";
    return 2;
  }
  mlir::DialectRegistry registry;
  qopt::registerAllDialects(registry);
  mlir::MLIRContext context(registry);
  auto module = qopt::import::importOnnx(input, {}, context);
  if (!module) {
    llvm::errs() << "error: " << module.status().message() << "\n";
    return 1;
  }
  if (sizes)
    if (qopt::Status status = annotateSizes(**module); !status) {
      llvm::errs() << "error: " << status.message() << "\n";
      return 1;
    }
  std::string message;
  auto file = mlir::openOutputFile(output, &message);
  if (!file) {
    llvm::errs() << "error: " << message << "\n";
    return 1;
  }
  mlir::OpPrintingFlags flags;
  if (!weights)
    flags.elideLargeResourceString(0);
  if (locations)
    flags.enableDebugInfo();
  (*module)->print(file->os(), flags);
  file->os() << "\n";
  file->keep();
  return 0;
}
