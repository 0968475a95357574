// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tools/qopt-eval/Blame.h"

#include "lib/Io/FileAccess.h"
#include "lib/Io/Npy.h"
#include "runtime/LoadedModel.h"
#include "runtime/Sha256.h"
#include "tools/cli/CompileModel.h"

#include <cmath>

namespace qopt::eval {

using Json = nlohmann::ordered_json;

/// Tokens that qopt-compile takes of a text to validate on.
constexpr int64_t mostTokens = int64_t(1) << 16;

static Status refuse(const std::string &why) {
  return {StatusCode::InvalidArgument, "--blame: " + why};
}

/// The plan of the artifact's formats.
static StatusOr<Json> planOf(const Artifact &artifact) {
  const flatbuffers::String *text =
      artifact.model()->plan().manifest()->precision_plan();
  Json plan = Json::parse(text ? text->str() : "", nullptr,
                          /*allow_exceptions=*/false);
  if (!plan.is_object())
    return refuse("'" + artifact.path() + "' has no plan of its formats");
  return plan;
}

static std::string wordOf(const Json &json, const char *name) {
  if (!json.contains(name))
    return "";
  const Json &member = json[name];
  return member.is_string() ? member.get<std::string>() : member.dump();
}

static Status addRecorded(const Json &record, const EvalOptions &options,
                          std::vector<std::string> &arguments) {
  for (const auto &[option, value] :
       {std::pair("--calibrate", options.calibrate),
        {"--calibrate-tokens", wordOf(record, "tokens")},
        {"--algorithm", wordOf(record, "algorithm")}}) {
    arguments.push_back(option);
    arguments.push_back(value);
  }
  return {};
}

/// What qopt-compile is told of the text that the artifact was calibrated on.
static Status addCalibration(const Json &plan, const EvalOptions &options,
                             std::vector<std::string> &arguments) {
  if (!plan.contains("calibration") || !plan["calibration"].is_object())
    return options.calibrate.empty()
               ? Status()
               : Status(StatusCode::InvalidArgument,
                        "--calibrate: the artifact was not calibrated; leave "
                        "it out");
  const Json &record = plan["calibration"];
  if (options.calibrate.empty())
    return refuse("the artifact was calibrated on \"" + wordOf(record, "text") +
                  "\"; give it as --calibrate");
  if (record.contains("sources")) // of a manifest: checkSame has the last word
    return addRecorded(record, options, arguments);
  auto file = io::MappedFile::open(options.calibrate);
  if (!file.ok())
    return file.status();
  std::span<const uint8_t> bytes = (*file)->bytes();
  std::string digest =
      runtime::spell(runtime::Sha256::of(bytes.data(), bytes.size()));
  if (digest != wordOf(record, "sha256"))
    return refuse("\"" + options.calibrate +
                  "\" is not what the artifact was calibrated on (SHA-256 " +
                  digest + "); expected \"" + wordOf(record, "text") + "\", " +
                  wordOf(record, "sha256"));
  return addRecorded(record, options, arguments);
}

/// The options that the artifact was compiled with and its plan does not have.
static void addTarget(const Artifact &artifact,
                      std::vector<std::string> &arguments) {
  const auto *recorded = artifact.model()->plan().manifest()->options();
  if (!recorded)
    return;
  for (const plan::Option *option : *recorded)
    for (const char *name : {"target", "arch", "cpu", "context"})
      if (option->name() && option->value() && option->name()->str() == name) {
        arguments.push_back(std::string("--") + name);
        arguments.push_back(option->value()->str());
      }
}

static Status writeWindows(const TokenWindows &windows,
                           const std::string &path) {
  std::vector<int32_t> tokens;
  for (int64_t i = 0; i < windows.count(); ++i)
    tokens.insert(tokens.end(), windows[i].begin(), windows[i].end());
  return io::writeNpy(path, {"tokens",
                             DType::I32,
                             {windows.count(), windows.length()},
                             tokens.data()});
}

/// A figure of the artifact, and of what was made to be blamed.
struct SameFigure {
  const char *name;
  double own, rebuilt;
};

/// Whether what was blamed is the artifact: on a host the same to the last
/// digits, for a GPU in other arithmetic.
static Status checkSame(const SameFigure &figure, const Artifact &artifact,
                        const EvalOptions &options) {
  bool onHost = artifact.target().starts_with("host");
  if (std::abs(figure.rebuilt / figure.own - 1) <= (onHost ? 1e-5 : 0.02))
    return {};
  return refuse("what \"" + options.blame +
                "\" and the artifact's plan make is another model: its " +
                figure.name + " is " + std::to_string(figure.rebuilt) +
                ", that of '" + options.model + "' " +
                std::to_string(figure.own) +
                "; give the model that it was compiled from, and a qopt of the "
                "same version");
}

/// Has the compiler blame the layers of what `options.blame` and the artifact's
/// plan make: of a model of this kind, on what is given to validate on.
static StatusOr<Json> blameLayers(const Artifact &artifact,
                                  const EvalOptions &options, const char *kind,
                                  const std::vector<std::string> &validated) {
  StatusOr<Json> plan = planOf(artifact);
  if (!plan.ok())
    return plan.status();
  cli::TemporaryFolder folder;
  QOPT_RETURN_IF_ERROR(folder.made());
  std::string planFile = folder.file("plan.json");
  auto file = io::FileWriter::create(planFile);
  if (!file.ok())
    return file.status();
  QOPT_RETURN_IF_ERROR((*file)->append(std::string_view(plan->dump())));
  QOPT_RETURN_IF_ERROR((*file)->finish());
  std::vector<std::string> arguments = {
      options.blame, "--as", kind, "--plan", planFile, "--blame", "--json"};
  for (const std::string &path : validated)
    arguments.insert(arguments.end(), {"--validate", path});
  QOPT_RETURN_IF_ERROR(addCalibration(*plan, options, arguments));
  addTarget(artifact, arguments);
  if (options.threads)
    arguments.insert(arguments.end(),
                     {"--threads", std::to_string(options.threads)});
  StatusOr<std::string> printed = cli::runCompiler(arguments);
  if (!printed.ok())
    return printed.status();
  Json found = Json::parse(*printed, nullptr, /*allow_exceptions=*/false);
  if (!found.is_object() || !found.contains("blame"))
    return Status(StatusCode::Internal,
                  "--blame: qopt-compile printed what is no JSON");
  return found["blame"];
}

StatusOr<Json> blame(const Run &run) {
  const EvalOptions &options = run.options;
  const TokenWindows &windows = run.windows;
  if (int64_t tokens = windows.count() * windows.length(); tokens > mostTokens)
    return refuse("there are " + std::to_string(tokens) +
                  " tokens, and each layer is measured on all; expected at "
                  "most " +
                  std::to_string(mostTokens) + ": give --windows");
  cli::TemporaryFolder folder;
  QOPT_RETURN_IF_ERROR(folder.made());
  std::string tokens = folder.file("windows.npy");
  QOPT_RETURN_IF_ERROR(writeWindows(windows, tokens));
  StatusOr<Json> found =
      blameLayers(run.engine->artifact(), options, "decoder", {tokens});
  if (!found.ok())
    return found;
  auto perplexityOf = [](const Json &of) {
    return of["perplexity"].get<double>();
  };
  QOPT_RETURN_IF_ERROR(checkSame(
      {"perplexity", std::exp(run.evaluation->all.figures.model.nll.value),
       perplexityOf(*found)},
      run.engine->artifact(), options));
  return found;
}

StatusOr<Json> blame(const GraphRun &run) {
  const EvalOptions &options = run.options;
  StatusOr<Json> found =
      blameLayers(run.model->artifact(), options, "graph", options.inputs);
  if (!found.ok())
    return found;
  QOPT_RETURN_IF_ERROR(checkSame({"output size", run.evaluation.all.size(),
                                  (*found)["output_size"].get<double>()},
                                 run.model->artifact(), options));
  return found;
}

} // namespace qopt::eval
