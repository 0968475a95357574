// Who gets tokens in the next step: requests wait in order, are admitted when
// all pages they may need are free, and share each step, one token for those
// that generate, the rest of the budget for prompts. Not thread-safe;
// Engine.cpp locks.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_SCHEDULER_H
#define QOPT_RUNTIME_SCHEDULER_H

#include "qopt/Engine.h"
#include "runtime/RaggedDecoder.h"

#include <deque>
#include <functional>
#include <memory>
#include <vector>

namespace qopt::runtime {

/// What an encoder takes of a request, and the positions that it makes of it.
struct EncoderSource {
  GivenInputs inputs;
  int64_t length = 0; ///< 0: there is no encoder
};

/// A request from submission to its end.
struct ActiveRequest {
  RequestId id = 0;
  Request request;
  std::vector<int32_t> history; ///< prompt and new tokens
  EncoderSource source;         ///< that points into request.source
  int64_t limit = 0;            ///< new tokens that context and request allow
  bool cancelled = false;
  CachedSequence sequence;
  std::vector<uint32_t> seen; ///< bits of the first `seenCount` of `history`
  size_t seenCount = 0;

  int64_t generated() const {
    return int64_t(history.size() - request.prompt.size());
  }
  /// How a decoder that chooses tokens is to choose the next one.
  TokenChoice choice(int64_t vocabulary);
};

class Scheduler {
public:
  Scheduler(RaggedDecoder &decoder, const EngineOptions &options,
            std::vector<int32_t> endTokens, std::vector<TensorSpec> sources)
      : decoder(decoder), options(options), endTokens(std::move(endTokens)),
        sources(std::move(sources)) {}

  StatusOr<RequestId> submit(Request request);
  /// A request's source, matched with what the encoder takes. InvalidArgument
  /// where a model with an encoder has none, or one without has one.
  StatusOr<EncoderSource> sourceOf(const std::vector<Tensor> &given) const;
  Status cancel(RequestId id);
  bool idle() const { return queue.empty() && running.empty(); }

  /// Ends cancelled requests (into `events`), admits, and returns the slices of
  /// the next step.
  std::vector<TokenSlice> schedule(std::vector<TokenEvent> &events);
  /// Encodes the source of a slice's sequence, where it has one that is not. A
  /// failure is that request's alone: see end.
  Status encode(const TokenSlice &slice);
  /// Ends the slice's request with Failed.
  void end(const TokenSlice &slice, Status why,
           std::vector<TokenEvent> &events);
  /// Takes the step's tokens, or samples them from its logits, and ends what is
  /// finished.
  void advance(std::span<const TokenSlice> slices,
               std::span<const int32_t> tokens,
               std::vector<TokenEvent> &events);
  void advance(std::span<const TokenSlice> slices,
               std::span<const float> logits, std::vector<TokenEvent> &events);
  /// Ends every running request with Failed.
  void fail();

private:
  using Requests = std::vector<std::unique_ptr<ActiveRequest>>;
  Status check(const Request &request) const;
  /// The running request that a slice is of.
  Requests::iterator ownerOf(const TokenSlice &slice);
  void removeCancelled(std::vector<TokenEvent> &events);
  void admit();
  FinishReason finishOf(const ActiveRequest &active) const;
  using NextToken =
      std::function<StatusOr<int32_t>(const ActiveRequest &active, size_t row)>;
  void advanceWith(std::span<const TokenSlice> slices, const NextToken &next,
                   std::vector<TokenEvent> &events);

  RaggedDecoder &decoder;
  EngineOptions options;
  std::vector<int32_t> endTokens;
  RequestId nextId = 1;
  std::deque<std::unique_ptr<ActiveRequest>> queue;
  std::vector<TensorSpec> sources; ///< what an encoder takes
  Requests running;                ///< in order of admission
};

} // namespace qopt::runtime

#endif // QOPT_RUNTIME_SCHEDULER_H
