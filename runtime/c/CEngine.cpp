// The C interface: generating text.
// NOLINTBEGIN(readability-identifier-naming): the names are those of qopt.h.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/c/Handles.h"
#include "runtime/c/Structs.h"

using namespace qopt;
using namespace qopt::c;

static_assert(int(FinishReason::Failed) == QOPT_FINISH_FAILED &&
              int(FinishReason::Context) == QOPT_FINISH_CONTEXT);

static qopt_engine_options defaultOptions() {
  const EngineOptions defaults;
  return {sizeof(qopt_engine_options),
          defaults.threads,
          nullptr,
          defaults.cacheTokens,
          defaults.maxSequences,
          defaults.chunkTokens,
          defaults.maxQueue};
}

static qopt_request defaultRequest() {
  const Request defaults;
  qopt_request request = {};
  request.struct_size = sizeof(request);
  request.max_tokens = defaults.maxTokens;
  request.temperature = defaults.sampling.temperature;
  request.top_k = defaults.sampling.topK;
  request.top_p = defaults.sampling.topP;
  request.min_p = defaults.sampling.minP;
  request.repetition_penalty = defaults.sampling.repetitionPenalty;
  request.seed = defaults.sampling.seed;
  return request;
}

/// Fills a struct of the caller, whose size is `size`, with defaults.
template <typename Struct>
static qopt_status fill(const char *name, const Struct &defaults, Struct *given,
                        size_t size) {
  return guarded([&]() -> Status {
    if (!given)
      return missing(name);
    QOPT_RETURN_IF_ERROR(checkStructSize(name, size, sizeof(Struct)));
    given->struct_size = size;
    return writeStruct(name, defaults, given);
  });
}

qopt_status qopt_engine_options_fill(qopt_engine_options *options,
                                     size_t size) {
  return fill("the engine's options", defaultOptions(), options, size);
}

qopt_status qopt_request_fill(qopt_request *request, size_t size) {
  return fill("the request", defaultRequest(), request, size);
}

qopt_status qopt_engine_create(const qopt_artifact *artifact,
                               const qopt_engine_options *options,
                               qopt_engine **engine) {
  return guarded([&]() -> Status {
    if (!artifact || !engine)
      return missing(artifact ? "engine" : "artifact");
    EngineOptions chosen;
    if (options) {
      StatusOr<qopt_engine_options> given =
          readStruct("the engine's options", options, defaultOptions());
      if (!given.ok())
        return given.status();
      chosen = {given->threads,      given->device ? given->device : "",
                given->cache_tokens, given->max_sequences,
                given->chunk_tokens, given->max_queue};
    }
    StatusOr<std::unique_ptr<Engine>> created =
        Engine::create(artifact->artifact, chosen);
    if (!created.ok())
      return created.status();
    auto handle = std::make_unique<qopt_engine>();
    handle->engine = std::move(*created);
    *engine = handle.release();
    return {};
  });
}

void qopt_engine_release(qopt_engine *engine) { delete engine; }

static Status loadTokenizer(qopt_engine &engine) {
  std::lock_guard lock(engine.loading);
  if (engine.tokenizer)
    return {};
  const Artifact &artifact = engine.engine->artifact();
  if (artifact.tokenizerJson().empty())
    return Status(StatusCode::NotFound,
                  "artifact '" + artifact.path() +
                      "' has no tokenizer; give token ids, or compile the "
                      "model beside its tokenizer.json");
  StatusOr<Tokenizer> tokenizer = Tokenizer::create(artifact.tokenizerJson());
  if (!tokenizer.ok())
    return tokenizer.status();
  engine.tokenizer.emplace(std::move(*tokenizer));
  return {};
}

/// The tokens of a request, all of which the model must have.
static StatusOr<std::vector<int32_t>> promptOf(qopt_engine &engine,
                                               const qopt_request &given) {
  if (given.text && given.tokens)
    return Status(StatusCode::InvalidArgument,
                  "the request has tokens and text; give one of them");
  if (!given.tokens && given.token_count > 0)
    return missing("the request's tokens");
  if (!given.text && given.text_size > 0)
    return missing("the request's text");
  if (given.text) {
    QOPT_RETURN_IF_ERROR(loadTokenizer(engine));
    return engine.tokenizer->encodeWhole({given.text, given.text_size});
  }
  // Before so many are copied.
  const DecoderSpec &decoder = engine.engine->artifact().decoder();
  if (given.token_count > uint64_t(decoder.context))
    return Status(StatusCode::Infeasible,
                  "the prompt has " + std::to_string(given.token_count) +
                      " tokens; the model's context is " +
                      std::to_string(decoder.context) + "; shorten the prompt");
  return std::vector<int32_t>(given.tokens, given.tokens + given.token_count);
}

