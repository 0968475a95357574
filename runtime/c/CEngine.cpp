// The C interface: generating text.
// NOLINTBEGIN(readability-identifier-naming): the names are those of qopt.h.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/c/Handles.h"

#include <cstring>

using namespace qopt;
using namespace qopt::c;

static_assert(int(FinishReason::Failed) == QOPT_FINISH_FAILED &&
              int(FinishReason::Context) == QOPT_FINISH_CONTEXT);

void qopt_engine_options_defaults(qopt_engine_options *options) {
  const EngineOptions defaults;
  if (options)
    *options = {
        sizeof(*options),     defaults.threads,      nullptr,
        defaults.cacheTokens, defaults.maxSequences, defaults.chunkTokens,
        defaults.maxQueue};
}

void qopt_request_defaults(qopt_request *request) {
  if (!request)
    return;
  const Request defaults;
  std::memset(request, 0, sizeof(*request));
  request->struct_size = sizeof(*request);
  request->max_tokens = defaults.maxTokens;
  request->temperature = defaults.sampling.temperature;
  request->top_k = defaults.sampling.topK;
  request->top_p = defaults.sampling.topP;
  request->min_p = defaults.sampling.minP;
  request->repetition_penalty = defaults.sampling.repetitionPenalty;
  request->seed = defaults.sampling.seed;
}

/// A struct of this version; the defaults functions say so.
template <typename Struct>
static Status checkSize(const char *name, const Struct &given) {
  if (given.struct_size == sizeof(Struct))
    return {};
  return Status(StatusCode::InvalidArgument,
                std::string(name) + " has struct_size " +
                    std::to_string(given.struct_size) + "; expected " +
                    std::to_string(sizeof(Struct)) +
                    ", which its defaults function sets");
}

qopt_status qopt_engine_create(const qopt_artifact *artifact,
                               const qopt_engine_options *options,
                               qopt_engine **engine) {
  return guarded([&]() -> Status {
    if (!artifact || !engine)
      return missing(artifact ? "engine" : "artifact");
    EngineOptions chosen;
    if (options) {
      QOPT_RETURN_IF_ERROR(checkSize("the engine's options", *options));
      chosen = {options->threads,      options->device ? options->device : "",
                options->cache_tokens, options->max_sequences,
                options->chunk_tokens, options->max_queue};
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

static StatusOr<Request> requestOf(qopt_engine &engine,
                                   const qopt_request &given) {
  QOPT_RETURN_IF_ERROR(checkSize("the request", given));
  Request request;
  if (given.text && given.tokens)
    return Status(StatusCode::InvalidArgument,
                  "the request has tokens and text; give one of them");
  if (given.tokens) {
    request.prompt.assign(given.tokens, given.tokens + given.token_count);
  } else if (given.text) {
    QOPT_RETURN_IF_ERROR(loadTokenizer(engine));
    StatusOr<std::vector<int32_t>> ids =
        engine.tokenizer->encodeWhole({given.text, given.text_size});
    if (!ids.ok())
      return ids.status();
    request.prompt = std::move(*ids);
  }
  request.maxTokens = given.max_tokens;
  request.sampling = {
      given.temperature,        given.top_k, given.top_p, given.min_p,
      given.repetition_penalty, given.seed};
  request.ignoreEnd = given.ignore_end != 0;
  return request;
}

qopt_status qopt_engine_generate(qopt_engine *engine,
                                 const qopt_request *request,
                                 qopt_token_callback callback, void *user,
                                 qopt_generation **generation) {
  return guarded([&]() -> Status {
    if (!engine || !request)
      return missing(engine ? "request" : "engine");
    StatusOr<Request> prepared = requestOf(*engine, *request);
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
    auto give = [&](int32_t token, const std::string &piece) {
      handle->text += piece;
      return !callback || callback(user, token, piece.data(), piece.size());
    };
    StatusOr<GenerateResult> result =
        engine->engine->generate(std::move(*prepared), [&](int32_t token) {
          return give(token, stream ? stream->push(token) : std::string());
        });
    if (!result.ok())
      return result.status();
    if (stream)
      if (std::string rest = stream->finish(); !rest.empty())
        give(-1, rest);
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
    StatusOr<Request> prepared = requestOf(*engine, *request);
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
          if (callback(user, first, logits.data(),
                       int64_t(logits.size()) / vocabulary))
            return {};
          return Status(StatusCode::Cancelled, "stopped by the callback");
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
    engine->decoded = engine->tokenizer->decode({tokens, token_count});
    *text = engine->decoded.c_str();
    *text_size = engine->decoded.size();
    return {};
  });
}
// NOLINTEND(readability-identifier-naming)
