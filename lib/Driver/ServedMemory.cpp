// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/ServedMemory.h"
#include "qopt/Engine.h"
#include "runtime/BoundFunction.h"
#include "runtime/Devices.h"
#include "runtime/LoadedModel.h"
#include "llvm/ADT/StringExtras.h"

namespace qopt::driver {

StatusOr<std::shared_ptr<const Artifact>> openSized(const std::string &path) {
  // Written by this process a moment ago.
  return Artifact::open(path, OpenOptions{.trust = true});
}

runtime::ServedBatch servedBatch(const CompileOptions &asked,
                                 const Artifact &artifact) {
  return {.sequences = asked.batch,
          .positions = artifact.decoder().context,
          .stepTokens = EngineOptions().chunkTokens};
}

/// Of --batch samples as one: each stands in the model's axis of a batch, the
/// first, where that has any size.
static StatusOr<std::vector<int64_t>> batchedShape(const TensorSpec &input,
                                                   std::vector<int64_t> shape,
                                                   int64_t batch) {
  if (batch == 1)
    return shape;
  bool hasAxis = !shape.empty() && !llvm::isDigit(input.shape.front()[0]);
  if (!hasAxis)
    return Status(StatusCode::InvalidArgument,
                  "--batch is " + std::to_string(batch) + ", but the input \"" +
                      input.name +
                      "\" of the graph has no axis of a batch, whose size is "
                      "open; leave it out");
  shape.front() *= batch;
  return shape;
}

StatusOr<int64_t> graphWorkBytes(const Artifact &artifact,
                                 const CompileOptions &options,
                                 const calibrate::CalibrationSamples &samples) {
  runtime::SymbolInputs sizes;
  for (const TensorSpec &input : artifact.inputs()) {
    auto sample = samples.input(0, input.name);
    if (!sample)
      return Status(StatusCode::Internal,
                    "no sample has the input \"" + input.name + "\"");
    auto shape = batchedShape(input, sample->shape, options.batch);
    if (!shape.ok())
      return shape.status();
    sizes.inputShapes.push_back(std::move(*shape));
  }
  const plan::Plan &plan = artifact.model()->plan();
  auto bound = runtime::BoundFunction::bind(
      artifact.model()->file(),
      *plan.functions()->Get(uint32_t(artifact.functionIndex())), sizes,
      runtime::quantizedRowBytes(plan));
  if (!bound.ok())
    return bound.status();
  return (*bound)->arenaBytes();
}

StatusOr<double> residentBytes(const CompileOptions &asked,
                               const calibrate::CalibrationSamples *samples,
                               const std::string &path) {
  auto artifact = openSized(path);
  if (!artifact.ok())
    return artifact.status();
  if (!(*artifact)->isDecoder()) {
    auto work = graphWorkBytes(**artifact, asked, *samples);
    if (!work.ok())
      return work.status();
    return double(runtime::constantBytes(**artifact)) + double(*work);
  }
  auto bytes =
      runtime::residentBytes(**artifact, servedBatch(asked, **artifact));
  if (!bytes.ok())
    return bytes.status();
  return double(*bytes);
}

} // namespace qopt::driver