/// The caller's sizes may be any numbers.
static StatusOr<Tensor> copyOf(const TensorView &view) {
  int64_t bytes = int64_t(sizeOf(view.type));
  for (int64_t size : view.shape)
    if (size < 0 || __builtin_mul_overflow(bytes, size, &bytes))
      return Status(StatusCode::InvalidArgument,
                    "tensor \"" + view.name + "\" has shape " +
                        spell(view.shape) + ", which no memory has");
  if (!view.data && bytes > 0)
    return missing(("the data of tensor \"" + view.name + "\"").c_str());
  Tensor copy(view.name, view.type, view.shape);
  if (bytes > 0)
    std::memcpy(copy.data(), view.data, size_t(bytes));
  return copy;
}

static StatusOr<Request> requestOf(qopt_engine &engine,
                                   const qopt_request *asked) {
  StatusOr<qopt_request> given =
      readStruct("the request", asked, defaultRequest());
  if (!given.ok())
    return given.status();
  StatusOr<std::vector<int32_t>> prompt = promptOf(engine, *given);
  if (!prompt.ok())
    return prompt.status();
  Request request;
  request.prompt = std::move(*prompt);
  request.maxTokens = given->max_tokens;
  request.sampling = {
      given->temperature,        given->top_k, given->top_p, given->min_p,
      given->repetition_penalty, given->seed};
  request.ignoreEnd = given->ignore_end != 0;
  StatusOr<std::vector<TensorView>> source = viewsOf(
      given->source, given->source_count, engine.engine->artifact().inputs());
  if (!source.ok())
    return source.status();
  // What does not fit the model the engine refuses, by name, type and sizes.
  for (const TensorView &view : *source) {
    StatusOr<Tensor> copy = copyOf(view);
    if (!copy.ok())
      return copy.status();
    request.source.push_back(std::move(*copy));
  }
  return request;
}

qopt_status qopt_engine_generate(qopt_engine *engine,
                                 const qopt_request *request,
                                 qopt_token_callback callback, void *user,
                                 qopt_generation **generation) {
  return guarded([&]() -> Status {
    if (!engine || !request)
      return missing(engine ? "request" : "engine");
    StatusOr<Request> prepared = requestOf(*engine, request);
    if (!prepared.ok())
      return prepared.status();
    // Tokens alone need no tokenizer; where the artifact has one they are
    // decoded too.
    bool hasText = !engine->engine->artifact().tokenizerJson().empty();
    std::optional<TokenStream> stream;
    if (hasText) {
      QOPT_RETURN_IF_ERROR(loadTokenizer(*engine));
      stream.emplace(*engine->tokenizer);
    }
    auto handle = std::make_unique<qopt_generation>();
    handle->promptTokens = prepared->prompt.size();
    Status stopped; // by an exception, which must not pass the engine
    auto give = [&](int32_t token, const std::string &piece) {
      handle->text += piece;
      StatusOr<int> goesOn = answerOf([&] {
        return !callback || callback(user, token, piece.data(), piece.size());
      });
      stopped = goesOn.status();
      return goesOn.ok() && *goesOn != 0;
    };
    StatusOr<GenerateResult> result =
        engine->engine->generate(std::move(*prepared), [&](int32_t token) {
          return give(token, stream ? stream->push(token) : std::string());
        });
    if (!result.ok())
      return result.status();
    QOPT_RETURN_IF_ERROR(stopped);
    if (stream)
      if (std::string rest = stream->finish(); !rest.empty())
        (void)give(-1, rest);
    QOPT_RETURN_IF_ERROR(stopped);
    handle->result = std::move(*result);
    if (generation)
      *generation = handle.release();
    return {};
  });
}

void qopt_generation_release(qopt_generation *generation) { delete generation; }

const int32_t *qopt_generation_tokens(const qopt_generation *generation,
                                      size_t *count) {
  if (count)
    *count = generation ? generation->result.tokens.size() : 0;
  return generation ? generation->result.tokens.data() : nullptr;
}

const char *qopt_generation_text(const qopt_generation *generation,
                                 size_t *size) {
  if (size)
    *size = generation ? generation->text.size() : 0;
  return generation ? generation->text.c_str() : "";
}

qopt_finish qopt_generation_finish(const qopt_generation *generation) {
  return generation ? qopt_finish(generation->result.finish) : QOPT_FINISH_NONE;
}

