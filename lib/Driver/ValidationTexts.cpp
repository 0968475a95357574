// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/ValidationTexts.h"
#include "dialects/QOpt/QOptOps.h"
#include "lib/Calibrate/GraphSamples.h"
#include "lib/Driver/DecoderContext.h"
#include "lib/Driver/TextReader.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Path.h"
#include <cmath>
#include <set>

using namespace mlir;

namespace qopt::driver {

/// Of each text at most so many, spread over it: as many as calibration takes.
constexpr int64_t mostTokens = int64_t(1) << 16;

static std::string fileName(const std::string &path) {
  return llvm::sys::path::filename(path).str();
}

static bool hasLimit(const CompileOptions &options) {
  return options.mostDivergence || options.mostPerplexityIncrease ||
         options.leastSameTop || options.mostError;
}

bool wantsValidation(const CompileOptions &options) {
  return hasLimit(options) || !options.validate.empty();
}

static Status checkLimit(const char *option, const std::optional<double> &limit,
                         double most) {
  if (!limit || (*limit >= 0 && *limit <= most))
    return Status();
  std::string range = std::isinf(most) ? "0 or above" : "0 to 100";
  return Status(StatusCode::InvalidArgument,
                std::string(option) + " is " + std::to_string(*limit) +
                    "; expected a number from " + range);
}

StatusOr<std::vector<NamedText>> namedTexts(const CompileOptions &options) {
  auto texts = splitNames("--validate", options.validate);
  if (!texts.ok())
    return texts;
  std::set<std::string> names{"all"};
  for (NamedText &text : *texts) {
    if (text.name == text.path)
      text.name = fileName(text.path);
    if (!names.insert(text.name).second)
      return Status(StatusCode::InvalidArgument,
                    text.name == "all"
                        ? "--validate calls a text \"all\", which stands for "
                          "all of them; give it another name"
                        : "--validate gives \"" + text.name +
                              "\" twice; expected a name for each, NAME=PATH");
  }
  return texts;
}

Status checkValidationOptions(const CompileOptions &options) {
  QOPT_RETURN_IF_ERROR(
      checkLimit("--max-kl", options.mostDivergence, HUGE_VAL));
  QOPT_RETURN_IF_ERROR(checkLimit("--max-perplexity-increase",
                                  options.mostPerplexityIncrease, HUGE_VAL));
  QOPT_RETURN_IF_ERROR(checkLimit("--min-top1", options.leastSameTop, 100));
  QOPT_RETURN_IF_ERROR(checkLimit("--max-error", options.mostError, HUGE_VAL));
  QOPT_RETURN_IF_ERROR(namedTexts(options).status());
  if (options.keep && !hasLimit(options))
    return Status(StatusCode::InvalidArgument,
                  "--keep is for --max-kl, --max-perplexity-increase, "
                  "--min-top1 and --max-error, and there is none; leave it "
                  "out");
  if (hasLimit(options) && options.validate.empty() &&
      options.calibrate.empty() && options.plan.empty())
    return Status(StatusCode::InvalidArgument,
                  "--max-kl, --max-perplexity-increase, --min-top1 and "
                  "--max-error are measured on a text, or on inputs of a "
                  "graph; give them as --validate, or --calibrate, of which "
                  "every eighth window or sample is held out");
  return Status();
}

/// The held-out windows of each slice of a manifest.
static StatusOr<ValidationWindows>
heldOutSlices(const CalibrationText &calibration, int64_t context) {
  const std::vector<SourceRecord> &sources = calibration.record.sources;
  ValidationWindows result;
  std::set<std::string> done;
  for (const SourceRecord &first : sources) {
    if (!done.insert(first.slice).second)
      continue;
    auto isOfSlice = [&](int64_t window) {
      for (const auto &[source, domain] :
           llvm::zip(sources, calibration.tokens.domains()))
        if (window >= domain.first && window < domain.first + domain.count)
          return source.slice == first.slice;
      return false;
    };
    TokenWindows heldOut = calibration.tokens.select(
        [&](int64_t window) {
          return calibrate::isHeldOut(window) && isOfSlice(window);
        },
        context);
    if (heldOut.count() == 0)
      return Status(StatusCode::InvalidArgument,
                    "no window of the slice \"" + first.slice + "\" of \"" +
                        calibration.record.text +
                        "\" is held out; expected 8 windows or more of it, or "
                        "a text to measure on as --validate");
    QOPT_RETURN_IF_ERROR(
        result.windows.add(first.slice, heldOut, heldOut.count()));
    for (const SourceRecord &source : sources)
      if (source.slice == first.slice)
        result.texts.push_back({first.slice, source.file, source.sha256});
  }
  return result;
}

/// The held-out windows of calibration, as long as the context allows.
static StatusOr<ValidationWindows>
heldOutWindows(const std::optional<CalibrationText> &calibration,
               int64_t context) {
  if (!calibration)
    return Status(StatusCode::InvalidArgument,
                  "the plan was made without a text to calibrate on; give one "
                  "to measure on as --validate");
  if (!calibration->record.sources.empty())
    return heldOutSlices(*calibration, context);
  const TokenWindows &all = calibration->tokens;
  std::string file = fileName(calibration->record.text);
  TokenWindows heldOut = all.select(calibrate::isHeldOut, context);
  if (heldOut.count() == 0)
    return Status(StatusCode::InvalidArgument,
                  "calibration text \"" + calibration->record.text + "\" has " +
                      std::to_string(all.count()) +
                      " windows, of which none is held out; expected 8 or "
                      "more, or another text to measure on as --validate");
  ValidationWindows result;
  QOPT_RETURN_IF_ERROR(
      result.windows.add("held out", heldOut, heldOut.count()));
  result.texts.push_back({"held out", file, calibration->record.sha256});
  return result;
}

StatusOr<ValidationWindows>
readValidationTexts(ModuleOp raised, const CompileOptions &options,
                    const Companions &companions,
                    const std::optional<CalibrationText> &calibration) {
  if (options.mostError)
    return Status(
        StatusCode::InvalidArgument,
        "--max-error is of the outputs of a graph, and the model is a "
        "decoder; limit --max-kl");
  auto reader = TextReader::create(
      raised, companions,
      options.validate.empty() ? "a limit of quality" : "--validate");
  if (!reader.ok())
    return reader.status();
  int64_t context = decoderStep(raised)
                        ->getAttrOfType<IntegerAttr>(ir::contextAttribute)
                        .getInt();
  if (context < 2)
    return Status(StatusCode::Infeasible,
                  "with a context of one token nothing can be predicted, and "
                  "quality not be measured; leave --validate and limits out");
  if (options.validate.empty())
    return heldOutWindows(calibration, context);
  auto texts = namedTexts(options);
  if (!texts.ok())
    return texts.status();
  int64_t length = std::min(calibrate::WindowLimits().length, context);
  ValidationWindows result;
  for (const NamedText &text : *texts) {
    if (calibrate::isArrayFile(text.path))
      return Status(StatusCode::InvalidArgument,
                    "--validate: \"" + text.path +
                        "\" has inputs of a graph, but the model is a decoder; "
                        "expected a text or token ids (.npy)");
    auto found =
        reader->read({"validation text", text.path}, length, mostTokens);
    if (!found.ok())
      return found.status();
    QOPT_RETURN_IF_ERROR(
        result.windows.add(text.name, found->windows, found->windows.count()));
    result.texts.push_back({text.name, fileName(text.path), found->sha256});
  }
  return result;
}

} // namespace qopt::driver
