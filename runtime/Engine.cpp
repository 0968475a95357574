// The public engine: options, locking, and the loops around scheduler and
// decoder.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "qopt/Engine.h"

#include "runtime/Devices.h"
#include "runtime/Scheduler.h"
#include "runtime/host/QuantizedActivations.h"
#include "runtime/plan/StepOperands.h"

#include <algorithm>
#include <chrono>
#include <mutex>
#include <new>

namespace qopt {

class Engine::Implementation {
public:
  Implementation(std::shared_ptr<const Artifact> artifact,
                 std::unique_ptr<runtime::RaggedDecoder> decoder,
                 const EngineOptions &options)
      : artifact(std::move(artifact)), decoder(std::move(decoder)),
        scheduler(*this->decoder, options, this->artifact->decoder().endTokens,
                  this->artifact->inputs()),
        options(options) {}

  StatusOr<std::vector<TokenEvent>> step();
  void encodeSources(std::vector<runtime::TokenSlice> &slices,
                     std::vector<TokenEvent> &events);
  template <typename Result>
  Status finish(std::span<const runtime::TokenSlice> slices,
                const StatusOr<std::span<const Result>> &results,
                std::vector<TokenEvent> &events);
  Status evaluate(std::span<const int32_t> tokens,
                  const LogitsCallback &callback, int64_t chunk,
                  const std::vector<Tensor> &source,
                  const runtime::StepProbe *probe = nullptr);
  Status evaluateChunks(runtime::CachedSequence &sequence,
                        std::span<const int32_t> tokens,
                        const LogitsCallback &callback, int64_t chunk);