size_t qopt_generation_prompt_tokens(const qopt_generation *generation) {
  return generation ? generation->promptTokens : 0;
}

double qopt_generation_prefill_seconds(const qopt_generation *generation) {
  return generation ? generation->result.prefillSeconds : 0;
}

double qopt_generation_decode_seconds(const qopt_generation *generation) {
  return generation ? generation->result.decodeSeconds : 0;
}

qopt_status qopt_engine_submit(qopt_engine *engine, const qopt_request *request,
                               uint64_t *id) {
  return guarded([&]() -> Status {
    if (!engine || !request || !id)
      return missing(!engine ? "engine" : !request ? "request" : "id");
    StatusOr<Request> prepared = requestOf(*engine, request);
    if (!prepared.ok())
      return prepared.status();
    StatusOr<RequestId> submitted =
        engine->engine->submit(std::move(*prepared));
    if (!submitted.ok())
      return submitted.status();
    *id = *submitted;
    return {};
  });
}

qopt_status qopt_engine_cancel(qopt_engine *engine, uint64_t id) {
  return guarded([&]() -> Status {
    return engine ? engine->engine->cancel(id) : missing("engine");
  });
}

int qopt_engine_idle(const qopt_engine *engine) {
  return !engine || engine->engine->idle();
}

qopt_status qopt_engine_step(qopt_engine *engine, const qopt_event **events,
                             size_t *count) {
  return guarded([&]() -> Status {
    if (!engine || !events || !count)
      return missing(!engine ? "engine" : !events ? "events" : "count");
    StatusOr<std::vector<TokenEvent>> step = engine->engine->step();
    if (!step.ok())
      return step.status();
    engine->events.clear();
    for (const TokenEvent &event : *step) {
      engine->events.push_back(
          {event.request, event.token, qopt_finish(event.finish)});
      (void)report(event.status); // why a request failed: qopt_last_error
    }
    *events = engine->events.data();
    *count = engine->events.size();
    return {};
  });
}

qopt_status qopt_engine_evaluate(qopt_engine *engine, const int32_t *tokens,
                                 size_t token_count,
                                 qopt_logits_callback callback, void *user) {
  return guarded([&]() -> Status {
    if (!engine || !tokens || !callback)
      return missing(!engine ? "engine" : !tokens ? "tokens" : "callback");
    int64_t vocabulary = engine->engine->artifact().decoder().vocabulary;
    return engine->engine->evaluate(
        {tokens, token_count},
        [&](int64_t first, std::span<const float> logits) -> Status {
          StatusOr<int> goesOn = answerOf([&] {
            return callback(user, first, logits.data(),
                            int64_t(logits.size()) / vocabulary);
          });
          if (!goesOn.ok())
            return goesOn.status();
          return *goesOn
                     ? Status()
                     : Status(StatusCode::Cancelled, "stopped by the callback");
        });
  });
}

qopt_status qopt_engine_encode(qopt_engine *engine, const char *text,
                               size_t text_size, const int32_t **tokens,
                               size_t *count) {
  return guarded([&]() -> Status {
    if (!engine || !text || !tokens || !count)
      return missing(!engine ? "engine" : !text ? "text" : "tokens and count");
    QOPT_RETURN_IF_ERROR(loadTokenizer(*engine));
    StatusOr<std::vector<int32_t>> ids =
        engine->tokenizer->encodeWhole({text, text_size});
    if (!ids.ok())
      return ids.status();
    engine->encoded = std::move(*ids);
    *tokens = engine->encoded.data();
    *count = engine->encoded.size();
    return {};
  });
}

qopt_status qopt_engine_decode(qopt_engine *engine, const int32_t *tokens,
                               size_t token_count, const char **text,
                               size_t *text_size) {
  return guarded([&]() -> Status {
    if (!engine || (!tokens && token_count > 0) || !text || !text_size)
      return missing(!engine ? "engine" : "tokens, text and text_size");
    QOPT_RETURN_IF_ERROR(loadTokenizer(*engine));
    int64_t vocabulary = engine->engine->artifact().decoder().vocabulary;
    for (size_t i = 0; i < token_count; ++i)
      if (tokens[i] < 0 || tokens[i] >= vocabulary)
        return Status(
            StatusCode::InvalidArgument,
            "token " + std::to_string(i) + " is " + std::to_string(tokens[i]) +
                ", outside the vocabulary of " + std::to_string(vocabulary));
    engine->decoded = engine->tokenizer->decode({tokens, token_count});
    *text = engine->decoded.c_str();
    *text_size = engine->decoded.size();
    return {};
  });
}
// NOLINTEND(readability-identifier-naming)
