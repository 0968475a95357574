// What options of quantization can be given together. Values of single ones
// are read where they are used.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/ActivationOption.h"
#include "lib/Driver/PlanBudget.h"
#include "lib/Driver/Quantization.h"
#include "lib/Driver/WeightCalibration.h"
#include "lib/Kernels/SkinnyLinear/SkinnyLinear.h"
#include "llvm/Support/FormatVariadic.h"

namespace qopt::driver {

static Status refuse(const std::string &why) {
  return Status(StatusCode::InvalidArgument, why);
}

/// What is measured for scales of activations asks for.
static Status checkScaling(const CompileOptions &options) {
  auto activations = parseActivationOption(options);
  if (!activations.ok())
    return activations.status();
  std::string given = "--activations is \"" + options.activations +
                      "\", with scales that are measured on a text; ";
  bool hasText = !options.calibrate.empty() || !options.plan.empty();
  if (activations->isStatic() && !hasText)
    return refuse(given + "give one as --calibrate");
  if (activations->isStatic() && hasBudget(options))
    return refuse(given + "they are of formats that are given: leave --bits "
                          "and --max-size out, or give the plan that they "
                          "make as --plan");
  if (needsText(options.algorithm) && options.algorithm != awqAlgorithm &&
      options.calibrate.empty())
    return refuse("--algorithm is " + options.algorithm +
                  ", which chooses codes by what they do on a text; give one "
                  "as --calibrate, or ask for rtn, clip or hqq");
  if (!options.algorithm.empty() && !options.plan.empty() &&
      options.calibrate.empty())
    return refuse("--plan says how codes are chosen; leave --algorithm out");
  if (options.algorithm == awqAlgorithm &&
      (hasBudget(options) || options.calibrate.empty()))
    return refuse("--algorithm is awq, which scales channels by what a text "
                  "does to weights of given formats; give --calibrate, and "
                  "neither --bits nor --max-size");
  return Status();
}

/// A format that linears of the target read.
static Status checkCandidate(const std::string &text, TargetDevice target) {
  auto format = quant::parseFormat(text);
  if (!format.ok())
    return format.status();
  return target == TargetDevice::Host || format->isFloat()
             ? Status()
             : kernels::skinny_linear::isValidWeight(*format);
}

/// What a text does beside choosing formats.
static Status checkCalibration(const CompileOptions &options) {
  QOPT_RETURN_IF_ERROR(parseLayerInputs(options.calibrateInputs).status());
  if (!options.calibrateInputs.empty() && options.calibrate.empty())
    return refuse("--calibrate-inputs is of a text that the model reads; give "
                  "one as --calibrate, or leave it out");
  if (options.tune < 0 || options.tune > mostTuneSteps)
    return refuse(llvm::formatv("--tune is {0}; expected 0 to {1}",
                                options.tune, mostTuneSteps));
  if (options.tune > 0 && options.calibrate.empty() && options.plan.empty())
    return refuse("--tune lowers the divergence from the unquantized model on "
                  "a text; give one as --calibrate, or leave it out");
  return Status();
}

Status checkQuantizationOptions(const CompileOptions &options) {
  struct Given {
    const char *option;
    bool given;
  };
  const Given formats[] = {
      {"--weights", !options.weights.empty()},
      {"--lm-head", !options.lmHead.empty()},
      {"--embedding", !options.embedding.empty()},
      {"--format", !options.formats.empty()},
      {"--activation-format", !options.activationFormats.empty()},
      {"--kv-format", !options.cacheFormats.empty()},
      {"--bits", options.bits > 0},
      {"--max-size", !options.maxSize.empty()},
      {"--max-memory", !options.maxMemory.empty()},
      {"--max-latency", !options.maxLatency.empty()},
      {"--candidates", !options.candidates.empty()}};
  for (const Given &one : formats)
    if (!options.plan.empty() && one.given)
      return refuse(
          std::string("--plan has the formats of weights and caches; leave ") +
          one.option + " out");
  QOPT_RETURN_IF_ERROR(checkBudgetOptions(options));
  if (!hasBudget(options) && !options.candidates.empty())
    return refuse("--candidates is for --bits and other budgets, which choose "
                  "among them; give one of these, or leave it out");
  QOPT_RETURN_IF_ERROR(checkCalibration(options));
  if (options.moves < 0 || options.moves > mostMoves)
    return refuse(llvm::formatv("--moves is {0}; expected 0 to {1}",
                                options.moves, mostMoves));
  if (options.moves > 0 && !hasBudget(options))
    return refuse("--moves exchanges formats within a budget; give --bits or "
                  "another one, or leave it out");
  QOPT_RETURN_IF_ERROR(checkScaling(options));
  if (!hasBudget(options))
    return Status();
  if (!options.weights.empty())
    return refuse("--bits and other budgets choose the formats of weights; "
                  "leave --weights out, or fix single weights with --format");
  if (options.calibrate.empty())
    return refuse("--bits and other budgets choose formats by what they do on "
                  "a text; give one as --calibrate");
  for (const std::string &candidate : options.candidates)
    if (Status fits = checkCandidate(candidate, options.target); !fits.ok())
      return Status(fits.code(), "--candidates: " + fits.message());
  return Status();
}

} // namespace qopt::driver
