// Admission, batch composition and the end of requests.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/Scheduler.h"

#include <algorithm>

namespace qopt::runtime {

/// Positions that a request may need: its last token is never fed back.
static int64_t positionsOf(const ActiveRequest &active) {
  return int64_t(active.request.prompt.size()) +
         std::max<int64_t>(active.limit, 1) - 1;
}

TokenChoice ActiveRequest::choice(int64_t vocabulary) {
  if (request.sampling.repetitionPenalty != 1) {
    seen.resize(size_t(vocabulary + 31) / 32);
    for (; seenCount < history.size(); ++seenCount) {
      auto token = uint32_t(history[seenCount]);
      seen[token / 32] |= 1u << token % 32;
    }
  }
  return {request.sampling, uint64_t(generated()), seen};
}

Status Scheduler::check(const Request &request) const {
  QOPT_RETURN_IF_ERROR(checkSampling(request.sampling));
  if (request.prompt.empty())
    return Status(StatusCode::InvalidArgument, "the prompt has no tokens");
  if (request.maxTokens < 1)
    return Status(StatusCode::InvalidArgument,
                  "--max-tokens must be 1 or above, got " +
                      std::to_string(request.maxTokens));
  if (int64_t(request.prompt.size()) > decoder.context())
    return Status(StatusCode::Infeasible,
                  "the prompt has " + std::to_string(request.prompt.size()) +
                      " tokens; the model's context is " +
                      std::to_string(decoder.context()) +
                      "; shorten the prompt");
  for (int32_t token : request.prompt)
    if (token < 0 || token >= decoder.vocabulary())
      return Status(StatusCode::InvalidArgument,
                    "the prompt's token " + std::to_string(token) +
                        " is outside the vocabulary of " +
                        std::to_string(decoder.vocabulary()));
  return {};
}

StatusOr<EncoderSource>
Scheduler::sourceOf(const std::vector<Tensor> &given) const {
  if (!decoder.longestSource())
    return given.empty()
               ? StatusOr<EncoderSource>(EncoderSource())
               : Status(StatusCode::InvalidArgument,
                        "there is a source, and the model has no encoder");
  if (given.empty())
    return Status(StatusCode::InvalidArgument,
                  "there is no source, and the model is an encoder-decoder; "
                  "give the encoder's inputs");
  std::vector<TensorView> views;
  for (const Tensor &tensor : given)
    views.push_back(tensor.view());
  StatusOr<GivenInputs> inputs = matchInputs(sources, views);
  if (!inputs.ok())
    return inputs.status();
  StatusOr<int64_t> length = decoder.sourceLength(inputs->sizes);
  if (!length.ok())
    return length.status();
  if (*length <= decoder.sourceTokens())
    return EncoderSource{std::move(*inputs), *length};
  return Status(StatusCode::Infeasible,
                "the source has " + std::to_string(*length) +
                    " positions and the cache room for " +
                    std::to_string(decoder.sourceTokens()) +
                    " of sources; ask for a larger cache");
}

StatusOr<RequestId> Scheduler::submit(Request request) {
  QOPT_RETURN_IF_ERROR(check(request));
  auto active = std::make_unique<ActiveRequest>();
  active->limit =
      std::min(request.maxTokens,
               decoder.context() - int64_t(request.prompt.size()) + 1);
  active->history = request.prompt;
  active->request = std::move(request);
  StatusOr<EncoderSource> source = sourceOf(active->request.source);
  if (!source.ok())
    return source.status();
  active->source = std::move(*source);
  int64_t positions = positionsOf(*active);
  int64_t cache = decoder.pages().pages() * decoder.page();
  if (positions > cache)
    return Status(StatusCode::Infeasible,
                  "the request may need " + std::to_string(positions) +
                      " positions and the cache has " + std::to_string(cache) +
                      "; ask for fewer tokens or a larger cache");
  if (int64_t(queue.size()) >= options.maxQueue)
    return Status(StatusCode::OutOfResources,
                  "the queue is full (" + std::to_string(options.maxQueue) +
                      " requests); try again later");
  active->id = nextId++;
  queue.push_back(std::move(active));
  return queue.back()->id;
}

Status Scheduler::cancel(RequestId id) {
  auto mark = [&](auto &requests) {
    for (auto &active : requests)
      if (active->id == id)
        return active->cancelled = true;
    return false;
  };
  if (mark(queue) || mark(running))
    return {};
  return Status(StatusCode::NotFound,
                "request " + std::to_string(id) + " is not queued or running");
}

void Scheduler::removeCancelled(std::vector<TokenEvent> &events) {
  auto remove = [&](auto &requests) {
    std::erase_if(requests, [&](std::unique_ptr<ActiveRequest> &active) {
      if (!active->cancelled)
        return false;
      decoder.close(active->sequence);
      events.push_back({active->id, -1, FinishReason::Cancelled, {}});
      return true;
    });
  };
  remove(queue);
  remove(running);
}

// In order: a large request is not overtaken by small ones for ever.
void Scheduler::admit() {
  while (!queue.empty() && int64_t(running.size()) < options.maxSequences &&
         decoder.open(queue.front()->sequence, positionsOf(*queue.front()),
                      queue.front()->source.length)) {
    running.push_back(std::move(queue.front()));
    queue.pop_front();
  }
}

std::vector<TokenSlice> Scheduler::schedule(std::vector<TokenEvent> &events) {
  removeCancelled(events);
  admit();
  std::vector<TokenSlice> slices;
  int64_t budget = options.chunkTokens;
  auto add = [&](ActiveRequest &active, int64_t most) {
    auto fed = size_t(active.sequence.length);
    int64_t count = std::min(int64_t(active.history.size() - fed), most);
    if (count <= 0)
      return;
    bool whole = fed + size_t(count) == active.history.size();
    slices.push_back({&active.sequence,
                      std::span(active.history).subspan(fed, size_t(count)),
                      whole ? LogitRows::Last : LogitRows::None});
    if (whole && decoder.choosesTokens())
      slices.back().choice = active.choice(decoder.vocabulary());
    budget -= count;
  };
  auto isDecoding = [](const ActiveRequest &active) {
    return int64_t(active.history.size()) - active.sequence.length == 1;
  };
  for (auto &active : running)
    if (isDecoding(*active))
      add(*active, 1);
  for (auto &active : running)
    if (!isDecoding(*active))
      add(*active, budget);
  return slices;
}

Scheduler::Requests::iterator Scheduler::ownerOf(const TokenSlice &slice) {
  return std::find_if(running.begin(), running.end(), [&](auto &active) {
    return &active->sequence == slice.sequence;
  });
}

Status Scheduler::encode(const TokenSlice &slice) {
  if (!decoder.longestSource() || slice.sequence->sourceLength)
    return {};
  return decoder.encode(*slice.sequence, (*ownerOf(slice))->source.inputs);
}

void Scheduler::end(const TokenSlice &slice, Status why,
                    std::vector<TokenEvent> &events) {
  auto owner = ownerOf(slice);
  events.push_back({(*owner)->id, -1, FinishReason::Failed, std::move(why)});
  decoder.close((*owner)->sequence);
  running.erase(owner);
}

FinishReason Scheduler::finishOf(const ActiveRequest &active) const {
  bool isEnd = std::find(endTokens.begin(), endTokens.end(),
                         active.history.back()) != endTokens.end();
  if (isEnd && !active.request.ignoreEnd)
    return FinishReason::EndToken;
  if (active.generated() == active.request.maxTokens)
    return FinishReason::Length;
  return active.generated() == active.limit ? FinishReason::Context
                                            : FinishReason::None;
}

void Scheduler::advance(std::span<const TokenSlice> slices,
                        std::span<const int32_t> tokens,
                        std::vector<TokenEvent> &events) {
  auto next = [&](const ActiveRequest &active,
                  size_t row) -> StatusOr<int32_t> {
    if (tokens[row] >= 0)
      return tokens[row];
    // The host's words for a row without a finite number.
    return sampleToken({}, active.request.sampling, {}, 0);
  };
  advanceWith(slices, next, events);
}

void Scheduler::advance(std::span<const TokenSlice> slices,
                        std::span<const float> logits,
                        std::vector<TokenEvent> &events) {
  auto vocabulary = size_t(decoder.vocabulary());
  auto next = [&](const ActiveRequest &active, size_t row) {
    return sampleToken(logits.subspan(row * vocabulary, vocabulary),
                       active.request.sampling, active.history,
                       uint64_t(active.generated()));
  };
  advanceWith(slices, next, events);
}

void Scheduler::advanceWith(std::span<const TokenSlice> slices,
                            const NextToken &next,
                            std::vector<TokenEvent> &events) {
  size_t row = 0;
  for (const TokenSlice &slice : slices) {
    if (slice.rows == LogitRows::None)
      continue;
    auto owner = ownerOf(slice);
    ActiveRequest &active = **owner;
    TokenEvent event;
    event.request = active.id;
    StatusOr<int32_t> token = next(active, row++);
    if (token.ok()) {
      event.token = *token;
      active.history.push_back(*token);
      event.finish = finishOf(active);
    } else {
      event.finish = FinishReason::Failed;
      event.status = token.status();
    }
    if (event.finish != FinishReason::None) {
      decoder.close(active.sequence);
      running.erase(owner);
    }
    events.push_back(std::move(event));
  }
}

void Scheduler::fail() {
  for (auto &active : running)
    decoder.close(active->sequence);
  running.clear();
}

} // namespace qopt::runtime
