/* The C interface of the qopt runtime: run graphs on tensors, generate text.
 *
 * Every function that can fail returns a qopt_status; qopt_last_error() then
 * has the message, for this thread, until its next call. Nothing aborts and no
 * C++ exception leaves the library. Handles are opaque; each is released by the
 * function of its name, and releasing NULL does nothing. An artifact may serve
 * several threads; a session, an engine and a set of results belong to one
 * thread at a time (qopt_engine_submit and qopt_engine_cancel excepted).
 * Sessions and engines keep what they need of their artifact alive.
 *
 * Structs start with `struct_size`, so that later versions can add fields; the
 * ..._defaults functions set it, elsewhere it is `x.struct_size = sizeof(x);`.
 * What the caller passes: fields that an older, smaller struct lacks have their
 * defaults; a newer, larger one is taken where the fields that this library
 * does not know are zero, and is QOPT_UNSUPPORTED where not. What the library
 * fills: no more than struct_size bytes are written; what it does not know
 * becomes zero. A struct_size that no version has is QOPT_INVALID_ARGUMENT.
 * SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 */
#ifndef QOPT_QOPT_H
#define QOPT_QOPT_H

#include "qopt/qopt_dtype.h"

#include <stddef.h>
#include <stdint.h>

#define QOPT_C_API __attribute__((visibility("default")))

