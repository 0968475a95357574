// Choosing the next token on the host.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "qopt/Sampling.h"

#include "runtime/Philox.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

namespace qopt {
namespace {

struct Candidate {
  double weight; ///< the logit first, then exp(logit - largest)
  int32_t token;
};

Status outOfRange(const char *option, const char *range, double value) {
  char text[120];
  std::snprintf(text, sizeof text, "%s must be %s, got %g", option, range,
                value);
  return Status(StatusCode::InvalidArgument, text);
}

/// The largest number; minus infinity when there is none. Sixteen running
/// maxima keep the loop free of dependences.
float largest(std::span<const float> logits) {
  constexpr size_t lanes = 16;
  float most[lanes];
  std::fill(most, most + lanes, -std::numeric_limits<float>::infinity());
  size_t i = 0;
  for (; i + lanes <= logits.size(); i += lanes)
    for (size_t lane = 0; lane < lanes; ++lane)
      most[lane] =
          logits[i + lane] > most[lane] ? logits[i + lane] : most[lane];
  for (; i < logits.size(); ++i)
    most[0] = logits[i] > most[0] ? logits[i] : most[0];
  return *std::max_element(most, most + lanes);
}

StatusOr<int32_t> greedy(std::span<const float> logits) {
  float most = largest(logits);
  auto found = std::find(logits.begin(), logits.end(), most);
  if (found == logits.end() || !std::isfinite(most))
    return Status(StatusCode::BadArtifact,
                  "the logits have no finite number; the artifact is damaged, "
                  "or the model or its quantization broken");
  return int32_t(found - logits.begin());
}

std::vector<float> penalise(std::span<const float> logits, float penalty,
                            std::span<const int32_t> seen) {
  std::vector<float> result(logits.begin(), logits.end());
  for (int32_t token : seen) {
    if (token < 0 || size_t(token) >= logits.size())
      continue;
    // From the original logit, so that a token seen twice is penalised once.
    float logit = logits[size_t(token)];
    result[size_t(token)] = logit > 0 ? logit / penalty : logit * penalty;
  }
  return result;
}

bool before(const Candidate &a, const Candidate &b) {
  return a.weight != b.weight ? a.weight > b.weight : a.token < b.token;
}

/// Tokens by falling weight exp((logit - most) / temperature); those below
/// e^-30 of the first cannot change a draw of 53 bits in any text of practical
/// length and are left out before the sort.
std::vector<Candidate> rank(std::span<const float> logits, float most,
                            float temperature) {
  constexpr double negligible = -30;
  std::vector<Candidate> candidates;
  float least = float(double(most) + negligible * double(temperature));
  for (size_t i = 0; i < logits.size(); ++i)
    if (logits[i] >= least)
      candidates.push_back({double(logits[i]), int32_t(i)});
  std::sort(candidates.begin(), candidates.end(), before);
  for (Candidate &candidate : candidates)
    candidate.weight =
        std::exp((candidate.weight - double(most)) / double(temperature));
  return candidates;
}

void keepTopP(std::vector<Candidate> &candidates, double p) {
  double total = 0, sum = 0;
  for (const Candidate &candidate : candidates)
    total += candidate.weight;
  size_t kept = 0;
  while (kept < candidates.size() && (kept == 0 || sum < p * total))
    sum += candidates[kept++].weight;
  candidates.resize(kept);
}

void keepMinP(std::vector<Candidate> &candidates, double p) {
  double least = p * candidates.front().weight;
  while (candidates.back().weight < least)
    candidates.pop_back();
}

} // namespace

Status checkSampling(const SamplingOptions &options) {
  if (!(options.temperature >= 0) || !std::isfinite(options.temperature))
    return outOfRange("--temperature", "0 (greedy) or above, and finite",
                      options.temperature);
  if (options.topK < 0)
    return outOfRange("--top-k", "0 (all tokens) or above", options.topK);
  if (!(options.topP > 0 && options.topP <= 1))
    return outOfRange("--top-p", "above 0 and at most 1", options.topP);
  if (!(options.minP >= 0 && options.minP <= 1))
    return outOfRange("--min-p", "between 0 and 1", options.minP);
  if (!(options.repetitionPenalty > 0) ||
      !std::isfinite(options.repetitionPenalty))
    return outOfRange("--repetition-penalty", "above 0 and finite",
                      options.repetitionPenalty);
  return {};
}

StatusOr<int32_t> sampleToken(std::span<const float> logits,
                              const SamplingOptions &options,
                              std::span<const int32_t> seen, uint64_t index) {
  std::vector<float> penalised;
  if (options.repetitionPenalty != 1) {
    penalised = penalise(logits, options.repetitionPenalty, seen);
    logits = penalised;
  }
  StatusOr<int32_t> best = greedy(logits);
  if (!best.ok() || options.temperature == 0 || options.topK == 1)
    return best;
  std::vector<Candidate> candidates =
      rank(logits, logits[size_t(*best)], options.temperature);
  if (options.topK > 0 && size_t(options.topK) < candidates.size())
    candidates.resize(size_t(options.topK));
  if (options.topP < 1)
    keepTopP(candidates, options.topP);
  if (options.minP > 0)
    keepMinP(candidates, options.minP);
  double total = 0;
  for (const Candidate &candidate : candidates)
    total += candidate.weight;
  double left = runtime::uniform(options.seed, index) * total;
  for (const Candidate &candidate : candidates) {
    left -= candidate.weight;
    if (left < 0)
      return candidate.token;
  }
  return candidates.back().token;
}

} // namespace qopt
