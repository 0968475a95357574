// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/ValidationSamples.h"
#include "lib/Calibrate/GraphSamples.h"
#include "lib/Driver/GraphInputs.h"
#include "lib/Driver/ValidationTexts.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/Path.h"
#include <set>

using namespace mlir;

namespace qopt::driver {

/// Of each file at most so many, as of texts.
constexpr int64_t mostTokens = int64_t(1) << 16;

static Status refuse(const std::string &why) {
  return Status(StatusCode::InvalidArgument, why);
}

eval::GraphOutputs ValidationSamples::run(Session &session) const {
  return [this, &session](int64_t sample) -> StatusOr<std::vector<Tensor>> {
    std::vector<TensorView> inputs;
    for (const TensorSpec &spec : session.artifact().inputs()) {
      auto values = all->input(chosen[size_t(sample)], spec.name);
      if (!values)
        return Status(StatusCode::Internal,
                      "no sample has the input \"" + spec.name + "\"");
      inputs.push_back(std::move(*values));
    }
    auto results = session.run(inputs);
    return results.ok() ? std::move(results)
                        : Status(results.status().code(),
                                 "sample " + std::to_string(sample) + ": " +
                                     results.status().message());
  };
}

/// Limits on predictions where there are none.
static Status checkLimits(ModuleOp raised, const CompileOptions &options) {
  if (options.mostPerplexityIncrease)
    return refuse("--max-perplexity-increase is of a decoder's predictions of "
                  "a text, and the model is a graph; limit --max-error, or "
                  "--max-kl where it has logits");
  const char *limit = options.mostDivergence ? "--max-kl"
                      : options.leastSameTop ? "--min-top1"
                                             : nullptr;
  std::string names;
  for (const TensorSpec &output : graphOutputs(raised)) {
    int64_t classes = -1;
    if (!output.shape.empty())
      (void)StringRef(output.shape.back()).getAsInteger(10, classes);
    if (eval::hasLogits(output.name, output.shape.size(), classes))
      limit = nullptr;
    names += (names.empty() ? "\"" : ", \"") + output.name + "\"";
  }
  if (!limit)
    return Status();
  return refuse(std::string(limit) +
                " is of predictions, and no output of the graph is called "
                "logits (it has " +
                names +
                "); limit --max-error, the square of an output's error beside "
                "the output's own");
}

/// The samples of calibration that are held out, by slices.
static StatusOr<ValidationSamples>
heldOutSamples(const std::optional<CalibrationText> &calibration) {
  if (!calibration)
    return refuse("the plan was made without samples to calibrate on; give "
                  "some to measure on as --validate");
  std::vector<SourceRecord> sources = calibration->record.sources;
  if (sources.empty()) {
    SourceRecord whole;
    whole.file = llvm::sys::path::filename(calibration->record.text).str();
    whole.slice = "held out";
    whole.sha256 = calibration->record.sha256;
    whole.windows = calibration->samples->count();
    sources.push_back(std::move(whole));
  }
  ValidationSamples result;
  result.all = calibration->samples;
  std::set<std::string> done;
  for (const SourceRecord &first : sources) {
    if (!done.insert(first.slice).second)
      continue;
    eval::SampleRange range{first.slice, result.count(), 0};
    int64_t sample = 0;
    for (const SourceRecord &source : sources) {
      for (int64_t i = 0; i < source.windows; ++i, ++sample)
        if (source.slice == first.slice && calibrate::isHeldOut(sample))
          result.chosen.push_back(sample);
      if (source.slice == first.slice)
        result.texts.push_back({first.slice, source.file, source.sha256});
    }
    range.count = result.count() - range.first;
    if (range.count == 0)
      return refuse("no sample of \"" + first.file +
                    "\" is held out; expected 8 samples or more of it, or "
                    "others to measure on as --validate");
    result.files.push_back(std::move(range));
  }
  return result;
}

StatusOr<ValidationSamples>
readValidationSamples(ModuleOp raised, const CompileOptions &options,
                      const std::optional<CalibrationText> &calibration) {
  QOPT_RETURN_IF_ERROR(checkLimits(raised, options));
  if (options.validate.empty())
    return heldOutSamples(calibration);
  auto files = namedTexts(options);
  if (!files.ok())
    return files.status();
  calibrate::GraphSamplesReader reader(graphInputs(raised), "--validate");
  ValidationSamples result;
  for (const NamedText &file : *files) {
    if (!calibrate::isArrayFile(file.path))
      return refuse("--validate: \"" + file.path +
                    "\" is given for a graph, which reads no text; expected a "
                    ".npz with an array for each of its inputs, samples along "
                    "the first axis");
    auto found = reader.read(file.path, mostTokens);
    if (!found.ok())
      return found.status();
    result.files.push_back({file.name, result.count(), found->samples});
    for (int64_t i = 0; i < found->samples; ++i)
      result.chosen.push_back(result.count());
    result.texts.push_back({file.name,
                            llvm::sys::path::filename(file.path).str(),
                            std::move(found->sha256)});
  }
  result.all = reader.samples();
  return result;
}

} // namespace qopt::driver
