// qopt-opt: reads MLIR, runs passes, writes MLIR. A tool for people who work on
// the compiler, and for its tests.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/AllDialects.h"
#include "lib/Codegen/Cuda/CudaCodegen.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "passes/Pipelines.h"
#include "qopt/Version.h"
#include "tools/cli/ExitCode.h"
#include "tools/cli/OutputFiles.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/ErrorHandling.h"
#include "llvm/Support/FileSystem.h"
#include <cstdio>
#include <unistd.h>

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

/// LLVM's streams end a program that cannot write; here it is with the code and
/// message of the other tools.
static void failedInLLVM(void *name, const char *reason, bool) {
  using namespace qopt;
  bool output = llvm::StringRef(reason).starts_with("IO failure on output");
  Status status(output ? StatusCode::OutOfResources : StatusCode::Internal,
                output ? "cannot write to " + *static_cast<std::string *>(name)
                       : reason);
  std::fprintf(stderr, "error: %s\n", status.message().c_str());
  _exit(int(cli::exitCodeOf(status.code())));
}

static const cl::extrahelp examples(
    "\nExamples:\n"
    "  qopt-opt model.mlir --qopt-raise-stage\n"
    "  qopt-opt model.mlir --qopt-raise-stage=as=graph "
    "--qopt-quantize-stage=weights=int8 -o quantized.mlir\n"
    "  qopt-opt kernels.mlir --qopt-device-stage\n"
    "  qopt-opt model.mlir "
    "--pass-pipeline='builtin.module(func.func(qopt-simplify-onnx,cse))'\n"
    "\nExit codes:\n"
    "  0    done\n"
    "  1    an option, a module that is not valid, or a pass that failed\n"
    "  2    an output that is somebody's file\n"
    "  7    out of memory or disk space\n"
    "  70   a defect of qopt\n");

int main(int argc, char **argv) {
  // Lives as long as LLVM's streams, which end after everything else.
  static auto *outputName = new std::string("standard output");
  llvm::install_fatal_error_handler(failedInLLVM, outputName);
  mlir::DialectRegistry registry;
  qopt::registerAllDialects(registry);
  qopt::codegen::registerCudaCodegen(registry);
  qopt::passes::registerPasses();
  std::string header =
      mlir::registerCLIOptions("qopt's passes on MLIR files\n", registry);
  cl::SetVersionPrinter([](llvm::raw_ostream &os) {
    os << "qopt-opt " << qopt::versionString << "\n";
  });
  hideOptionsOfLLVM();
  auto [input, output] = mlir::parseCLIOptions(argc, argv, header);
  if (output != "-")
    *outputName = "'" + output + "'";
  // Written in place, so that a device may be one.
  if (output != "-" && llvm::sys::fs::is_regular_file(output))
    if (qopt::Status status = qopt::cli::checkOutput(
            "-o", output, qopt::cli::OutputKind::Mlir, {input});
        !status) {
      llvm::errs() << "error: " << status.message() << "\n";
      return int(qopt::cli::exitCodeOf(status.code()));
    }
  return mlir::asMainReturnCode(
      mlir::MlirOptMain(argc, argv, input, output, registry));
}
