// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/OptionChecks.h"

#include "lib/Codegen/Host/HostTarget.h"
#include "lib/Driver/ActivationOption.h"
#include "lib/Driver/CacheOption.h"
#include "lib/Driver/HostRates.h"
#include "lib/Driver/Quantization.h"
#include "lib/Driver/Validation.h"
#include "lib/Target/Target.h"

namespace qopt::driver {

/// The host follows one GPU, and rounds where it does.
static Status checkSumOrder(const CompileOptions &options) {
  if (options.sumOrder.empty())
    return Status();
  std::string given = "--sum-order is \"" + options.sumOrder + "\"";
  auto targets = target::parseArchitectures(options.sumOrder);
  if (!targets.ok() || targets->size() != 1)
    return Status(StatusCode::InvalidArgument,
                  given + "; expected one architecture, as sm_90a or sm_80");
  if (options.target != TargetDevice::Host)
    return Status(StatusCode::InvalidArgument,
                  given + ", but a GPU has its own; leave it out");
  auto activations = parseActivationOption(options);
  if (activations.ok() && activations->type == "f32")
    return Status(StatusCode::InvalidArgument,
                  given + ", but activations are not those of a GPU; expected "
                          "--activations f16 or bf16 beside it");
  return Status();
}

/// What belongs to one target only.
static Status checkTarget(const CompileOptions &options) {
  bool gpu = options.target == TargetDevice::Cuda;
  QOPT_RETURN_IF_ERROR(parseCacheOption(options).status());
  QOPT_RETURN_IF_ERROR(parseActivationOption(options).status());
  QOPT_RETURN_IF_ERROR(checkActivationFormats(options));
  QOPT_RETURN_IF_ERROR(checkSumOrder(options));
  if (gpu) {
    if (auto targets = target::parseArchitectures(options.architectures);
        !targets.ok())
      return Status(targets.status().code(),
                    "--arch: " + targets.status().message());
  }
  return Status();
}

Status checkOptions(const CompileOptions &options) {
  QOPT_RETURN_IF_ERROR(checkTarget(options));
  if (Status status = checkAlgorithm(options.algorithm); !status.ok())
    return Status(status.code(), "--algorithm: " + status.message());
  QOPT_RETURN_IF_ERROR(checkQuantizationOptions(options));
  QOPT_RETURN_IF_ERROR(checkValidationOptions(options));
  if (options.context < 0 || options.context > longestContext)
    return Status(StatusCode::InvalidArgument,
                  "--context is " + std::to_string(options.context) +
                      "; expected 1 to " + std::to_string(longestContext) +
                      ", or 0 for the model's own");
  if (auto target = codegen::parseHostTarget(options.cpu); !target)
    return Status(target.status().code(),
                  "--cpu: " + target.status().message());
  if (options.calibrateTokens < 1)
    return Status(StatusCode::InvalidArgument,
                  "--calibrate-tokens is " +
                      std::to_string(options.calibrateTokens) +
                      "; expected 1 or more");
  if (options.threads > mostThreads)
    return Status(StatusCode::InvalidArgument,
                  "--threads is " + std::to_string(options.threads) +
                      "; expected at most " + std::to_string(mostThreads));
  return Status();
}

Status checkStepOptions(const CompileOptions &asked) {
  CompileOptions options = asked;
  options.batch = 1;
  options.hostRates.clear();
  QOPT_RETURN_IF_ERROR(checkOptions(options));
  return checkHostRates(asked);
}

Status checkBlameOptions(const CompileOptions &options) {
  if (options.validate.empty() && options.calibrate.empty() &&
      options.plan.empty())
    return Status(StatusCode::InvalidArgument,
                  "--blame is measured on a text, or on inputs of a graph; "
                  "give them as --validate");
  if (options.mostDivergence || options.mostPerplexityIncrease ||
      options.leastSameTop || options.mostError)
    return Status(StatusCode::InvalidArgument,
                  "limits of quality are for artifacts, and --blame writes "
                  "none; leave them out");
  for (const auto &[option, isGiven] :
       {std::pair("-o", !options.output.empty()),
        {"--save-plan", !options.savePlan.empty()},
        {"--keep", options.keep}})
    if (isGiven)
      return Status(StatusCode::InvalidArgument,
                    std::string("--blame writes nothing; leave out ") + option);
  return {};
}

Status checkStage(const CompileOptions &options, Stage stage) {
  bool gpu = options.target == TargetDevice::Cuda;
  if (wantsValidation(options))
    return Status(StatusCode::InvalidArgument,
                  "--validate and limits of quality are for artifacts, which "
                  "run; a stage has no use for them, leave them out");
  if (stage == Stage::Artifact)
    return Status(
        StatusCode::InvalidArgument,
        "an artifact cannot be printed; inspect it with qopt-inspect");
  if (stage > Stage::Kernels && !gpu)
    return Status(StatusCode::InvalidArgument,
                  "the stages gpu, ptx and sass are for the target cuda");
  return Status();
}

} // namespace qopt::driver
