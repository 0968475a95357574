// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/HostModels.h"
#include "lib/Codegen/TemporaryFolder.h"
#include "lib/Driver/ActivationOption.h"
#include "lib/Driver/HostFunction.h"
#include "lib/Driver/StageOptions.h"
#include "mlir/Pass/PassManager.h"

using namespace mlir;

namespace qopt::driver {

StatusOr<OwningOpRef<ModuleOp>>
quantizedModel(ModuleOp raised, const passes::AskedFormats &formats) {
  OwningOpRef<ModuleOp> module = raised.clone();
  PassManager manager(raised.getContext());
  passes::addQuantizeStage(manager, formats);
  if (failed(manager.run(*module)))
    return Status(StatusCode::Unsupported,
                  "the model could not be made for the host, which measures");
  return module;
}

passes::AskedFormats unquantizedFormats() {
  CompileOptions options;
  options.activations = options.cache = "f32";
  passes::AskedFormats formats = askedFormats(options);
  formats.type = formats.widest = "f32";
  return formats;
}

CompileOptions onHost(CompileOptions options) {
  options.activations = hostActivations(options);
  options.target = TargetDevice::Host;
  options.strict = false;
  return options;
}

std::string measuredOn(const CompileOptions &options) {
  if (options.target == TargetDevice::Host)
    return "the host";
  return "the host, for the GPU's artifact: the same codes of weights, "
         "activations in " +
         onHost(options).activations +
         " and formats of the cache; sums are in the host's order";
}

StatusOr<std::unique_ptr<Engine>> openEngine(const std::string &path,
                                             const CompileOptions &options) {
  auto artifact = Artifact::open(path, OpenOptions{.trust = true});
  if (!artifact.ok())
    return artifact.status();
  EngineOptions engine;
  engine.threads = int(options.threads);
  engine.maxSequences = 1;
  return Engine::create(*artifact, engine);
}

StatusOr<std::unique_ptr<Session>> openSession(const std::string &path,
                                               const CompileOptions &options) {
  auto artifact = Artifact::open(path, OpenOptions{.trust = true});
  if (!artifact.ok())
    return artifact.status();
  return Session::create(*artifact, {.threads = int(options.threads)});
}

/// Writes the artifact of a module and has it opened by `open`.
template <typename Runner>
static StatusOr<std::unique_ptr<Runner>>
runnerOf(ModuleOp module, const CompileOptions &options,
         const Companions &companions,
         StatusOr<std::unique_ptr<Runner>> (*open)(const std::string &,
                                                   const CompileOptions &)) {
  codegen::TemporaryFolder folder("qopt-validate");
  QOPT_RETURN_IF_ERROR(folder.made());
  CompileOptions own = onHost(options);
  own.output = folder.file("model.qopt");
  QOPT_RETURN_IF_ERROR(buildForHost(module, {own, companions}));
  // Written by this process a moment ago; a mapped file stays readable.
  return open(own.output, options);
}

StatusOr<std::unique_ptr<Engine>> engineOf(ModuleOp module,
                                           const CompileOptions &options,
                                           const Companions &companions) {
  return runnerOf(module, options, companions, openEngine);
}

StatusOr<std::unique_ptr<Session>> sessionOf(ModuleOp module,
                                             const CompileOptions &options,
                                             const Companions &companions) {
  return runnerOf(module, options, companions, openSession);
}

} // namespace qopt::driver
