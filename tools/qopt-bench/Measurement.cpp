// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tools/qopt-bench/Measurement.h"

#include "tools/cli/Progress.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <random>

namespace qopt::bench {

using Clock = std::chrono::steady_clock;

static double secondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// The value below which a share `q` of them lies.
static double quantile(std::vector<double> values, double q) {
  if (values.empty())
    return 0;
  std::sort(values.begin(), values.end());
  auto index = size_t(std::ceil(q * double(values.size())));
  return values[std::clamp<size_t>(index, 1, values.size()) - 1];
}

static Speed summarize(std::vector<double> repeats,
                       const std::vector<double> &times) {
  Speed speed;
  speed.tokensPerSecond = quantile(repeats, 0.5);
  speed.repeats = std::move(repeats);
  speed.times = {quantile(times, 0.5), quantile(times, 0.9),
                 quantile(times, 0.99)};
  return speed;
}

static std::vector<int32_t> randomTokens(std::mt19937_64 &random, int64_t count,
                                         int64_t vocabulary) {
  std::vector<int32_t> tokens;
  for (int64_t i = 0; i < count; ++i)
    tokens.push_back(int32_t((random() >> 32) * uint64_t(vocabulary) >> 32));
  return tokens;
}

/// Submits the batch; each sequence will write `tokens` tokens.
static Status submitBatch(Engine &engine, const Workload &workload,
                          std::mt19937_64 &random, int64_t prompt,
                          int64_t tokens) {
  for (int64_t i = 0; i < workload.batch; ++i) {
    Request request;
    request.prompt =
        randomTokens(random, prompt, engine.artifact().decoder().vocabulary);
    request.maxTokens = tokens;
    request.ignoreEnd = true;
    StatusOr<RequestId> id = engine.submit(std::move(request));
    if (!id.ok())
      return id.status();
  }
  return {};
}

/// One step; adds the tokens it wrote to `written`.
static Status stepOnce(Engine &engine, int64_t &written) {
  StatusOr<std::vector<TokenEvent>> events = engine.step();
  if (!events.ok())
    return events.status();
  for (const TokenEvent &event : *events) {
    if (!event.status.ok())
      return event.status;
    written += event.token >= 0 ? 1 : 0;
  }
  return {};
}

StatusOr<Speed> measurePrefill(Engine &engine, const Workload &workload) {
  std::mt19937_64 random(workload.seed);
  std::vector<double> repeats, times;
  cli::Progress progress;
  for (int64_t repeat = -1; repeat < workload.repeats; ++repeat) {
    progress.show("prefill " + std::to_string(repeat + 1));
    Clock::time_point start = Clock::now();
    if (Status status =
            submitBatch(engine, workload, random, workload.prompt, 1);
        !status.ok())
      return status;
    for (int64_t written = 0; written < workload.batch;)
      if (Status status = stepOnce(engine, written); !status.ok())
        return status;
    double spent = secondsSince(start);
    if (repeat < 0)
      continue;
    times.push_back(spent);
    repeats.push_back(double(workload.batch * workload.prompt) / spent);
  }
  return summarize(std::move(repeats), times);
}

StatusOr<Speed> measureDecode(Engine &engine, const Workload &workload) {
  std::mt19937_64 random(workload.seed);
  std::vector<double> repeats, times;
  cli::Progress progress;
  for (int64_t repeat = -1; repeat < workload.repeats; ++repeat) {
    progress.show("decode " + std::to_string(repeat + 1));
    // The prompt's step writes a token too, at position `context`.
    if (Status status = submitBatch(engine, workload, random, workload.context,
                                    workload.tokens + 1);
        !status.ok())
      return status;
    int64_t written = 0;
    while (written < workload.batch)
      if (Status status = stepOnce(engine, written); !status.ok())
        return status;
    int64_t before = written;
    Clock::time_point start = Clock::now(), last = start;
    while (!engine.idle()) {
      if (Status status = stepOnce(engine, written); !status.ok())
        return status;
      Clock::time_point now = Clock::now();
      if (repeat >= 0)
        times.push_back(std::chrono::duration<double>(now - last).count());
      last = now;
    }
    if (repeat >= 0)
      repeats.push_back(double(written - before) / secondsSince(start));
  }
  return summarize(std::move(repeats), times);
}

} // namespace qopt::bench
