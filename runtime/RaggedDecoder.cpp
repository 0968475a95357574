// Describes ragged batches to the executor and owns the paged cache.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/RaggedDecoder.h"

#include <algorithm>

namespace qopt::runtime {

static int64_t ceilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

StatusOr<std::unique_ptr<RaggedDecoder>>
RaggedDecoder::create(std::shared_ptr<const LoadedModel> model,
                      std::shared_ptr<Device> device, int64_t cacheTokens) {
  int64_t pages = ceilDiv(cacheTokens, model->plan().decoder()->page());
  auto decoder = std::unique_ptr<RaggedDecoder>(
      new RaggedDecoder(std::move(model), std::move(device), pages));
  QOPT_RETURN_IF_ERROR(decoder->executor.loadCode());
  QOPT_RETURN_IF_ERROR(decoder->allocateCache());
  return decoder;
}

RaggedDecoder::RaggedDecoder(std::shared_ptr<const LoadedModel> model,
                             std::shared_ptr<Device> device, int64_t pages)
    : decoder(model->plan().decoder()),
      executor(std::move(model), std::move(device), decoder->function()),
      pool(pages) {}

// Layer after layer, each aligned to 4 KiB; all layers have the same number of
// pages and share the page table.
Status RaggedDecoder::allocateCache() {
  size_t bytes = 0;
  std::vector<size_t> offsets;
  if (decoder->layers())
    for (const plan::CacheLayer *layer : *decoder->layers()) {
      StatusOr<int64_t> page =
          executor.device().cachePageBytes(*layer, decoder->page());
      if (!page.ok())
        return page.status();
      size_t layerBytes;
      offsets.push_back(bytes);
      pageBytes += *page;
      if (__builtin_mul_overflow(size_t(*page), size_t(pool.pages()),
                                 &layerBytes) ||
          __builtin_add_overflow(bytes, (layerBytes + 4095) & ~size_t(4095),
                                 &bytes))
        return Status(StatusCode::OutOfResources,
                      "a cache of " + std::to_string(pool.pages()) +
                          " pages is too large");
    }
  StatusOr<std::unique_ptr<DeviceMemory>> memory =
      executor.device().allocate(bytes);
  if (!memory.ok())
    return memory.status();
  cache = std::move(*memory);
  for (size_t offset : offsets)
    layers.push_back(cache->data() + offset);
  return {};
}

bool RaggedDecoder::open(CachedSequence &sequence, int64_t tokens) {
  int64_t count = ceilDiv(tokens, page());
  if (!pool.reserve(count))
    return false;
  sequence = {0, count, {}};
  return true;
}

void RaggedDecoder::close(CachedSequence &sequence) {
  pool.unreserve(sequence.reserved);
  pool.giveBack(sequence.pages);
  sequence = {};
}

Status RaggedDecoder::checkSlices(std::span<const TokenSlice> slices) const {
  for (const TokenSlice &slice : slices) {
    const CachedSequence &sequence = *slice.sequence;
    auto capacity =
        (int64_t(sequence.pages.size()) + sequence.reserved) * page();
    int64_t length = sequence.length + int64_t(slice.tokens.size());
    if (slice.tokens.empty() || length > capacity || length > context())
      return Status(StatusCode::Infeasible,
                    "a sequence of " + std::to_string(length) +
                        " tokens does not fit; the model's context is " +
                        std::to_string(context()) +
                        " and the sequence has room for " +
                        std::to_string(capacity));
    for (int32_t token : slice.tokens)
      if (token < 0 || token >= vocabulary())
        return Status(StatusCode::InvalidArgument,
                      "token " + std::to_string(token) +
                          " is outside the vocabulary of " +
                          std::to_string(vocabulary()));
  }
  return {};
}

void RaggedDecoder::describeBatch(std::span<const TokenSlice> slices) {
  tokens.clear(), contextStarts.clear(), positions.clear(), logitRows.clear();
  tokenStarts.assign(1, 0);
  pageTableStride = 1;
  for (const TokenSlice &slice : slices) {
    CachedSequence &sequence = *slice.sequence;
    auto count = int64_t(slice.tokens.size());
    int64_t needed = ceilDiv(sequence.length + count, page());
    for (; int64_t(sequence.pages.size()) < needed; --sequence.reserved)
      sequence.pages.push_back(pool.take());
    pageTableStride = std::max(pageTableStride, needed);
    contextStarts.push_back(int32_t(sequence.length));
    for (int64_t i = 0; i < count; ++i) {
      if (slice.rows == LogitRows::All ||
          (slice.rows == LogitRows::Last && i + 1 == count))
        logitRows.push_back(int32_t(tokens.size()));
      tokens.push_back(slice.tokens[size_t(i)]);
      positions.push_back(int32_t(sequence.length + i));
    }
    tokenStarts.push_back(int32_t(tokens.size()));
  }
  pageTable.assign(slices.size() * size_t(pageTableStride), 0);
  for (size_t s = 0; s < slices.size(); ++s)
    std::copy(slices[s].sequence->pages.begin(),
              slices[s].sequence->pages.end(),
              pageTable.begin() + int64_t(s) * pageTableStride);
}

Status RaggedDecoder::growLogits(int64_t rows) {
  size_t needed = size_t(rows) * size_t(vocabulary()) * sizeof(float);
  if (logits && logits->size() >= needed)
    return {};
  logits.reset();
  StatusOr<std::unique_ptr<DeviceMemory>> larger =
      executor.device().allocateHost(needed);
  if (!larger.ok())
    return larger.status();
  logits = std::move(*larger);
  return {};
}

// The buffers behind the signature are made here, so their sizes must be what
// the function thinks they are.
Status RaggedDecoder::checkSignature(const BoundFunction &bound) const {
  const BoundValue &ids = bound.input(0), &result = bound.output(0);
  if (ids.type == plan::DType::I32 && ids.elements == bound.inputs().tokens &&
      !ids.quantized && result.type == plan::DType::F32 && !result.quantized &&
      result.elements == bound.inputs().logitRows * vocabulary())
    return {};
  return Status(StatusCode::BadArtifact,
                "the decoder's function does not take token ids and give "
                "logits");
}

StatusOr<std::span<const float>>
RaggedDecoder::step(std::span<const TokenSlice> slices) {
  QOPT_RETURN_IF_ERROR(checkSlices(slices));
  describeBatch(slices);
  auto rows = int64_t(logitRows.size());
  SymbolInputs sizes;
  sizes.tokens = int64_t(tokens.size());
  sizes.sequences = int64_t(slices.size());
  sizes.logitRows = rows;
  StatusOr<const BoundFunction *> bound = executor.bind(sizes);
  if (!bound.ok())
    return bound.status();
  QOPT_RETURN_IF_ERROR(checkSignature(**bound));
  QOPT_RETURN_IF_ERROR(growLogits(rows));

  DecoderState state;
  state.sequences = int64_t(slices.size());
  state.tokenStarts = tokenStarts.data();
  state.contextStarts = contextStarts.data();
  state.pageTable = pageTable.data();
  state.pageTableStride = pageTableStride;
  state.positions = positions.data();
  state.logitRows = logitRows.data();
  state.pages = pool.pages();
  state.layers = layers;
  void *input = tokens.data();
  void *output = logits->data();
  LaunchMemory memory;
  memory.inputs = {&input, 1};
  memory.outputs = {&output, 1};
  memory.state = &state;
  QOPT_RETURN_IF_ERROR(executor.run(memory));
  for (const TokenSlice &slice : slices)
    slice.sequence->length += int64_t(slice.tokens.size());
  return std::span<const float>(reinterpret_cast<const float *>(logits->data()),
                                size_t(rows * vocabulary()));
}

size_t RaggedDecoder::memory() const {
  return executor.memory() + (logits ? logits->size() : 0);
}

size_t RaggedDecoder::cacheMemory() const {
  return size_t(pool.pages() - pool.available()) * size_t(pageBytes);
}

} // namespace qopt::runtime
