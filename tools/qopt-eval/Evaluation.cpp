// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tools/qopt-eval/Evaluation.h"

#include "runtime/host/ThreadPool.h"
#include "tools/cli/Progress.h"
#include "tools/qopt-eval/LogitMetrics.h"

#include <atomic>
#include <chrono>

namespace qopt::eval {
namespace {

/// What one position gives.
struct Row {
  double nll = 0, referenceNll = 0, divergence = 0;
  bool sameTop = false;
};

class Evaluator {
public:
  Evaluator(Engine &engine, const EvaluationInputs &inputs)
      : engine(engine), inputs(inputs), pool(inputs.threads),
        vocabulary(engine.artifact().decoder().vocabulary),
        rows(size_t(inputs.windows.length())) {}

  Status addWindow(int64_t window);
  Evaluation result();

private:
  Status addRows(int64_t first, std::span<const float> logits);
  void sumUpWindow();
  Status notNumbers(StatusCode code, const std::string &whose,
                    int64_t position) const;

  Engine &engine;
  const EvaluationInputs &inputs;
  host::ThreadPool pool;
  int64_t vocabulary;
  int64_t current = 0;
  std::span<const float> expected; ///< of the current window
  std::vector<Row> rows;
  std::vector<double> nll, referenceNll, divergence, sameTop; ///< by window
  std::vector<float> divergences;                             ///< by position
};

Status Evaluator::addRows(int64_t first, std::span<const float> logits) {
  if (inputs.logits)
    QOPT_RETURN_IF_ERROR(
        inputs.logits->append({reinterpret_cast<const uint8_t *>(logits.data()),
                               logits.size_bytes()}));
  std::span<const int32_t> tokens = inputs.windows[current];
  std::atomic<int64_t> bad{-1}, badReference{-1};
  auto work = [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      auto position = size_t(first + i);
      auto width = size_t(vocabulary);
      std::span<const float> got = logits.subspan(size_t(i) * width, width);
      RowSummary summary = summarize(got);
      if (!summary.finite)
        bad = first + i;
      Row &row = rows[position] = Row();
      bool last = position + 1 == tokens.size();
      if (!last)
        row.nll = surprise(got, summary, tokens[position + 1]);
      if (expected.empty())
        continue;
      std::span<const float> want = expected.subspan(position * width, width);
      RowSummary reference = summarize(want);
      if (!reference.finite)
        badReference = first + i;
      if (!last)
        row.referenceNll = surprise(want, reference, tokens[position + 1]);
      row.divergence = eval::divergence(want, reference, got, summary);
      row.sameTop = summary.best == reference.best;
    }
  };
  pool.parallelFor(int64_t(logits.size()) / vocabulary, 1, work);
  if (badReference >= 0)
    return notNumbers(inputs.reference->brokenCode(), "the reference's logits",
                      badReference);
  if (bad >= 0)
    return notNumbers(StatusCode::BadArtifact, "the logits", bad);
  return {};
}

Status Evaluator::notNumbers(StatusCode code, const std::string &whose,
                             int64_t position) const {
  return {code, whose + " of position " + std::to_string(position) +
                    " in window " + std::to_string(current) +
                    " are not numbers"};
}

void Evaluator::sumUpWindow() {
  Row sum;
  double same = 0, positions = double(rows.size());
  for (const Row &row : rows) {
    sum.nll += row.nll;
    sum.referenceNll += row.referenceNll;
    sum.divergence += row.divergence;
    same += row.sameTop ? 1 : 0;
    if (!expected.empty())
      divergences.push_back(float(row.divergence));
  }
  nll.push_back(sum.nll / (positions - 1));
  if (expected.empty())
    return;
  referenceNll.push_back(sum.referenceNll / (positions - 1));
  divergence.push_back(sum.divergence / positions);
  sameTop.push_back(same / positions);
}

Status Evaluator::addWindow(int64_t window) {
  current = window;
  if (inputs.reference) {
    StatusOr<std::span<const float>> logits = inputs.reference->window(window);
    if (!logits.ok())
      return logits.status();
    expected = *logits;
  }
  QOPT_RETURN_IF_ERROR(engine.evaluate(
      inputs.windows[window],
      [&](int64_t first, std::span<const float> logits) {
        return addRows(first, logits);
      },
      inputs.chunk));
  sumUpWindow();
  return {};
}

Evaluation Evaluator::result() {
  Evaluation evaluation;
  evaluation.model.nll = bootstrap(nll, inputs.seed);
  if (!inputs.reference)
    return evaluation;
  Agreement &agreement = evaluation.agreement.emplace();
  agreement.reference.nll = bootstrap(referenceNll, inputs.seed);
  agreement.divergence = bootstrap(divergence, inputs.seed);
  agreement.sameTop = bootstrap(sameTop, inputs.seed);
  agreement.median = quantile(divergences, 0.5);
  agreement.p99 = quantile(divergences, 0.99);
  agreement.most = quantile(divergences, 1);
  return evaluation;
}

} // namespace

StatusOr<Evaluation> evaluate(Engine &engine, const EvaluationInputs &inputs) {
  auto start = std::chrono::steady_clock::now();
  Evaluator evaluator(engine, inputs);
  cli::Progress progress;
  for (int64_t i = 0; i < inputs.windows.count(); ++i) {
    progress.show("window " + std::to_string(i + 1) + " of " +
                      std::to_string(inputs.windows.count()),
                  double(i) / double(inputs.windows.count()));
    if (Status status = evaluator.addWindow(i); !status.ok())
      return status;
  }
  Evaluation evaluation = evaluator.result();
  std::chrono::duration<double> spent =
      std::chrono::steady_clock::now() - start;
  evaluation.seconds = spent.count();
  return evaluation;
}

} // namespace qopt::eval
