// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Evaluate/Evaluation.h"

#include <algorithm>
#include <chrono>

namespace qopt::eval {
namespace {

class Evaluator {
public:
  Evaluator(Engine &engine, const EvaluationInputs &inputs)
      : engine(engine), inputs(inputs), pool(inputs.threads),
        vocabulary(engine.artifact().decoder().vocabulary),
        table(inputs.windows.count(), inputs.windows.length(),
              inputs.reference != nullptr),
        floor(inputs.floorChunk ? inputs.windows.count() : 0,
              inputs.windows.length(), true) {}

  Status addWindow(int64_t window);
  Evaluation result() const;

private:
  Status runAgain(int64_t window);
  Slice slice(const std::string &name, const Region &region) const;

  Engine &engine;
  const EvaluationInputs &inputs;
  host::ThreadPool pool;
  int64_t vocabulary;
  std::vector<float> own; ///< logits of the window, for the second run
  PositionTable table, floor;
};

} // namespace

static Status notNumbers(StatusCode code, const std::string &whose,
                         int64_t position, int64_t window) {
  return {code, whose + " of position " + std::to_string(position) +
                    " in window " + std::to_string(window) +
                    " are not numbers"};
}

Status Evaluator::addWindow(int64_t window) {
  WindowRows rows{inputs.windows[window], {}, vocabulary, 0, {}};
  if (inputs.reference) {
    StatusOr<std::span<const float>> logits = inputs.reference->window(window);
    if (!logits.ok())
      return logits.status();
    rows.expected = *logits;
  }
  own.clear();
  auto judge = [&](int64_t first, std::span<const float> logits) -> Status {
    if (inputs.logits)
      QOPT_RETURN_IF_ERROR(inputs.logits(logits));
    if (inputs.floorChunk)
      own.insert(own.end(), logits.begin(), logits.end());
    rows.first = first;
    rows.logits = logits;
    BrokenRows broken = judgeRows(rows, table[window], pool);
    if (broken.reference >= 0)
      return notNumbers(inputs.reference->brokenCode(),
                        "the reference's logits", broken.reference, window);
    if (broken.model >= 0)
      return notNumbers(StatusCode::BadArtifact, "the logits", broken.model,
                        window);
    return {};
  };
  QOPT_RETURN_IF_ERROR(engine.evaluate(rows.tokens, judge, inputs.chunk));
  return inputs.floorChunk ? runAgain(window) : Status();
}

Status Evaluator::runAgain(int64_t window) {
  auto judge = [&](int64_t first, std::span<const float> logits) -> Status {
    BrokenRows broken =
        judgeRows({inputs.windows[window], own, vocabulary, first, logits},
                  floor[window], pool);
    if (broken.model >= 0)
      return notNumbers(StatusCode::BadArtifact, "the logits of the second run",
                        broken.model, window);
    return {};
  };
  return engine.evaluate(inputs.windows[window], judge, inputs.floorChunk);
}

Slice Evaluator::slice(const std::string &name, const Region &region) const {
  Slice slice{name, measure(table, region, inputs.seed), {}};
  if (inputs.floorChunk)
    slice.floor = measure(floor, region, inputs.seed);
  return slice;
}

/// From `first` to before the returned position; the last position of a window
/// predicts nothing, and goes with the one before it.
static int64_t endOfLengths(int64_t first, int64_t length) {
  int64_t end = first ? 4 * first : 16;
  return end >= length - 1 ? length : end;
}

Evaluation Evaluator::result() const {
  Evaluation evaluation;
  int64_t count = inputs.windows.count(), length = table.length;
  evaluation.all = slice("all", {0, count, 0, length});
  const std::vector<TextDomain> &domains = inputs.windows.domains();
  for (const TextDomain &domain : domains)
    if (domains.size() > 1)
      evaluation.domains.push_back(slice(
          domain.name, {domain.first, domain.first + domain.count, 0, length}));
  if (endOfLengths(0, length) == length)
    return evaluation;
  for (int64_t first = 0, end; first < length; first = end) {
    end = endOfLengths(first, length);
    evaluation.lengths.push_back(
        slice(std::to_string(first + 1) + "-" +
                  std::to_string(std::min(end, length - 1)),
              {0, count, first, end}));
  }
  return evaluation;
}

StatusOr<Evaluation> evaluate(Engine &engine, const EvaluationInputs &inputs) {
  auto start = std::chrono::steady_clock::now();
  Evaluator evaluator(engine, inputs);
  for (int64_t i = 0; i < inputs.windows.count(); ++i) {
    if (inputs.progress)
      inputs.progress(i);
    if (Status status = evaluator.addWindow(i); !status.ok())
      return status;
  }
  std::chrono::duration<double> spent =
      std::chrono::steady_clock::now() - start;
  Evaluation evaluation = evaluator.result();
  evaluation.seconds = spent.count();
  return evaluation;
}

} // namespace qopt::eval