/* C has no namespaces: NOLINTBEGIN(readability-identifier-naming) */
#ifdef __cplusplus
extern "C" {
#endif

/* ---- Outcome ---------------------------------------------------------- */

typedef enum qopt_status {
  QOPT_OK = 0,
  QOPT_INVALID_ARGUMENT = 1,
  QOPT_NOT_FOUND = 2,
  QOPT_BAD_MODEL = 3,
  QOPT_UNSUPPORTED = 4,
  QOPT_INFEASIBLE = 5,
  QOPT_BAD_ARTIFACT = 6,
  QOPT_OUT_OF_RESOURCES = 7,
  QOPT_GATE_FAILED = 8,
  QOPT_CANCELLED = 9,
  QOPT_INTERNAL = 10,
  QOPT_UNWRITABLE = 11,
  QOPT_DEVICE_FAILED = 12
} qopt_status;

/* The message of this thread's last failed call; "" before the first. */
QOPT_C_API const char *qopt_last_error(void);
/* The release, "0.1.0". */
QOPT_C_API const char *qopt_version(void);

/* ---- Artifacts -------------------------------------------------------- */

typedef struct qopt_artifact qopt_artifact;

typedef enum qopt_open_flags {
  QOPT_OPEN_CHECKED = 0,
  QOPT_OPEN_TRUSTED = 1 /* leaves out the digests of weights and code */
} qopt_open_flags;

QOPT_C_API qopt_status qopt_artifact_open(const char *path, int flags,
                                          qopt_artifact **artifact);
QOPT_C_API void qopt_artifact_release(qopt_artifact *artifact);
/* The graphs of a model of several files; one of every other artifact. A name
 * lives as long as the artifact, and is NULL for an index beyond the last. */
QOPT_C_API size_t qopt_artifact_function_count(const qopt_artifact *artifact);
QOPT_C_API const char *
qopt_artifact_function_name(const qopt_artifact *artifact, size_t index);
/* A handle of its own for one of them, which shares what is open: its inputs,
 * outputs and sessions are that graph's. Those of several have none. */
QOPT_C_API qopt_status qopt_artifact_function(const qopt_artifact *artifact,
                                              const char *name,
                                              qopt_artifact **function);
/* 1: text is generated from it; 0: it runs on tensors. */
QOPT_C_API int qopt_artifact_is_decoder(const qopt_artifact *artifact);

/* What an input or output must be. `dimensions` are spelt as in the model
 * ("64", "batch"). Strings live as long as the artifact. */
typedef struct qopt_tensor_spec {
  size_t struct_size;
  const char *name;
  qopt_dtype dtype;
  size_t rank;
  const char *const *dimensions;
} qopt_tensor_spec;

QOPT_C_API size_t qopt_artifact_input_count(const qopt_artifact *artifact);
QOPT_C_API size_t qopt_artifact_output_count(const qopt_artifact *artifact);
QOPT_C_API qopt_status qopt_artifact_input(const qopt_artifact *artifact,
                                           size_t index,
                                           qopt_tensor_spec *spec);
QOPT_C_API qopt_status qopt_artifact_output(const qopt_artifact *artifact,
                                            size_t index,
                                            qopt_tensor_spec *spec);

/* Sizes of a decoder; zeros for a graph. */
typedef struct qopt_decoder_spec {
  size_t struct_size;
  int64_t layers;
  int64_t vocabulary;
  int64_t context;
  int64_t cache_bytes_per_token;
  int32_t begin_token; /* -1: none */
  int64_t source; /* of an encoder-decoder: positions of the longest; or 0 */
} qopt_decoder_spec;

QOPT_C_API qopt_status qopt_artifact_decoder(const qopt_artifact *artifact,
                                             qopt_decoder_spec *spec);

/* ---- Graphs ----------------------------------------------------------- */

/* A contiguous row-major tensor on the host. `data` may be NULL when the shape
 * has no elements. In an array all tensors have the same struct_size, which is
 * the distance from one to the next. `shape` is read only where `rank` is what
 * the model says of the name. */
typedef struct qopt_tensor {
  size_t struct_size;
  const char *name;
  qopt_dtype dtype;
  size_t rank;
  const int64_t *shape;
  void *data;
} qopt_tensor;

typedef struct qopt_session qopt_session;
typedef struct qopt_results qopt_results;

/* `threads` 0: one for each processor. `device`: as EngineOptions::device in
 * Engine.h says; NULL: what the artifact was compiled for. */
QOPT_C_API qopt_status qopt_session_create(const qopt_artifact *artifact,
                                           int threads, const char *device,
                                           qopt_session **session);
QOPT_C_API void qopt_session_release(qopt_session *session);

/* Inputs in any order, found by name. The results own their memory and outlive
 * the session. */
QOPT_C_API qopt_status qopt_session_run(qopt_session *session,
                                        const qopt_tensor *inputs,
                                        size_t input_count,
                                        qopt_results **results);
/* The same into memory of the caller, which names every output and has the
 * right shapes. */
QOPT_C_API qopt_status qopt_session_run_into(qopt_session *session,
                                             const qopt_tensor *inputs,
                                             size_t input_count,
                                             const qopt_tensor *outputs,
                                             size_t output_count);

QOPT_C_API size_t qopt_results_count(const qopt_results *results);
/* The tensor is valid as long as the results. */
QOPT_C_API qopt_status qopt_results_get(const qopt_results *results,
                                        size_t index, qopt_tensor *tensor);
QOPT_C_API void qopt_results_release(qopt_results *results);

/* ---- Text ------------------------------------------------------------- */

typedef struct qopt_engine qopt_engine;

typedef struct qopt_engine_options {
  size_t struct_size;
  int threads;          /* 0: one for each processor */
  const char *device;   /* as qopt_session_create has it */
  int64_t cache_tokens; /* 0: chosen */
  int64_t max_sequences;
  int64_t chunk_tokens;
  int64_t max_queue;
} qopt_engine_options;

/* ..._fill: for languages without this header; `size` is the struct's. */
QOPT_C_API qopt_status qopt_engine_options_fill(qopt_engine_options *options,
                                                size_t size);
static inline qopt_status
qopt_engine_options_defaults(qopt_engine_options *options) {
  return qopt_engine_options_fill(options, sizeof(qopt_engine_options));
}
/* `options` NULL: defaults. */
QOPT_C_API qopt_status qopt_engine_create(const qopt_artifact *artifact,
                                          const qopt_engine_options *options,
                                          qopt_engine **engine);
QOPT_C_API void qopt_engine_release(qopt_engine *engine);

/* Either `tokens` or `text` is given; text needs the artifact's tokenizer. */
typedef struct qopt_request {
  size_t struct_size;
  const int32_t *tokens;
  size_t token_count;
  const char *text;
  size_t text_size;
  int64_t max_tokens;
  float temperature; /* 0: greedy */
  int32_t top_k;     /* 0: all */
  float top_p;       /* 1: all */
  float min_p;       /* 0: all */
  float repetition_penalty;
  uint64_t seed;
  int ignore_end; /* not 0: go on after the model's end tokens */
  /* Of an encoder-decoder alone: what its encoder takes; copied. */
  const qopt_tensor *source;
  size_t source_count;
} qopt_request;

QOPT_C_API qopt_status qopt_request_fill(qopt_request *request, size_t size);
static inline qopt_status qopt_request_defaults(qopt_request *request) {
  return qopt_request_fill(request, sizeof(qopt_request));
}

typedef enum qopt_finish {
  QOPT_FINISH_NONE = 0,
  QOPT_FINISH_END_TOKEN = 1,
  QOPT_FINISH_LENGTH = 2,
  QOPT_FINISH_CONTEXT = 3,
  QOPT_FINISH_CANCELLED = 4,
  QOPT_FINISH_FAILED = 5
} qopt_finish;

/* Called with each new token and the text that became certain with it: whole
 * UTF-8 characters, not terminated, possibly empty. A last call with token -1
 * brings what is left of the text, if anything. Return 0 to stop. What a
 * callback throws ends the call with QOPT_INTERNAL. */
typedef int (*qopt_token_callback)(void *user, int32_t token, const char *text,
                                   size_t text_size);

typedef struct qopt_generation qopt_generation;

/* Runs one request to its end. `callback` and `generation` may be NULL. */
QOPT_C_API qopt_status qopt_engine_generate(qopt_engine *engine,
                                            const qopt_request *request,
                                            qopt_token_callback callback,
                                            void *user,
                                            qopt_generation **generation);
QOPT_C_API void qopt_generation_release(qopt_generation *generation);
QOPT_C_API const int32_t *
qopt_generation_tokens(const qopt_generation *generation, size_t *count);
/* Terminated; "" without a tokenizer. */
QOPT_C_API const char *qopt_generation_text(const qopt_generation *generation,
                                            size_t *size);
QOPT_C_API qopt_finish
qopt_generation_finish(const qopt_generation *generation);
QOPT_C_API size_t
qopt_generation_prompt_tokens(const qopt_generation *generation);
QOPT_C_API double
qopt_generation_prefill_seconds(const qopt_generation *generation);
QOPT_C_API double
qopt_generation_decode_seconds(const qopt_generation *generation);

/* Several requests at once: submit, then step until idle. Arrays of events are
 * the library's: this struct never changes. */
typedef struct qopt_event {
  uint64_t request;
  int32_t token; /* -1: none */
  qopt_finish finish;
} qopt_event;

QOPT_C_API qopt_status qopt_engine_submit(qopt_engine *engine,
                                          const qopt_request *request,
                                          uint64_t *id);
QOPT_C_API qopt_status qopt_engine_cancel(qopt_engine *engine, uint64_t id);
QOPT_C_API int qopt_engine_idle(const qopt_engine *engine);
/* One ragged step; `events` point into the engine until its next step. Where
 * one has failed, qopt_last_error() says why. */
QOPT_C_API qopt_status qopt_engine_step(qopt_engine *engine,
                                        const qopt_event **events,
                                        size_t *count);

/* The logits of every position, in chunks: `logits` [rows, vocabulary] for
 * positions first, first + 1, …  A callback that returns 0 stops with
 * QOPT_CANCELLED. */
typedef int (*qopt_logits_callback)(void *user, int64_t first,
                                    const float *logits, int64_t rows);
QOPT_C_API qopt_status qopt_engine_evaluate(qopt_engine *engine,
                                            const int32_t *tokens,
                                            size_t token_count,
                                            qopt_logits_callback callback,
                                            void *user);

/* Text to ids and back with the artifact's tokenizer; as a prompt, so neither
 * cut nor padded whatever the tokenizer's file says. Ids that the model lacks
 * are QOPT_INVALID_ARGUMENT; those that only the tokenizer lacks have no text.
 * Results belong to the engine until its next call of the same function. */
QOPT_C_API qopt_status qopt_engine_encode(qopt_engine *engine, const char *text,
                                          size_t text_size,
                                          const int32_t **tokens,
                                          size_t *count);
QOPT_C_API qopt_status qopt_engine_decode(qopt_engine *engine,
                                          const int32_t *tokens,
                                          size_t token_count, const char **text,
                                          size_t *text_size);

#ifdef __cplusplus
}
#endif

/* NOLINTEND(readability-identifier-naming) */
#endif /* QOPT_QOPT_H */
