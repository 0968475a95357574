// qopt-inspect: what is in an artifact.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/LoadedModel.h"
#include "tools/cli/CommandLine.h"
#include "tools/cli/ModelFiles.h"
#include "tools/qopt-inspect/Evidence.h"
#include "tools/qopt-inspect/PrintDescription.h"

#include <charconv>
#include <optional>

using namespace qopt;

namespace {

struct InspectOptions {
  std::string model;
  bool weights = false, plan = false, kernels = false, segments = false;
  bool json = false;
  bool trust = false;
  std::optional<int64_t> tokens, sequences; ///< of a decoder
  inspect::PlanSizes sizes;
  std::vector<std::string> dimensions; ///< "batch=2"
};

} // namespace

/// "batch=2" into the sizes.
static Status parseDimensions(InspectOptions &options) {
  for (const std::string &text : options.dimensions) {
    size_t equals = text.rfind('=');
    int64_t size = 0;
    bool valid = equals != std::string::npos && equals > 0;
    if (valid) {
      const char *first = text.data() + equals + 1,
                 *last = text.data() + text.size();
      auto [end, failed] = std::from_chars(first, last, size);
      valid = failed == std::errc() && end == last && size >= 0;
    }
    if (!valid)
      return {StatusCode::InvalidArgument,
              "--size: expected NAME=NUMBER, got \"" + text + "\""};
    std::string name = text.substr(0, equals);
    if (!options.sizes.dimensions.emplace(name, size).second)
      return {StatusCode::InvalidArgument,
              "--size gives \"" + name + "\" twice; expected one size for " +
                  "each dimension, leave one out"};
  }
  return {};
}

static Status work(InspectOptions &options) {
  QOPT_RETURN_IF_ERROR(parseDimensions(options));
  StatusOr<std::shared_ptr<const Artifact>> artifact =
      cli::openArtifact(options.model, {options.trust});
  if (!artifact.ok())
    return artifact.status();
  if ((*artifact)->isDecoder() && !options.dimensions.empty())
    return {StatusCode::InvalidArgument,
            "--size is for graphs; a decoder's sizes are --tokens and "
            "--sequences"};
  if (!(*artifact)->isDecoder() && (options.tokens || options.sequences))
    return {StatusCode::InvalidArgument,
            "--tokens and --sequences are for decoders; a graph's sizes are "
            "--size"};
  options.sizes.tokens = options.tokens.value_or(options.sizes.tokens);
  options.sizes.sequences = options.sequences.value_or(options.sizes.sequences);
  if (options.sizes.sequences > options.sizes.tokens)
    return {StatusCode::InvalidArgument,
            "--sequences must not exceed --tokens: each sequence has a token"};
  StatusOr<inspect::Json> functions =
      inspect::describeFunctions(**artifact, options.sizes);
  if (!functions.ok())
    return functions.status();
  StatusOr<inspect::Json> model = inspect::describeModel(**artifact);
  if (!model.ok())
    return model.status();
  const plan::Plan &plan = (*artifact)->model()->plan();
  inspect::Json description = {
      {"manifest", inspect::describeManifest(**artifact)},
      {"model", std::move(*model)},
      {"weights", inspect::describeWeights(plan)},
      {"functions", std::move(*functions)},
      {"kernels", inspect::describeKernels(plan)},
      {"segments", inspect::describeSegments(plan)}};
  inspect::describeEvidence(plan, description);
  if (options.json)
    return cli::printJson(description);
  unsigned details = 0;
  auto add = [&](bool wanted, inspect::Detail detail) {
    details |= wanted ? unsigned(detail) : 0;
  };
  add(options.weights, inspect::Detail::Weights);
  add(options.plan, inspect::Detail::Plan);
  add(options.segments, inspect::Detail::Segments);
  add(options.kernels, inspect::Detail::Kernels);
  inspect::print(description, details);
  inspect::printEvidence(plan);
  return cli::flushOutput();
}

int main(int argc, char **argv) {
  CLI::App app("Shows what is in an artifact: where it comes from, its sizes, "
               "the bits of its weights, its kernels and memory.\n",
               "qopt-inspect");
  InspectOptions options;
  app.add_option("model", options.model,
                 "artifact, model.onnx (compiled for this run), or its folder")
      ->required();
  app.add_flag("--weights", options.weights,
               "list every weight with its format and bytes");
  app.add_flag("--plan", options.plan,
               "list every step with its kernel, operands and bytes");
  app.add_flag("--kernels", options.kernels,
               "list every GPU kernel with its schedule, registers, shared "
               "memory and code");
  app.add_flag("--segments", options.segments,
               "list the parts of the file with their digests");
  app.add_flag("--json", options.json, "everything as JSON");
  app.add_flag("--trust", options.trust,
               "skip the digests of weights and code");
  app.add_option("--tokens", options.tokens,
                 "rows of a decoder's step, for arena and bytes [1]")
      ->check(cli::between(1, 1 << 20));
  app.add_option("--sequences", options.sequences,
                 "sequences in a decoder's step [1]")
      ->check(cli::between(1, 1 << 20));
  cli::oneValueEach(
      app.add_option("--size", options.dimensions,
                     "size of a graph's dimension, \"batch=2\" [1]"));
  cli::addExamples(app, {"qopt-inspect model.qopt",
                         "qopt-inspect model.qopt --weights",
                         "qopt-inspect model.qopt --plan --tokens 16",
                         "qopt-inspect encoder.qopt --size batch=2 --json"});
  return cli::run(app, argc, argv, [&] { return work(options); });
}
