// qopt-opt: reads MLIR, runs passes, writes MLIR. A tool for people who work on
// the compiler, and for its tests.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/AllDialects.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "passes/Pipelines.h"
#include "qopt/Version.h"
#include "tools/cli/OutputFiles.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/FileSystem.h"

namespace cl = llvm::cl;

/// --help shows the passes and these options of MLIR; --help-hidden has the
/// hundreds that the linked parts of LLVM bring.
static void hideOptionsOfLLVM() {
  static const llvm::StringSet<> shown = {"allow-unregistered-dialect",
                                          "dump-pass-pipeline",
                                          "emit-bytecode",
                                          "help",
                                          "help-hidden",
                                          "mlir-elide-elementsattrs-if-larger",
                                          "mlir-print-debuginfo",
                                          "mlir-print-ir-after",
                                          "mlir-print-ir-after-all",
                                          "mlir-print-ir-after-change",
                                          "mlir-print-ir-before",
                                          "mlir-print-ir-before-all",
                                          "mlir-timing",
                                          "o",
                                          "pass-pipeline",
                                          "show-dialects",
                                          "split-input-file",
                                          "verify-diagnostics",
                                          "verify-each",
                                          "version"};
  for (auto &entry : cl::getRegisteredOptions()) {
    cl::Option *option = entry.second;
    if (option->hasArgStr() && !shown.contains(option->ArgStr))
      option->setHiddenFlag(cl::Hidden);
  }
}

static const cl::extrahelp examples(
    "\nExamples:\n"
    "  qopt-opt model.mlir --qopt-raise-stage\n"
    "  qopt-opt model.mlir --qopt-raise-stage=as=graph "
    "--qopt-quantize-stage=weights=int8 -o quantized.mlir\n"
    "  qopt-opt model.mlir "
    "--pass-pipeline='builtin.module(func.func(qopt-simplify-onnx,cse))'\n");

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  qopt::registerAllDialects(registry);
  qopt::passes::registerPasses();
  std::string header =
      mlir::registerCLIOptions("qopt's passes on MLIR files\n", registry);
  cl::SetVersionPrinter([](llvm::raw_ostream &os) {
    os << "qopt-opt " << qopt::versionString << "\n";
  });
  hideOptionsOfLLVM();
  auto [input, output] = mlir::parseCLIOptions(argc, argv, header);
  // Written in place, so that a device may be one.
  if (output != "-" && llvm::sys::fs::is_regular_file(output))
    if (qopt::Status status = qopt::cli::checkOutput(
            "-o", output, qopt::cli::OutputKind::Mlir, {input});
        !status) {
      llvm::errs() << "error: " << status.message() << "\n";
      return EXIT_FAILURE;
    }
  return mlir::asMainReturnCode(
      mlir::MlirOptMain(argc, argv, input, output, registry));
}
