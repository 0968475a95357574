// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/CompileParts.h"

#include "lib/Codegen/TemporaryFolder.h"
#include "lib/Driver/JoinArtifacts.h"

namespace qopt::driver {

/// Options whose meaning spans all weights or sequences of one model.
static Status checkOptions(const CompileOptions &options) {
  const std::pair<const char *, bool> given[] = {
      {"--target cuda", options.target == TargetDevice::Cuda},
      {"--input", !options.inputs.empty()},
      {"--bits", options.bits != 0},
      {"--max-size", !options.maxSize.empty()},
      {"--max-memory", !options.maxMemory.empty()},
      {"--max-latency", !options.maxLatency.empty()},
      {"--calibrate", !options.calibrate.empty()},
      {"--plan", !options.plan.empty()},
      {"--save-plan", !options.savePlan.empty()},
      {"--validate", !options.validate.empty()},
      {"--max-kl", options.mostDivergence.has_value()},
      {"--max-perplexity-increase", options.mostPerplexityIncrease.has_value()},
      {"--min-top1", options.leastSameTop.has_value()},
      {"--max-error", options.mostError.has_value()}};
  for (const auto &[name, isGiven] : given)
    if (isGiven)
      return Status(StatusCode::InvalidArgument,
                    std::string(name) + " is for one file, and the folder \"" +
                        options.model +
                        "\" has an encoder and a decoder; leave it out, or "
                        "name one of its files");
  return {};
}

Status refuseParts(const std::string &model, const char *what) {
  auto parts = import::locateParts(model);
  if (!parts.ok())
    return parts.status();
  std::string files;
  for (const import::ModelPart &part : *parts) {
    std::string file = "\"" + part.path + "\"";
    if (files.find(file) == std::string::npos) // a merged one is two parts
      files += (files.empty() ? "" : ", ") + file;
  }
  return files.empty()
             ? Status()
             : Status(StatusCode::InvalidArgument,
                      std::string(what) +
                          " is for one file, and the folder \"" + model +
                          "\" has an encoder and a decoder; name one of " +
                          files);
}

StatusOr<CompileSummary> compileParts(llvm::ArrayRef<import::ModelPart> parts,
                                      const CompileOptions &options,
                                      const Progress &progress,
                                      const Notice &notice) {
  QOPT_RETURN_IF_ERROR(checkOptions(options));
  std::vector<std::string> why;
  if (options.kind != ModelKind::Graph && parts.size() == 3) {
    auto done = compileWithEncoder(parts[2], {parts[0], parts[1]}, options,
                                   progress, notice);
    if (!done.ok() || done->kind == ModelKind::Decoder)
      return done;
    for (const std::string &remark : done->remarks)
      if (remark.find("not a decoder: ") != std::string::npos)
        why.push_back(parts[2].name + ": " + remark);
  } else if (options.kind == ModelKind::Decoder) {
    return Status(StatusCode::NotFound,
                  "--as decoder: the folder \"" + options.model +
                      "\" has no decoder_with_past_model.onnx and no "
                      "decoder_model_merged.onnx, which are its steps; export "
                      "one, or compile with --as graph");
  }
  codegen::TemporaryFolder folder("qopt-parts");
  QOPT_RETURN_IF_ERROR(folder.made());
  CompileSummary summary;
  summary.output = options.output;
  summary.remarks = std::move(why);
  std::vector<JoinedPart> joined;
  for (const import::ModelPart &part : parts) {
    CompileOptions own = options;
    own.model = part.path;
    own.inputs = part.fixedInputs;
    own.kind = ModelKind::Graph;
    own.output = folder.file(part.name + ".qopt");
    auto done = compile(own, progress, notice);
    if (!done.ok())
      return Status(done.status().code(),
                    part.name + ": " + done.status().message());
    summary.layers += done->layers;
    summary.raisedLayers += done->raisedLayers;
    summary.genericKernels += done->genericKernels;
    for (const std::string &remark : done->remarks)
      summary.remarks.push_back(part.name + ": " + remark);
    for (const std::string &warning : done->warnings)
      summary.warnings.push_back(part.name + ": " + warning);
    joined.push_back({part.name, own.output});
  }
  QOPT_RETURN_IF_ERROR(joinArtifacts(joined, options.output, summary));
  return summary;
}

} // namespace qopt::driver
