// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/HostFunction.h"
#include "mlir/IR/Builders.h"
#include "mlir/Pass/PassManager.h"
#include "passes/Pipelines.h"
#include "llvm/Support/FileSystem.h"

using namespace mlir;

namespace qopt::driver {

/// What is asked of the artifact, of all that the user asks of the model.
static CompileOptions optionsFor(const CompileOptions &options,
                                 std::string output) {
  CompileOptions own;
  own.output = std::move(output);
  own.kind = ModelKind::Graph;
  own.cpu = options.cpu;
  own.threads = options.threads;
  return own;
}

Status buildForHost(ModuleOp module, const ArtifactParts &parts) {
  PassManager manager(module.getContext());
  passes::addFuseStage(manager);
  passes::addHostScheduleStage(manager);
  passes::addLowerStage(manager);
  if (failed(manager.run(module)))
    return Status(StatusCode::Internal,
                  "\"" + parts.options.output + "\" could not be compiled");
  CompileSummary unused;
  return buildArtifact(module, parts, Progress(), unused);
}

StatusOr<HostFunction> HostFunction::compile(func::FuncOp func,
                                             const CompileOptions &options,
                                             const std::string &folder) {
  OwningOpRef<ModuleOp> module = ModuleOp::create(func.getLoc());
  module->push_back(func.clone());
  std::string path = folder + "/" + func.getName().str() + ".qopt";
  QOPT_RETURN_IF_ERROR(
      buildForHost(*module, {optionsFor(options, path), Companions()}));
  // Written by this process a moment ago.
  auto artifact = Artifact::open(path, OpenOptions{.trust = true});
  // A mapped file stays readable.
  (void)llvm::sys::fs::remove(path);
  if (!artifact.ok())
    return artifact.status();
  auto session = Session::create(
      *artifact, SessionOptions{.threads = int(options.threads)});
  if (!session.ok())
    return session.status();
  return HostFunction(std::move(*session));
}

} // namespace qopt::driver
