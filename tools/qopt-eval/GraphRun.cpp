// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tools/qopt-eval/GraphRun.h"

#include "lib/Calibrate/GraphSamples.h"
#include "lib/Evaluate/QualityGates.h"
#include "lib/Io/Npz.h"
#include "lib/Tokens/NamedText.h"
#include "tools/cli/ModelFiles.h"
#include "tools/cli/Progress.h"
#include "tools/qopt-eval/DescribeEvaluation.h"
#include "tools/qopt-eval/Sweep.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>

namespace qopt::eval {

using Json = nlohmann::ordered_json;
using calibrate::CalibrationSamples;

/// Of each file, as qopt-compile takes of what it validates on.
constexpr int64_t mostTokens = int64_t(1) << 16;

static Status refuse(const std::string &why) {
  return {StatusCode::InvalidArgument, why};
}

static StatusOr<std::unique_ptr<Session>>
openGraph(const std::string &path, const std::string &device,
          const EvalOptions &options) {
  StatusOr<std::shared_ptr<const Artifact>> artifact =
      cli::openArtifact(path, {options.trust}, device);
  if (!artifact.ok())
    return artifact.status();
  if ((*artifact)->isDecoder())
    return refuse("--inputs: '" + path +
                  "' is a decoder, which is evaluated on text; give --text or "
                  "--tokens");
  return Session::create(*artifact, {options.threads, device});
}

/// Runs a graph on each sample.
static GraphOutputs outputsOf(Session &session,
                              const CalibrationSamples &samples) {
  return [&](int64_t sample) -> StatusOr<std::vector<Tensor>> {
    std::vector<TensorView> inputs;
    for (const TensorSpec &spec : session.artifact().inputs()) {
      std::optional<TensorView> values = samples.input(sample, spec.name);
      if (!values)
        return refuse("the reference has an input \"" + spec.name +
                      "\", which the model has not");
      inputs.push_back(std::move(*values));
    }
    StatusOr<std::vector<Tensor>> results = session.run(inputs);
    return results.ok() ? std::move(results)
                        : Status(results.status().code(),
                                 "sample " + std::to_string(sample) + ": " +
                                     results.status().message());
  };
}

/// Outputs that another program has written, [samples, ...], where a sample is
/// a row of a batch or a batch.
static StatusOr<GraphOutputs> savedOutputs(const EvalOptions &options,
                                           const Artifact &artifact,
                                           int64_t samples) {
  StatusOr<std::vector<Tensor>> arrays = io::readNpz(options.reference);
  if (!arrays.ok())
    return arrays.status();
  std::vector<Tensor> kept;
  for (const TensorSpec &spec : artifact.outputs()) {
    auto found = std::ranges::find_if(*arrays, [&](const Tensor &array) {
      return array.name() == spec.name;
    });
    if (found == arrays->end())
      continue; // said where it is needed
    size_t rank = spec.shape.size(), given = found->shape().size();
    if (given == 0 || (given != rank && given != rank + 1) ||
        found->shape().front() != samples)
      return refuse("--reference: '" + options.reference + "' has \"" +
                    spec.name + "\" as " + spell(found->shape()) +
                    "; expected " + std::to_string(samples) +
                    " samples along the first axis, each with " +
                    std::to_string(rank) +
                    " dimensions, or one less for a row of a batch");
    kept.push_back(*found);
  }
  return GraphOutputs(
      [kept, &artifact](int64_t sample) -> StatusOr<std::vector<Tensor>> {
        std::vector<Tensor> outputs;
        for (const Tensor &array : kept) {
          auto spec = std::ranges::find_if(artifact.outputs(),
                                           [&](const TensorSpec &each) {
                                             return each.name == array.name();
                                           });
          std::vector<int64_t> shape(array.shape().begin() + 1,
                                     array.shape().end());
          if (array.shape().size() == spec->shape.size())
            shape.insert(shape.begin(), 1);
          Tensor output(array.name(), array.type(), shape);
          std::memcpy(output.data(),
                      array.as<uint8_t>() + size_t(sample) * output.bytes(),
                      output.bytes());
          outputs.push_back(std::move(output));
        }
        return outputs;
      });
}

static Status readSamples(GraphRun &run) {
  StatusOr<std::vector<NamedText>> files =
      splitNames("--inputs", run.options.inputs);
  if (!files.ok())
    return files.status();
  calibrate::GraphSamplesReader reader(run.model->artifact().inputs(),
                                       "--inputs");
  int64_t count = 0;
  for (const NamedText &file : *files) {
    auto found = reader.read(file.path, mostTokens);
    if (!found.ok())
      return found.status();
    run.files.push_back({file.name, count, found->samples});
    count += found->samples;
  }
  run.samples = reader.samples();
  return {};
}

StatusOr<GraphRun> runGraph(const EvalOptions &options) {
  StatusOr<std::unique_ptr<Session>> model =
      openGraph(options.model, options.device, options);
  if (!model.ok())
    return model.status();
  GraphRun run{options, std::move(*model), nullptr, {}, {}};
  if (Status status = readSamples(run); !status.ok())
    return status;
  GraphInputs inputs;
  inputs.samples = run.samples->count();
  inputs.files = run.files;
  inputs.seed = options.seed;
  inputs.model = outputsOf(*run.model, *run.samples);
  std::unique_ptr<Session> reference;
  if (calibrate::isArrayFile(options.reference)) {
    auto saved = savedOutputs(options, run.model->artifact(), inputs.samples);
    if (!saved.ok())
      return saved.status();
    inputs.reference = std::move(*saved);
  } else {
    auto opened = openGraph(options.reference, "", options);
    if (!opened.ok())
      return opened.status();
    reference = std::move(*opened);
    inputs.reference = outputsOf(*reference, *run.samples);
  }
  cli::Progress progress;
  inputs.progress = [&](int64_t sample) {
    progress.show("sample " + std::to_string(sample + 1) + " of " +
                      std::to_string(inputs.samples),
                  double(sample) / double(inputs.samples));
  };
  StatusOr<GraphEvaluation> evaluation = evaluate(inputs);
  if (!evaluation.ok())
    return evaluation.status();
  run.evaluation = std::move(*evaluation);
  return run;
}

static Json describeOutput(const OutputFigures &output) {
  Json json = {{"name", output.name},
               {"rows", output.rows},
               {"error", describe("mean", output.error)}};
  // Of equal outputs there is no noise, and no number for it.
  json["signal_to_noise_db"] =
      output.error.value > 0 && std::isfinite(output.error.value)
          ? Json(-10 * std::log10(output.error.value))
          : Json(nullptr);
  if (!output.rowAgreement)
    return json;
  const RowAgreement &rows = *output.rowAgreement;
  json["kl"] = describe("mean", rows.divergence);
  json["kl"].update({{"median", rows.median},
                     {"p99", rows.p99},
                     {"p999", rows.p999},
                     {"max", rows.most}});
  json["same_top1_percent"] = describe("mean", rows.sameTop, inPercent);
  return json;
}

static void describeSlice(const GraphSlice &slice, Json &json) {
  json["loss"] = slice.loss();
  json["outputs"] = Json::array();
  for (const OutputFigures &output : slice.outputs)
    json["outputs"].push_back(describeOutput(output));
}

Json describe(const GraphRun &run) {
  const EvalOptions &options = run.options;
  Json json = {{"tool", "qopt-eval"},
               {"model", options.model},
               {"reference", {{"model", options.reference}}},
               {"seed", options.seed},
               {"samples", run.samples->count()}};
  describeSlice(run.evaluation.all, json);
  if (run.samples->count() < 2)
    json["no_interval"] = "intervals are drawn from samples, and there is one";
  for (size_t i = 0; i < run.evaluation.files.size(); ++i) {
    Json entry = {{"name", run.files[i].name}, {"samples", run.files[i].count}};
    describeSlice(run.evaluation.files[i], entry);
    json["files"].push_back(std::move(entry));
  }
  const Artifact &artifact = run.model->artifact();
  json["bits_per_weight"] = bitsPerWeight(artifact);
  json["layer_bits"] = describeBits(artifact);
  return json;
}

/// As a compilation would say it.
static ValidationSummary summaryOf(const GraphRun &run) {
  ValidationSummary summary;
  summary.device = run.options.device.empty() ? run.model->artifact().target()
                                              : run.options.device;
  summary.outputs = summarizeOutputs(run.evaluation);
  return summary;
}

void print(const GraphRun &run) {
  std::fputs(spellTable(summaryOf(run)).c_str(), stdout);
  std::printf("loss %.6g\n", run.evaluation.all.loss());
}

Status checkGates(const GraphRun &run) {
  const EvalOptions &options = run.options;
  std::vector<OutputSummary> all = summaryOf(run).outputs;
  std::erase_if(
      all, [](const OutputSummary &output) { return output.slice != "all"; });
  bool hasPredictions = std::ranges::any_of(
      all, [](const OutputSummary &output) { return output.hasLogits; });
  if ((options.mostDivergence || options.leastSameTop) && !hasPredictions)
    return refuse(
        std::string(options.mostDivergence ? "--max-kl" : "--min-same-top1") +
        " is of predictions, and no output of the graph is called "
        "logits; limit --max-error");
  for (const GateSummary &gate :
       applyLimits({options.mostDivergence, std::nullopt, options.leastSameTop,
                    options.mostError},
                   all)) {
    if (gate.isMet())
      continue;
    char text[96];
    std::snprintf(text, sizeof text, " %.6g is %s the limit %.6g", gate.value,
                  gate.isLeast() ? "below" : "above", gate.limit);
    const char *what = gate.option == "max-kl"      ? "mean KL of \""
                       : gate.option == "max-error" ? "error of \""
                                                    : "same-top-1 percentage "
                                                      "of \"";
    return {StatusCode::GateFailed, what + gate.output + "\"" + text};
  }
  return {};
}

} // namespace qopt::eval
