// Describes ragged batches to the executor and owns the paged cache.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/RaggedDecoder.h"

#include <algorithm>
#include <string>

namespace qopt::runtime {

static int64_t ceilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

StatusOr<std::unique_ptr<RaggedDecoder>>
RaggedDecoder::create(std::shared_ptr<const LoadedModel> model,
                      std::shared_ptr<Device> device, int64_t cacheTokens,
                      StepLimits limits) {
  int64_t pages = ceilDiv(cacheTokens, model->plan().decoder()->page());
  if (pages > PagePool::mostPages)
    return Status(StatusCode::Infeasible,
                  "a cache of " + std::to_string(cacheTokens) +
                      " positions has more than " +
                      std::to_string(PagePool::mostPages) +
                      " pages; ask for fewer positions");
  auto decoder = std::unique_ptr<RaggedDecoder>(
      new RaggedDecoder(std::move(model), std::move(device), pages));
  Executor &executor = decoder->executor;
  if (decoder->choosesTokens() && !executor.device().hasOwnMemory())
    return Status(StatusCode::BadArtifact,
                  "the decoder's function gives tokens; those of the host give "
                  "logits alone");
  QOPT_RETURN_IF_ERROR(executor.loadCode());
  QOPT_RETURN_IF_ERROR(decoder->loadEncoder());
  // One more for text that is evaluated while they run.
  int64_t sequences = std::min(limits.sequences, pages) + 1;
  QOPT_RETURN_IF_ERROR(decoder->placeCache(sequences));
  WorkingMemory working;
  if (executor.device().hasOwnMemory()) {
    StatusOr<WorkingMemory> most = decoder->workingMemory(limits);
    if (!most.ok())
      return most.status();
    working = *most;
    QOPT_RETURN_IF_ERROR(decoder->checkBudget(working, limits));
  }
  QOPT_RETURN_IF_ERROR(executor.loadConstants());
  QOPT_RETURN_IF_ERROR(decoder->allocateCache());
  QOPT_RETURN_IF_ERROR(executor.reserve(working));
  return decoder;
}

RaggedDecoder::RaggedDecoder(std::shared_ptr<const LoadedModel> model,
                             std::shared_ptr<Device> device, int64_t pages)
    : decoder(model->plan().decoder()),
      executor(model, device, decoder->function()), pool(pages),
      // As many whole sources as there are whole sequences.
      sourcePool(std::clamp<int64_t>(pages * page() / context(), 1,
                                     PagePool::mostPages) *
                 ceilDiv(longestSource(), page())) {
  if (longestSource())
    encoder = std::make_unique<Executor>(std::move(model), std::move(device),
                                         uint32_t(decoder->encoder()));
}

Status RaggedDecoder::loadEncoder() {
  if (!encoder)
    return {};
  if (executor.device().hasOwnMemory())
    return Status(StatusCode::Unsupported,
                  std::string("an encoder-decoder runs on the host, not on ") +
                      executor.device().name());
  QOPT_RETURN_IF_ERROR(encoder->loadCode());
  return encoder->loadConstants();
}

// Layer after layer, the slots of each and behind them its pages, aligned to 4
// KiB; all layers have the same number of pages and share the page table, but
// those of sources, which have another. Slots count down from the pages, so
// that a layer has as many bytes of them as it needs: slot −1 is the one that
// ends where the pages begin.
Status RaggedDecoder::placeCache(int64_t sequences) {
  if (!decoder->layers())
    return {};
  auto add = [&](int64_t bytes, int64_t count) {
    size_t product;
    return !__builtin_mul_overflow(size_t(bytes), size_t(count), &product) &&
           product <= size_t(INT64_MAX) - 4096 &&
           !__builtin_add_overflow(cacheBytes, (product + 4095) & ~size_t(4095),
                                   &cacheBytes);
  };
  for (const plan::CacheLayer *layer : *decoder->layers()) {
    StatusOr<CacheSizes> sizes =
        executor.device().cacheSizes(*layer, decoder->page());
    if (!sizes.ok())
      return sizes.status();
    (layer->source() ? sourcePageBytes : pageBytes) += sizes->page;
    hasSlots |= sizes->slot > 0;
    int64_t pages = layer->source() ? sourcePool.pages() : pool.pages();
    bool fits = add(sizes->slot, sequences);
    layerOffsets.push_back(cacheBytes);
    if (!fits || pages > PagePool::mostPages || !add(sizes->page, pages))
      return Status(StatusCode::OutOfResources,
                    "a cache of " + std::to_string(pool.pages()) +
                        " pages is too large");
  }
  for (int64_t slot = sequences; hasSlots && slot > 0; --slot)
    freeSlots.push_back(int32_t(-slot));
  return {};
}

/// The largest of the steps that generate and of those that read prompts.
StatusOr<WorkingMemory> RaggedDecoder::workingMemory(StepLimits limits) const {
  auto sizesOf = [](int64_t tokens, int64_t sequences) {
    SymbolInputs sizes;
    sizes.tokens = tokens;
    sizes.sequences = sizes.logitRows = sequences;
    return sizes;
  };
  int64_t sequences = std::min(limits.sequences, limits.tokens);
  return executor.workingMemory(std::vector{
      sizesOf(1, 1), sizesOf(sequences, sequences), sizesOf(limits.tokens, 1),
      sizesOf(limits.tokens, sequences)});
}

Status RaggedDecoder::checkBudget(const WorkingMemory &working,
                                  StepLimits limits) {
  Device &device = executor.device();
  size_t weights =
      device.constantBytes(executor.artifact(), executor.function());
  int64_t positions = pool.pages() * page();
  return device.requireMemory(std::vector<MemoryPart>{
      {weights, "weights", "weights of fewer bits (--weights)"},
      {cacheBytes, "KV cache of " + std::to_string(positions) + " positions",
       positions > context()
           ? "fewer cache tokens or sequences, or a cache of fewer bits (--kv)"
           : "a shorter context (--context) or a cache of fewer bits (--kv)"},
      {working.device,
       "steps of " + std::to_string(limits.tokens) + " tokens and " +
           std::to_string(limits.sequences) + " sequences",
       ""}});
}

Status RaggedDecoder::allocateCache() {
  StatusOr<std::unique_ptr<DeviceMemory>> memory =
      executor.device().allocate(cacheBytes);
  if (!memory.ok())
    return memory.status();
  cache = std::move(*memory);
  for (size_t offset : layerOffsets)
    layers.push_back(cache->data() + offset);
  return {};
}

bool RaggedDecoder::open(CachedSequence &sequence, int64_t tokens,
                         int64_t source) {
  int64_t count = ceilDiv(tokens, page()),
          sourceCount = ceilDiv(source, page());
  if ((hasSlots && freeSlots.empty()) || !sourcePool.reserve(sourceCount))
    return false;
  if (!pool.reserve(count)) {
    sourcePool.unreserve(sourceCount);
    return false;
  }
  sequence = {};
  sequence.reserved = count;
  for (int64_t i = 0; i < sourceCount; ++i)
    sequence.sourcePages.push_back(sourcePool.take());
  if (hasSlots) {
    sequence.slot = freeSlots.back();
    freeSlots.pop_back();
  }
  return true;
}

void RaggedDecoder::close(CachedSequence &sequence) {
  pool.unreserve(sequence.reserved);
  pool.giveBack(sequence.pages);
  sourcePool.giveBack(sequence.sourcePages);
  if (sequence.slot != 0)
    freeSlots.push_back(sequence.slot);
  sequence = {};
}

Status RaggedDecoder::checkSlices(std::span<const TokenSlice> slices) const {
  for (const TokenSlice &slice : slices) {
    const CachedSequence &sequence = *slice.sequence;
    if (encoder && !sequence.sourceLength)
      return Status(StatusCode::InvalidArgument,
                    "a sequence of an encoder-decoder has no source");
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
  choices.clear(), slots.clear(), sourceLengths.clear();
  tokenStarts.assign(1, 0);
  pageTableStride = sourceTableStride = 1;
  for (const TokenSlice &slice : slices) {
    CachedSequence &sequence = *slice.sequence;
    auto count = int64_t(slice.tokens.size());
    int64_t needed = ceilDiv(sequence.length + count, page());
    for (; int64_t(sequence.pages.size()) < needed; --sequence.reserved)
      sequence.pages.push_back(pool.take());
    pageTableStride = std::max(pageTableStride, needed);
    contextStarts.push_back(int32_t(sequence.length));
    slots.push_back(sequence.slot);
    sourceLengths.push_back(int32_t(sequence.sourceLength));
    sourceTableStride =
        std::max(sourceTableStride, int64_t(sequence.sourcePages.size()));
    for (int64_t i = 0; i < count; ++i) {
      if (slice.rows == LogitRows::All ||
          (slice.rows == LogitRows::Last && i + 1 == count)) {
        logitRows.push_back(int32_t(tokens.size()));
        choices.push_back(slice.choice);
      }
      tokens.push_back(slice.tokens[size_t(i)]);
      positions.push_back(int32_t(sequence.length + i));
    }
    tokenStarts.push_back(int32_t(tokens.size()));
  }
  pageTable.assign(slices.size() * size_t(pageTableStride), 0);
  sourceTable.assign(slices.size() * size_t(sourceTableStride), 0);
  for (size_t s = 0; s < slices.size(); ++s) {
    const CachedSequence &sequence = *slices[s].sequence;
    std::ranges::copy(sequence.pages,
                      pageTable.begin() + int64_t(s) * pageTableStride);
    std::ranges::copy(sequence.sourcePages,
                      sourceTable.begin() + int64_t(s) * sourceTableStride);
  }
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
  auto is = [](const BoundValue &value, plan::DType type, int64_t elements) {
    return value.type == type && value.elements == elements && !value.quantized;
  };
  int64_t rows = bound.inputs().logitRows;
  if (is(bound.input(0), plan::DType::I32, bound.inputs().tokens) &&
      is(bound.output(0), plan::DType::F32, rows * vocabulary()) &&
      (!choosesTokens() || is(bound.output(1), plan::DType::I32, rows)))
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
  QOPT_RETURN_IF_ERROR(growLogits(rows));
  void *outputs[] = {logits->data(), nullptr};
  QOPT_RETURN_IF_ERROR(
      runStep(slices, std::span(outputs).first(choosesTokens() ? 2 : 1)));
  return std::span<const float>(reinterpret_cast<const float *>(logits->data()),
                                size_t(rows * vocabulary()));
}

StatusOr<std::span<const int32_t>>
RaggedDecoder::chooseTokens(std::span<const TokenSlice> slices) {
  QOPT_RETURN_IF_ERROR(checkSlices(slices));
  describeBatch(slices);
  nextTokens.resize(logitRows.size());
  void *outputs[] = {nullptr, nextTokens.data()};
  QOPT_RETURN_IF_ERROR(runStep(slices, outputs));
  return std::span<const int32_t>(nextTokens);
}

Status RaggedDecoder::runStep(std::span<const TokenSlice> slices,
                              std::span<void *const> outputs) {
  SymbolInputs sizes;
  sizes.tokens = int64_t(tokens.size());
  sizes.sequences = int64_t(slices.size());
  sizes.logitRows = int64_t(logitRows.size());
  StatusOr<const BoundFunction *> bound = executor.bind(sizes);
  if (!bound.ok())
    return bound.status();
  QOPT_RETURN_IF_ERROR(checkSignature(**bound));

  DecoderState state;
  state.sequences = int64_t(slices.size());
  state.tokenStarts = tokenStarts.data();
  state.contextStarts = contextStarts.data();
  state.pageTable = pageTable.data();
  state.pageTableStride = pageTableStride;
  state.slots = slots.data();
  state.sourceLengths = sourceLengths.data();
  state.sourceTable = sourceTable.data();
  state.sourceTableStride = sourceTableStride;
  state.positions = positions.data();
  state.logitRows = logitRows.data();
  state.pages = pool.pages();
  state.layers = layers;
  state.choices = choices;
  void *input = tokens.data();
  LaunchMemory memory;
  memory.inputs = {&input, 1};
  memory.outputs = outputs;
  memory.state = &state;
  memory.probe = probe;
  QOPT_RETURN_IF_ERROR(executor.run(memory));
  for (const TokenSlice &slice : slices)
    slice.sequence->length += int64_t(slice.tokens.size());
  return {};
}

StatusOr<int64_t> RaggedDecoder::sourceLength(const SymbolInputs &sizes) const {
  auto bound = encoder->sizesOf(sizes);
  if (!bound.ok())
    return bound.status();
  int64_t length = (*bound)->sourceLength();
  if (length > 0 && length <= longestSource())
    return length;
  return Status(StatusCode::Infeasible,
                "the encoder makes " + std::to_string(length) +
                    " positions of the source; expected 1 to " +
                    std::to_string(longestSource()));
}

// The batch is the source: one sequence, whose rows are its positions.
Status RaggedDecoder::encode(CachedSequence &sequence,
                             const GivenInputs &source) {
  StatusOr<const BoundFunction *> bound = encoder->bind(source.sizes);
  if (!bound.ok())
    return bound.status();
  int64_t length = (*bound)->sourceLength(),
          room = int64_t(sequence.sourcePages.size()) * page();
  if (length < 1 || length > room)
    return Status(StatusCode::Infeasible,
                  "a source of " + std::to_string(length) +
                      " positions does not fit the room for " +
                      std::to_string(room));
  int32_t starts[] = {0, int32_t(length)};
  DecoderState state;
  state.sequences = 1;
  state.tokenStarts = starts;
  state.contextStarts = starts;
  state.pageTable = sequence.sourcePages.data();
  state.pageTableStride = int64_t(sequence.sourcePages.size());
  state.slots = &sequence.slot;
  state.layers = layers;
  LaunchMemory memory;
  memory.inputs = source.pointers;
  memory.state = &state;
  QOPT_RETURN_IF_ERROR(encoder->run(memory));
  sequence.sourceLength = length;
  return {};
}

size_t RaggedDecoder::memory() const {
  return executor.memory() + (encoder ? encoder->memory() : 0) +
         (logits ? logits->size() : 0);
}

size_t RaggedDecoder::cacheMemory() const {
  auto used = [](const PagePool &pages, int64_t bytes) {
    return size_t(pages.pages() - pages.available()) * size_t(bytes);
  };
  return used(pool, pageBytes) + used(sourcePool, sourcePageBytes);
}

} // namespace qopt::runtime
