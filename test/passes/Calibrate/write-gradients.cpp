// write-gradients MODEL OUT.qopt: differentiates the only function of MODEL, an
// MLIR file in the state behind the stage quantize or an ONNX model that is
// brought there as a graph, and compiles what comes out for the host, so that
// tests in Python run it.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/AllDialects.h"
#include "lib/Codegen/Host/HostCodegen.h"
#include "lib/Driver/ArtifactBuilder.h"
#include "lib/Import/Onnx/Importer.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "passes/Calibrate/Passes.h"
#include "passes/Pipelines.h"
#include "llvm/Support/raw_ostream.h"

using namespace qopt;
using Module = mlir::OwningOpRef<mlir::ModuleOp>;

/// The module, and in `passes` what brings it behind the stage quantize.
static StatusOr<Module> readModel(const std::string &path,
                                  mlir::MLIRContext &context,
                                  mlir::PassManager &passes) {
  if (llvm::StringRef(path).ends_with(".mlir")) {
    Module module = mlir::parseSourceFile<mlir::ModuleOp>(path, &context);
    if (!module)
      return Status(StatusCode::BadModel, "the file is no module");
    return module;
  }
  passes::addRaiseStage(passes, passes::ModelShape::Graph);
  passes::AskedFormats formats;
  formats.activations = "f32";
  passes::addQuantizeStage(passes, formats);
  return import::importOnnx(path, {}, context);
}

static Status writeGradients(const std::string &model,
                             const std::string &output) {
  mlir::DialectRegistry registry;
  registerAllDialects(registry);
  codegen::registerHostCodegen(registry);
  mlir::MLIRContext context(registry);
  mlir::PassManager passes(&context);
  StatusOr<Module> module = readModel(model, context, passes);
  if (!module)
    return module.status();
  passes.addNestedPass<mlir::func::FuncOp>(
      passes::createDifferentiateFunctionPass());
  passes::addFuseStage(passes);
  passes::addHostScheduleStage(passes);
  passes::addLowerStage(passes);
  if (failed(passes.run(**module)))
    return Status(StatusCode::Unsupported, "a pass failed");
  CompileOptions options;
  options.model = model;
  options.output = output;
  driver::Companions companions;
  companions.model = model;
  CompileSummary summary;
  return driver::buildArtifact(
      **module, {.options = options, .companions = companions}, {}, summary);
}

int main(int argc, char **argv) {
  if (argc != 3)
    return llvm::errs() << "error: expected MODEL OUT.qopt\n", 2;
  if (Status written = writeGradients(argv[1], argv[2]); !written)
    return llvm::errs() << "error: " << written.message() << "\n", 1;
  return 0;
}
