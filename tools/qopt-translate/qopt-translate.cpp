// qopt-translate: reads an ONNX file and prints the onnx dialect. A tool for
// people who work on the compiler, and for its tests; weights are printed as
// "__elided__" unless asked for.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/AllDialects.h"
#include "lib/Import/Onnx/Importer.h"
#include "mlir/IR/AsmState.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Support/FileUtilities.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/ToolOutputFile.h"

namespace cl = llvm::cl;

static cl::opt<std::string> input(cl::Positional, cl::Required,
                                  cl::desc("<model.onnx or its folder>"));
static cl::opt<std::string> output("o", cl::desc("where to write"),
                                   cl::value_desc("file"), cl::init("-"));
static cl::opt<bool>
    importOnnx("import-onnx",
               cl::desc("from ONNX to the onnx dialect (the one translation)"),
               cl::Required);
static cl::opt<bool> locations("locations",
                               cl::desc("print where each op comes from"));
static cl::opt<bool> weights("weights", cl::desc("print the weights' bytes"));

int main(int argc, char **argv) {
  llvm::InitLLVM init(argc, argv);
  cl::ParseCommandLineOptions(
      argc, argv,
      "qopt's import of ONNX models, as text\n\n"
      "  qopt-translate --import-onnx model.onnx -o model.mlir\n");
  mlir::DialectRegistry registry;
  qopt::registerAllDialects(registry);
  mlir::MLIRContext context(registry);
  auto module = qopt::import::importOnnx(input, {}, context);
  if (!module) {
    llvm::errs() << "error: " << module.status().message() << "\n";
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
