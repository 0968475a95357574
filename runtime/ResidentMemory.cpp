// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/ResidentMemory.h"

#include "runtime/BoundFunction.h"
#include "runtime/Devices.h"
#include "runtime/LoadedModel.h"

#include <algorithm>
#include <string>

namespace qopt::runtime {

/// Sums of eight parts do not overflow.
constexpr size_t mostBytes = SIZE_MAX / 8;

static size_t product(int64_t a, int64_t b) {
  size_t result = 0;
  bool overflows = __builtin_mul_overflow(size_t(a), size_t(b), &result);
  return overflows ? mostBytes : std::min(result, mostBytes);
}

int64_t cachePositions(const Artifact &artifact, const ServedBatch &batch) {
  int64_t page = artifact.model()->plan().decoder()->page();
  int64_t own =
      batch.positions / page * page + (batch.positions % page ? page : 0);
  return int64_t(product(own, batch.sequences));
}

/// Of the larger of a step that reads prompts and one that writes a token for
/// each sequence.
static StatusOr<size_t> stepBytes(const Artifact &artifact,
                                  const ServedBatch &batch) {
  const plan::Plan &plan = artifact.model()->plan();
  SymbolInputs sizes;
  sizes.sequences = sizes.logitRows = batch.sequences;
  sizes.tokens = std::max(batch.sequences, batch.stepTokens);
  auto bound =
      BoundFunction::bind(artifact.model()->file(),
                          *plan.functions()->Get(plan.decoder()->function()),
                          sizes, quantizedRowBytes(plan));
  if (!bound.ok())
    return bound.status();
  StatusOr<int64_t> beside = bytesBesideArena(plan, **bound);
  if (!beside.ok())
    return beside.status();
  return size_t((*bound)->arenaBytes()) + size_t(*beside) +
         product(batch.sequences,
                 artifact.decoder().vocabulary * int64_t(sizeof(float)));
}

StatusOr<std::vector<MemoryPart>> servingParts(const Artifact &artifact,
                                               const ServedBatch &batch) {
  auto steps = stepBytes(artifact, batch);
  if (!steps.ok())
    return steps.status();
  const DecoderSpec &decoder = artifact.decoder();
  int64_t positions = cachePositions(artifact, batch);
  std::string sequences = std::to_string(batch.sequences) + " sequences";
  return std::vector<MemoryPart>{
      {product(positions, decoder.cacheBytesPerToken),
       "KV cache of " + std::to_string(positions) + " positions", ""},
      {product(batch.sequences + 1, decoder.cacheBytesPerSequence),
       "latest keys of " + sequences, ""},
      {*steps, "steps of " + sequences, ""},
      {product(positions, sizeof(int32_t)), "their tokens", ""}};
}

size_t constantBytes(const Artifact &artifact) {
  size_t bytes = 0;
  for (const plan::Segment *segment : *artifact.model()->plan().segments())
    if (segment->kind() == plan::SegmentKind::Weight ||
        segment->kind() == plan::SegmentKind::Constant)
      bytes += segment->size();
  return bytes;
}

StatusOr<size_t> residentBytes(const Artifact &artifact,
                               const ServedBatch &batch) {
  auto parts = servingParts(artifact, batch);
  if (!parts.ok())
    return parts.status();
  size_t bytes = constantBytes(artifact);
  for (const MemoryPart &part : *parts)
    bytes += part.bytes;
  return bytes;
}

} // namespace qopt::runtime