  std::shared_ptr<const Artifact> artifact;
  std::unique_ptr<runtime::RaggedDecoder> decoder;
  runtime::Scheduler scheduler;
  EngineOptions options;
  mutable std::mutex state; ///< of scheduler and page pool
  std::mutex stepping;      ///< one step at a time; taken before `state`
};

static Status noMemory() {
  return Status(StatusCode::OutOfResources, "no memory for the decoder");
}

static Status checkOptions(const EngineOptions &options) {
  auto check = [](const char *name, int64_t value, int64_t least) {
    constexpr int64_t most = int64_t(1) << 40;
    return value >= least && value <= most
               ? Status()
               : Status(StatusCode::InvalidArgument,
                        std::string(name) + " must be from " +
                            std::to_string(least) + " to " +
                            std::to_string(most) + ", got " +
                            std::to_string(value));
  };
  QOPT_RETURN_IF_ERROR(check("cache tokens", options.cacheTokens, 0));
  QOPT_RETURN_IF_ERROR(check("max sequences", options.maxSequences, 1));
  QOPT_RETURN_IF_ERROR(check("chunk tokens", options.chunkTokens, 1));
  return check("max queue", options.maxQueue, 0);
}

static int64_t defaultCacheTokens(const DecoderSpec &spec,
                                  const EngineOptions &options) {
  constexpr int64_t limitBytes = int64_t(1) << 30;
  int64_t affordable =
      limitBytes / std::max<int64_t>(spec.cacheBytesPerToken, 1);
  int64_t wanted = options.maxSequences > (int64_t(1) << 31) / spec.context
                       ? int64_t(1) << 31
                       : options.maxSequences * spec.context;
  return std::max(spec.context, std::min(wanted, affordable));
}

StatusOr<std::unique_ptr<Engine>>
Engine::create(std::shared_ptr<const Artifact> artifact,
               const EngineOptions &options) {
  try {
    if (!artifact->isDecoder())
      return Status(StatusCode::InvalidArgument,
                    "artifact '" + artifact->path() +
                        "' is a graph, which runs on tensors and does not "
                        "generate text");
    QOPT_RETURN_IF_ERROR(checkOptions(options));
    StatusOr<std::shared_ptr<runtime::Device>> device = runtime::openDevice(
        artifact->model()->plan(), options.device, options.threads);
    if (!device.ok())
      return device.status();
    int64_t tokens = options.cacheTokens
                         ? options.cacheTokens
                         : defaultCacheTokens(artifact->decoder(), options);
    EngineOptions chosen = options;
    if (int64_t most = artifact->model()->plan().decoder()->step_tokens()) {
      chosen.chunkTokens = std::min(chosen.chunkTokens, most);
      chosen.maxSequences = std::min(chosen.maxSequences, most);
    }
    // One token of each sequence that generates goes beyond a smaller chunk.
    runtime::StepLimits limits = {
        std::max(chosen.chunkTokens, chosen.maxSequences), chosen.maxSequences};
    StatusOr<std::unique_ptr<runtime::RaggedDecoder>> decoder =
        runtime::RaggedDecoder::create(artifact->model(), std::move(*device),
                                       tokens, limits);
    if (!decoder.ok())
      return decoder.status();
    return std::unique_ptr<Engine>(new Engine(std::make_unique<Implementation>(
        std::move(artifact), std::move(*decoder), chosen)));
  } catch (const std::bad_alloc &) {
    return noMemory();
  }
}

Engine::Engine(std::unique_ptr<Implementation> implementation)
    : implementation(std::move(implementation)) {}
Engine::~Engine() = default;

const Artifact &Engine::artifact() const { return *implementation->artifact; }

StatusOr<RequestId> Engine::submit(Request request) {
  try {
    std::lock_guard lock(implementation->state);
    return implementation->scheduler.submit(std::move(request));
  } catch (const std::bad_alloc &) {
    return noMemory();
  }
}

Status Engine::cancel(RequestId request) {
  std::lock_guard lock(implementation->state);
  return implementation->scheduler.cancel(request);
}

bool Engine::idle() const {
  std::lock_guard lock(implementation->state);
  return implementation->scheduler.idle();
}

StatusOr<std::vector<TokenEvent>> Engine::step() {
  try {
    return implementation->step();
  } catch (const std::bad_alloc &) {
    return noMemory();
  }
}

// The state is not locked while the decoder runs: what a slice points to only
// step itself removes.
StatusOr<std::vector<TokenEvent>> Engine::Implementation::step() {
  std::lock_guard one(stepping);
  std::vector<TokenEvent> events;
  std::unique_lock lock(state);
  std::vector<runtime::TokenSlice> slices = scheduler.schedule(events);
  if (slices.empty())
    return events;
  lock.unlock();
  try {
    encodeSources(slices, events);
    if (slices.empty())
      return events;
    QOPT_RETURN_IF_ERROR(
        decoder->choosesTokens()
            ? finish<int32_t>(slices, decoder->chooseTokens(slices), events)
            : finish<float>(slices, decoder->step(slices), events));
  } catch (const std::bad_alloc &) { // what the cache has is not known
    lock.lock();
    scheduler.fail();
    throw;
  }
  return events;
}

/// Of the sequences that begin; those whose source cannot be encoded end.
void Engine::Implementation::encodeSources(
    std::vector<runtime::TokenSlice> &slices, std::vector<TokenEvent> &events) {
  std::erase_if(slices, [&](const runtime::TokenSlice &slice) {
    Status done = scheduler.encode(slice);
    if (done.ok())
      return false;
    std::lock_guard lock(state);
    scheduler.end(slice, std::move(done), events);
    return true;
  });
}

/// With the decoder's results, tokens or logits.
template <typename Result>
Status
Engine::Implementation::finish(std::span<const runtime::TokenSlice> slices,
                               const StatusOr<std::span<const Result>> &results,
                               std::vector<TokenEvent> &events) {
  std::lock_guard lock(state);
  if (!results.ok()) {
    scheduler.fail();
    return results.status();
  }
  scheduler.advance(slices, *results, events);
  return {};
}

StatusOr<GenerateResult> Engine::generate(Request request,
                                          const TokenCallback &callback) {
  using Clock = std::chrono::steady_clock;
  auto seconds = [](Clock::duration duration) {
    return std::chrono::duration<double>(duration).count();
  };
  if (!idle())
    return Status(StatusCode::InvalidArgument,
                  "generate needs an idle engine; use submit and step beside "
                  "other requests");
  Clock::time_point start = Clock::now(), first = start;
  StatusOr<RequestId> id = submit(std::move(request));
  if (!id.ok())
    return id.status();
  GenerateResult result;
  while (result.finish == FinishReason::None) {
    StatusOr<std::vector<TokenEvent>> events = step();
    if (!events.ok())
      return events.status();
    for (const TokenEvent &event : *events) {
      if (event.request != *id)
        continue;
      if (!event.status.ok())
        return event.status;
      result.finish = event.finish;
      if (event.token < 0)
        continue;
      if (result.tokens.empty())
        first = Clock::now();
      result.tokens.push_back(event.token);
      if (callback && !callback(event.token) &&
          event.finish == FinishReason::None)
        QOPT_RETURN_IF_ERROR(cancel(*id));
    }
  }
  result.prefillSeconds = seconds(first - start);
  result.decodeSeconds = seconds(Clock::now() - first);
  return result;
}

Status Engine::evaluate(std::span<const int32_t> tokens,
                        const LogitsCallback &callback, int64_t chunk,
                        const std::vector<Tensor> &source) {
  try {
    return implementation->evaluate(tokens, callback, chunk, source);
  } catch (const std::bad_alloc &) {
    return noMemory();
  }
}

Status Engine::Implementation::evaluate(std::span<const int32_t> tokens,
                                        const LogitsCallback &callback,
                                        int64_t chunk,
                                        const std::vector<Tensor> &source,
                                        const runtime::StepProbe *probe) {
  constexpr int64_t logitBytes = int64_t(16) << 20;
  if (chunk < 0 || tokens.empty())
    return Status(StatusCode::InvalidArgument,
                  "evaluate needs tokens and a chunk of 0 (chosen) or above");
  if (int64_t(tokens.size()) > decoder->context())
    return Status(StatusCode::Infeasible,
                  std::to_string(tokens.size()) +
                      " tokens are longer than the model's context of " +
                      std::to_string(decoder->context()));
  if (chunk == 0)
    chunk = std::clamp<int64_t>(logitBytes / 4 / decoder->vocabulary(), 1,
                                options.chunkTokens);
  if (int64_t most = decoder->stepTokens())
    chunk = std::min(chunk, most);
  StatusOr<runtime::EncoderSource> encoded = scheduler.sourceOf(source);
  if (!encoded.ok())
    return encoded.status();
  std::lock_guard one(stepping);
  runtime::CachedSequence sequence;
  {
    std::lock_guard lock(state);
    if (!decoder->open(sequence, int64_t(tokens.size()), encoded->length))
      return Status(StatusCode::OutOfResources,
                    "the cache has no room for " +
                        std::to_string(tokens.size()) + " positions");
  }
  decoder->watch(probe);
  Status status;
  if (encoded->length)
    status = decoder->encode(sequence, encoded->inputs);
  if (status.ok())
    status = evaluateChunks(sequence, tokens, callback, chunk);
  decoder->watch(nullptr);
  std::lock_guard lock(state);
  decoder->close(sequence);
  return status;
}

Status Engine::Implementation::evaluateChunks(runtime::CachedSequence &sequence,
                                              std::span<const int32_t> tokens,
                                              const LogitsCallback &callback,
                                              int64_t chunk) {
  for (size_t first = 0; first < tokens.size(); first += size_t(chunk)) {
    size_t count = std::min(size_t(chunk), tokens.size() - first);
    runtime::TokenSlice slice = {&sequence, tokens.subspan(first, count),
                                 runtime::LogitRows::All};
    StatusOr<std::span<const float>> logits = decoder->step({&slice, 1});
    if (!logits.ok())
      return logits.status();
    QOPT_RETURN_IF_ERROR(callback(int64_t(first), *logits));
  }
  return {};
}

/// A value as f32 rows; empty where it is no floating-point tensor.
static std::vector<float> rowsOf(const runtime::BoundValue &value,
                                 const void *data, host::ThreadPool &pool) {
  std::vector<float> rows;
  std::optional<host::ActivationCodes> codes =
      host::activationCodes(value.activation);
  if (value.quantized && codes) {
    rows.resize(size_t(value.elements));
    host::dequantizeActivations(data, value.rows(), value.columns(), *codes,
                                rows.data(), pool);
  } else if (value.type == plan::DType::F32 && value.elements > 0) {
    const auto *row = static_cast<const float *>(data);
    for (int64_t i = 0; i < value.elements / value.rowElements; ++i)
      rows.insert(rows.end(), row + i * value.rowStride,
                  row + i * value.rowStride + value.rowElements);
  }
  return rows;
}

Status Engine::probe(std::span<const int32_t> tokens,
                     const ValueCallback &callback) {
  runtime::RaggedDecoder &decoder = *implementation->decoder;
  if (std::string_view(decoder.device().name()) != "host")
    return Status(StatusCode::Unsupported,
                  "values between steps can be seen on the host alone, and '" +
                      artifact().path() + "' runs on " +
                      decoder.device().name());
  host::ThreadPool pool(implementation->options.threads);
  const runtime::StepProbe show = [&](const plan::Step &step,
                                      const runtime::BoundValue &value,
                                      const void *data) -> Status {
    std::vector<float> rows = rowsOf(value, data, pool);
    if (rows.empty())
      return {};
    return callback({step.origin() ? step.origin()->str() : "",
                     runtime::kernelName(step.operation_type()), value.rows(),
                     value.columns(), rows});
  };
  try {
    return implementation->evaluate(
        tokens, [](int64_t, std::span<const float>) { return Status(); },
        int64_t(tokens.size()), {}, &show);
  } catch (const std::bad_alloc &) {
    return noMemory();
  }
}

int64_t Engine::cacheTokens() const {
  return implementation->decoder->pages().pages() *
         implementation->decoder->page();
}

int64_t Engine::freeCacheTokens() const {
  std::lock_guard lock(implementation->state);
  return implementation->decoder->pages().available() *
         implementation->decoder->page();
}

size_t Engine::memory() const { return implementation->decoder->memory(); }

size_t Engine::cacheMemory() const {
  std::lock_guard lock(implementation->state);
  return implementation->decoder->cacheMemory();
}

} // namespace qopt
