// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/CalibrationText.h"
#include "lib/Calibrate/GraphSamples.h"
#include "lib/Driver/CalibrationManifest.h"
#include "lib/Driver/Curvature.h"
#include "lib/Driver/DecoderContext.h"
#include "lib/Driver/GraphInputs.h"
#include "lib/Driver/TextReader.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "runtime/PrintableText.h"
#include "runtime/Sha256.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"

using namespace mlir;

namespace qopt::driver {

static CalibrationRecord recordOf(const CompileOptions &options,
                                  std::string sha256) {
  CalibrationRecord record;
  record.text = options.calibrate;
  record.sha256 = std::move(sha256);
  record.tokens = options.calibrateTokens;
  record.algorithm = options.algorithm;
  record.inputs = options.calibrateInputs;
  record.seed = CurvatureOptions().seed;
  return record;
}

namespace {

/// What one file gave.
struct SourceCount {
  int64_t samples;
  std::string sha256;
};
using SourceReader = llvm::function_ref<StatusOr<SourceCount>(
    const ManifestSource &, int64_t tokens)>;

} // namespace

/// A manifest and its text.
static StatusOr<std::pair<CalibrationManifest, std::string>>
readManifest(const std::string &path) {
  auto text = llvm::MemoryBuffer::getFile(path);
  if (!text)
    return Status(StatusCode::NotFound, "--calibrate: cannot read \"" + path +
                                            "\": " + text.getError().message());
  auto manifest = parseManifest((*text)->getBuffer().str(), path);
  if (!manifest.ok())
    return manifest.status();
  return std::pair(std::move(*manifest), (*text)->getBuffer().str());
}

static Status refuseSource(const ManifestSource &source,
                           const std::string &why) {
  return Status(StatusCode::InvalidArgument,
                "--calibrate: \"" + source.path + "\" " + why);
}

/// Reads the sources of a manifest, by their weights; `digests` begins with its
/// text.
static StatusOr<CalibrationRecord>
readSources(const CalibrationManifest &manifest, std::string digests,
            const CompileOptions &options, SourceReader read) {
  std::vector<SourceRecord> sources;
  for (const auto &[i, source] : llvm::enumerate(manifest.sources)) {
    auto found = read(source, manifest.tokensOf(i, options.calibrateTokens));
    if (!found.ok())
      return found.status();
    if (!source.sha256.empty() && source.sha256 != found->sha256)
      return refuseSource(source,
                          "is not the file that the manifest means (SHA-256 " +
                              found->sha256 + ", there " + source.sha256 + ")");
    digests += "\n" + found->sha256;
    sources.push_back({llvm::sys::path::filename(source.path).str(),
                       source.domain, source.slice, found->sha256,
                       source.weight, found->samples});
  }
  CalibrationRecord record = recordOf(
      options,
      runtime::spell(runtime::Sha256::of(digests.data(), digests.size())));
  record.sources = std::move(sources);
  return record;
}

/// Windows of several texts.
static StatusOr<CalibrationText> readTexts(const TextReader &reader,
                                           const CompileOptions &options,
                                           const Companions &companions,
                                           int64_t length) {
  auto written = readManifest(options.calibrate);
  if (!written.ok())
    return written.status();
  auto &[manifest, digests] = *written;
  if (companions.context && manifest.window > companions.context)
    return Status(StatusCode::Infeasible,
                  "--calibrate: the manifest has windows of " +
                      std::to_string(manifest.window) +
                      " tokens, more than the model's context of " +
                      std::to_string(companions.context));
  if (manifest.window)
    length = manifest.window;
  CalibrationText result;
  auto record = readSources(
      manifest, digests, options,
      [&](const ManifestSource &source,
          int64_t tokens) -> StatusOr<SourceCount> {
        if (calibrate::isArrayFile(source.path))
          return refuseSource(source, "has inputs of a graph, but the model is "
                                      "a decoder; expected a text or .npy");
        auto found =
            reader.read({"calibration text", source.path}, length, tokens);
        if (!found.ok())
          return found.status();
        if (int64_t own = found->windows.length(); own != length)
          return refuseSource(
              source, "has windows of " + std::to_string(own) +
                          " tokens, and all sources of a manifest have one "
                          "length; expected " +
                          std::to_string(length) + ", or \"window\": " +
                          std::to_string(own) + " in the manifest");
        int64_t count = found->windows.count();
        QOPT_RETURN_IF_ERROR(
            result.tokens.add(source.domain, found->windows, count));
        return SourceCount{count, found->sha256};
      });
  if (!record.ok())
    return record.status();
  result.record = std::move(*record);
  result.record.window = length;
  return result;
}

static StatusOr<CalibrationText> readDecoderText(ModuleOp module,
                                                 const CompileOptions &options,
                                                 const Companions &companions) {
  auto reader = TextReader::create(module, companions, "--calibrate");
  if (!reader.ok())
    return reader.status();
  int64_t length = calibrate::WindowLimits().length;
  if (companions.context)
    length = std::min(length, companions.context);
  if (isManifest(options.calibrate))
    return readTexts(*reader, options, companions, length);
  auto text = reader->read({"calibration text", options.calibrate}, length,
                           options.calibrateTokens);
  if (!text.ok())
    return text.status();
  CalibrationText result;
  result.tokens = std::move(text->windows);
  result.record = recordOf(options, text->sha256);
  result.record.window = result.tokens.length();
  return result;
}

/// Arrays for the inputs of a graph.
static StatusOr<CalibrationText>
readGraphArrays(ModuleOp module, const CompileOptions &options) {
  calibrate::GraphSamplesReader reader(graphInputs(module), "--calibrate");
  auto read = [&](const ManifestSource &source,
                  int64_t tokens) -> StatusOr<SourceCount> {
    if (!calibrate::isArrayFile(source.path))
      return refuseSource(source,
                          "is given for a graph, which reads no text; expected "
                          "a .npz with an array for each of its inputs, "
                          "samples along the first axis");
    auto found = reader.read(source.path, tokens);
    if (!found.ok())
      return found.status();
    return SourceCount{found->samples, std::move(found->sha256)};
  };
  CalibrationText result;
  if (isManifest(options.calibrate)) {
    auto written = readManifest(options.calibrate);
    if (!written.ok())
      return written.status();
    if (written->first.window)
      return Status(StatusCode::InvalidArgument,
                    "--calibrate: the manifest \"" + options.calibrate +
                        "\" has a \"window\", which texts are cut into, and "
                        "the model is a graph; leave it out");
    auto record = readSources(written->first, written->second, options, read);
    if (!record.ok())
      return record.status();
    result.record = std::move(*record);
  } else {
    ManifestSource source;
    source.path = options.calibrate;
    auto found = read(source, options.calibrateTokens);
    if (!found.ok())
      return found.status();
    result.record = recordOf(options, std::move(found->sha256));
  }
  result.samples = reader.samples();
  for (const TensorSpec &output : graphOutputs(module))
    result.outputs.push_back(output.name);
  return result;
}

StatusOr<CalibrationText> readCalibrationText(ModuleOp module,
                                              const CompileOptions &options,
                                              const Companions &companions) {
  if (!decoderStep(module))
    return readGraphArrays(module, options);
  if (calibrate::isArrayFile(options.calibrate))
    return Status(StatusCode::InvalidArgument,
                  "--calibrate: \"" + options.calibrate +
                      "\" has inputs of a graph, but the model is a decoder; "
                      "expected a text, token ids (.npy) or a manifest");
  auto text = readDecoderText(module, options, companions);
  if (text.ok())
    text->samples = std::make_shared<calibrate::TokenSamples>(text->tokens);
  return text;
}

std::string spellMix(const CalibrationText &text) {
  const CalibrationRecord &record = text.record;
  int64_t all = text.samples->count();
  std::string what =
      text.isOfGraph()
          ? "samples"
          : llvm::formatv("windows of {0} tokens", record.window).str();
  std::string report = llvm::formatv(
      "calibration on {0} {1} of {2} sources\n"
      "  {3,-20} {4,-20} {5,8} {6,8} {7,8}  file",
      all, what, record.sources.size(), "domain", "slice", "weight",
      text.isOfGraph() ? "samples" : "windows", "share %");
  for (const SourceRecord &source : record.sources)
    report += llvm::formatv(
                  "\n  {0,-20} {1,-20} {2,8} {3,8} {4,8:F1}  {5}",
                  source.domain, source.slice, source.weight, source.windows,
                  100.0 * double(source.windows) / double(all), source.file)
                  .str();
  return runtime::printableLines(report);
}

} // namespace qopt::driver
