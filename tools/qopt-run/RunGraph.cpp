// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tools/qopt-run/RunGraph.h"

#include "lib/Io/Npy.h"
#include "lib/Io/Npz.h"
#include "qopt/Session.h"
#include "runtime/ElementTypes.h"
#include "runtime/PrintableText.h"
#include "tools/cli/CommandLine.h"
#include "tools/cli/ModelFiles.h"
#include "tools/qopt-run/CompareTensors.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>

namespace qopt::run {

static std::string spell(const TensorSpec &spec) {
  std::string text = std::string(qopt::spell(spec.type)) + "[";
  for (size_t i = 0; i < spec.shape.size(); ++i)
    text += (i ? ", " : "") + spec.shape[i];
  return text + "]";
}

/// Whether an array of a type that NumPy has holds the codes of an input whose
/// type it lacks.
static bool holdsCodes(DType given, DType wanted) {
  const runtime::ElementTypeInfo *info = runtime::findElementType(wanted);
  return info && !*info->numpy &&
         (given == DType::U8 || given == DType(info->storage));
}

StatusOr<std::vector<TensorView>>
chooseInputs(const Artifact &artifact, const std::vector<Tensor> &arrays,
             const std::string &path) {
  std::vector<TensorView> inputs;
  std::vector<std::string> names;
  for (const TensorSpec &spec : artifact.inputs())
    names.push_back(spec.name);
  for (const TensorSpec &spec : artifact.inputs()) {
    const Tensor *found = findArray(arrays, "in.", spec.name);
    if (!found && arrays.size() == 1 && artifact.inputs().size() == 1 &&
        path.ends_with(".npy"))
      found = &arrays.front();
    if (!found) {
      std::string has;
      for (const Tensor &array : arrays)
        has += (has.empty() ? "'" : ", '") + array.name() + "'";
      return Status(StatusCode::InvalidArgument,
                    "'" + path + "' lacks the input '" + spec.name + "' (" +
                        spell(spec) + "); it has " +
                        (has.empty() ? "no arrays" : has));
    }
    TensorView view = found->view();
    view.name = spec.name;
    if (holdsCodes(view.type, spec.type))
      view.type = spec.type;
    inputs.push_back(view);
  }
  if (path.ends_with(".npz"))
    if (Status only = refuseOthers(arrays, "in.", names, path, "input");
        !only.ok())
      return only;
  return inputs;
}

static StatusOr<std::vector<Tensor>>
runOn(std::shared_ptr<const Artifact> artifact,
      const std::vector<Tensor> &arrays, const RunOptions &options,
      double &seconds) {
  StatusOr<std::vector<TensorView>> inputs =
      chooseInputs(*artifact, arrays, options.inputs);
  if (!inputs.ok())
    return inputs.status();
  StatusOr<std::unique_ptr<Session>> session =
      Session::create(std::move(artifact), {options.threads, options.device});
  if (!session.ok())
    return session.status();
  auto start = std::chrono::steady_clock::now();
  StatusOr<std::vector<Tensor>> outputs = (*session)->run(*inputs);
  std::chrono::duration<double> spent =
      std::chrono::steady_clock::now() - start;
  seconds = spent.count();
  return outputs;
}

static Status printOutputs(const std::vector<Tensor> &outputs, double seconds,
                           const RunOptions &options) {
  nlohmann::ordered_json json;
  for (const Tensor &output : outputs) {
    double least = INFINITY, most = -INFINITY, sum = 0;
    for (int64_t i = 0; i < output.elements(); ++i) {
      double value = io::elementAsDouble(output.view(), i);
      least = std::min(least, value);
      most = std::max(most, value);
      sum += value;
    }
    double mean = output.elements() ? sum / double(output.elements()) : 0;
    if (options.json) {
      nlohmann::ordered_json entry = {{"name", output.name()},
                                      {"type", qopt::spell(output.type())},
                                      {"shape", output.shape()}};
      if (output.elements())
        entry.update({{"min", least}, {"max", most}, {"mean", mean}});
      json["outputs"].push_back(entry);
    } else if (output.elements()) {
      std::printf("%s: %s%s, from %.6g to %.6g, mean %.6g\n",
                  runtime::printable(output.name()).c_str(),
                  qopt::spell(output.type()),
                  qopt::spell(output.shape()).c_str(), least, most, mean);
    } else {
      std::printf("%s: %s%s\n", runtime::printable(output.name()).c_str(),
                  qopt::spell(output.type()),
                  qopt::spell(output.shape()).c_str());
    }
  }
  if (!options.json)
    return cli::flushOutput();
  json["seconds"] = seconds;
  return cli::printJson(json);
}

static Status checkOptions(const Artifact &artifact,
                           const RunOptions &options) {
  if (options.prompt || options.promptFile || options.tokens)
    return {StatusCode::InvalidArgument,
            "artifact '" + artifact.path() +
                "' is a graph and writes no text; give its arrays with "
                "--inputs"};
  if (!options.textOptions.empty())
    return {StatusCode::InvalidArgument,
            options.textOptions.front() + " is for text; artifact '" +
                artifact.path() + "' is a graph and writes none"};
  size_t outputs = artifact.outputs().size();
  if (options.outputs.ends_with(".npy") && outputs != 1)
    return {StatusCode::InvalidArgument,
            "--outputs is '" + options.outputs +
                "', a file of one array, and artifact '" + artifact.path() +
                "' has " + std::to_string(outputs) +
                " outputs; name a .npz for all of them"};
  if (!options.inputs.empty())
    return {};
  std::string names;
  for (const TensorSpec &spec : artifact.inputs())
    names += "\n  " + spec.name + ": " + spell(spec);
  return {StatusCode::InvalidArgument,
          "artifact '" + artifact.path() +
              "' is a graph: give its arrays with --inputs in.npz; it takes" +
              (names.empty() ? " none" : names)};
}

static Status writeOutputs(const std::vector<Tensor> &outputs,
                           const std::string &path) {
  if (path.empty())
    return {};
  if (path.ends_with(".npy"))
    return io::writeNpy(path, outputs.front().view());
  std::vector<TensorView> views;
  views.reserve(outputs.size());
  for (const Tensor &output : outputs)
    views.push_back(output.view());
  return io::writeNpz(path, views);
}

/// The graph that --function names, else the only one.
static StatusOr<std::shared_ptr<const Artifact>>
chooseFunction(const Artifact &artifact, const RunOptions &options) {
  auto chosen = artifact.function(options.function);
  if (chosen.ok() || !options.function.empty())
    return chosen;
  return Status(chosen.status().code(),
                chosen.status().message() + " with --function");
}

Status runGraph(const std::shared_ptr<const Artifact> &whole,
                const RunOptions &options) {
  StatusOr<std::shared_ptr<const Artifact>> chosen =
      chooseFunction(*whole, options);
  if (!chosen.ok())
    return chosen.status();
  const std::shared_ptr<const Artifact> &artifact = *chosen;
  QOPT_RETURN_IF_ERROR(checkOptions(*artifact, options));
  StatusOr<std::vector<Tensor>> arrays = readArrays(options.inputs);
  if (!arrays.ok())
    return arrays.status();
  double seconds = 0, otherSeconds = 0;
  StatusOr<std::vector<Tensor>> outputs =
      runOn(artifact, *arrays, options, seconds);
  if (!outputs.ok())
    return outputs.status();
  QOPT_RETURN_IF_ERROR(writeOutputs(*outputs, options.outputs));
  if (options.compare.empty())
    return printOutputs(*outputs, seconds, options);
  if (isArrayFile(options.compare)) {
    StatusOr<std::vector<Tensor>> expected = readArrays(options.compare);
    if (!expected.ok())
      return expected.status();
    std::vector<std::string> names;
    for (const Tensor &output : *outputs)
      names.push_back(output.name());
    if (options.compare.ends_with(".npz"))
      QOPT_RETURN_IF_ERROR(
          refuseOthers(*expected, "out.", names, options.compare, "output"));
    return compareTensors(*outputs, *expected, options);
  }
  StatusOr<std::shared_ptr<const Artifact>> other =
      cli::openArtifact(options.compare, {options.trust});
  if (!other.ok())
    return other.status();
  if ((*other)->isDecoder())
    return {StatusCode::InvalidArgument,
            "artifact '" + options.compare +
                "' writes text; only a graph can be compared with a graph"};
  if ((*other)->functionIndex() < 0) // a file of its own has one
    other = chooseFunction(**other, options);
  if (!other.ok())
    return other.status();
  RunOptions there = options;
  there.device.clear(); // it may be compiled for another
  StatusOr<std::vector<Tensor>> expected =
      runOn(*other, *arrays, there, otherSeconds);
  return expected.ok() ? compareTensors(*outputs, *expected, options)
                       : expected.status();
}

} // namespace qopt::run
