// Serves a decoder artifact: several requests at once in one ragged step, long
// prompts in chunks, a paged KV cache. A request that was admitted has its
// pages and runs to its end; one that can never fit is refused when it is
// submitted, one that must wait waits in a bounded queue. Steps run on the
// caller's thread; submit and cancel may come from any other.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_ENGINE_H
#define QOPT_ENGINE_H

#include "qopt/Artifact.h"
#include "qopt/Export.h"
#include "qopt/Sampling.h"
#include "qopt/Status.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace qopt {

struct EngineOptions {
  int threads = 0; ///< 0: one for each processor of this process
  /// "host", "cuda", "cuda:N", "emulator" or "emulator,schedules=N"; empty:
  /// what the artifact was compiled for. "cuda,synchronous" and
  /// "cuda:N,synchronous" wait for each launch, so that a failure names its
  /// kernel.
  std::string device = {};
  /// Positions of the KV cache, all sequences together; 0: room for
  /// `maxSequences` full contexts, up to 1 GiB, but at least one. Memory is
  /// taken from the system as positions are used.
  int64_t cacheTokens = 0;
  int64_t maxSequences = 16; ///< that run at once
  int64_t chunkTokens =
      512;                ///< tokens of one step; longer prompts take several
  int64_t maxQueue = 256; ///< requests that wait
};

struct Request {
  std::vector<int32_t> prompt; ///< at least one token
  int64_t maxTokens = 128;     ///< new tokens
  SamplingOptions sampling;
  bool ignoreEnd = false; ///< go on after the model's end tokens
  /// Of an encoder-decoder what it encodes: Artifact::inputs, by name, of one
  /// sequence. Empty of every other decoder.
  std::vector<Tensor> source = {};
};

using RequestId = uint64_t;

enum class FinishReason : uint8_t {
  None = 0, ///< not finished
  EndToken, ///< the model said so; the token is the last of the result
  Length,   ///< maxTokens
  Context,  ///< the model's context is full
  Cancelled,
  Failed, ///< see the status
};

/// What one step did for one request.
struct TokenEvent {
  RequestId request = 0;
  int32_t token = -1; ///< -1: none (cancelled or failed)
  FinishReason finish = FinishReason::None;
  Status status;
};

struct GenerateResult {
  std::vector<int32_t> tokens; ///< the new ones
  FinishReason finish = FinishReason::None;
  double prefillSeconds = 0; ///< up to the first new token
  double decodeSeconds = 0;  ///< of the others
};

/// Called with each new token; false stops.
using TokenCallback = std::function<bool(int32_t token)>;

/// Called with logits [rows, vocabulary] of the positions first, first + 1, …;
/// an error stops and is returned.
using LogitsCallback =
    std::function<Status(int64_t first, std::span<const float> logits)>;

/// A value that a step of the artifact has written, for comparisons.
struct StepValue {
  std::string origin; ///< the node or layer of the model
  std::string kernel; ///< as qopt-inspect --plan calls it, "rms_norm"
  int64_t rows = 0, columns = 0;
  std::span<const float> values; ///< [rows, columns]; of codes, what they mean
};

/// Called with each value in the order of execution; an error stops and is
/// returned.
using ValueCallback = std::function<Status(const StepValue &value)>;

class QOPT_API Engine {
public:
  /// InvalidArgument for a graph artifact (Session.h runs these) or an option
  /// out of range.
  static StatusOr<std::unique_ptr<Engine>>
  create(std::shared_ptr<const Artifact> artifact,
         const EngineOptions &options = {});
  ~Engine();

  const Artifact &artifact() const;

  /// Infeasible: the prompt is longer than the context or can never fit into
  /// the cache. OutOfResources: the queue is full.
  StatusOr<RequestId> submit(Request request);
  /// The next step ends the request and frees its pages. NotFound when it is
  /// not queued or running.
  Status cancel(RequestId request);
  /// Whether no request is queued or running.
  bool idle() const;
  /// One ragged step: admits what fits, extends every running request. An error
  /// ended all requests of the step.
  StatusOr<std::vector<TokenEvent>> step();

  /// Submits and steps until the request is done; the engine must be idle.
  StatusOr<GenerateResult> generate(Request request,
                                    const TokenCallback &callback = {});

  /// The logits of every position of `tokens`, in chunks of at most `chunk` (0:
  /// chosen so that logits take 16 MB). For perplexity and comparisons; leaves
  /// no trace in the cache. `source`: as a request has it.
  Status evaluate(std::span<const int32_t> tokens,
                  const LogitsCallback &callback, int64_t chunk = 0,
                  const std::vector<Tensor> &source = {});

  /// The floating-point values that the steps of one evaluation write: of all
  /// positions of `tokens` at once, which fit one step. Unsupported on a device
  /// that is no host.
  Status probe(std::span<const int32_t> tokens, const ValueCallback &callback);

  /// Positions of the cache, and those neither used nor promised.
  int64_t cacheTokens() const;
  int64_t freeCacheTokens() const;
  /// Bytes of working memory beyond the mapped artifact and the cache.
  size_t memory() const;
  /// Bytes of the cache that are used or promised.
  size_t cacheMemory() const;

private:
  class QOPT_LOCAL Implementation;
  explicit Engine(std::unique_ptr<Implementation> implementation);
  std::unique_ptr<Implementation> implementation;
};

} // namespace qopt

#endif // QOPT_ENGINE_H
