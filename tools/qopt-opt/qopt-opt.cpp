// qopt-opt: reads MLIR, runs passes, writes MLIR. A tool for people who work on
// the compiler, and for its tests.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/AllDialects.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "passes/Pipelines.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  qopt::registerAllDialects(registry);
  qopt::passes::registerPasses();
  return mlir::asMainReturnCode(
      mlir::MlirOptMain(argc, argv, "qopt's passes on MLIR files\n", registry));
}
