// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tools/qopt-eval/Retrieval.h"

#include "tools/cli/Progress.h"

#include <cmath>

namespace qopt::eval {

static constexpr int64_t keyLength = 4, valueLength = 4,
                         needleLength = keyLength + valueLength,
                         shortestWindow = 32;

/// Of a window's length.
static Continuation prompt(const TokenWindows &windows, int64_t window,
                           std::optional<int> percent) {
  int64_t length = windows.length();
  std::span<const int32_t> hay = windows[window];
  std::span<const int32_t> needle =
      windows[(window + 1) % windows.count()].subspan(size_t(length / 2),
                                                      needleLength);
  Continuation text;
  auto add = [&](std::span<const int32_t> tokens) {
    text.tokens.insert(text.tokens.end(), tokens.begin(), tokens.end());
  };
  if (percent) {
    int64_t before = (length - 2 * needleLength) * *percent / 100;
    add(hay.first(size_t(before)));
    add(needle);
    add(hay.subspan(size_t(before),
                    size_t(length - 2 * needleLength - before)));
  } else {
    add(hay.first(size_t(length - needleLength)));
  }
  add(needle);
  text.first = length - valueLength;
  return text;
}

namespace {

enum SideColumn : size_t { Probability, Rank, Found, SideColumns };
enum Column : size_t {
  Count,
  Change,
  Model,
  Other = Model + SideColumns,
  Columns = Other + SideColumns
};

/// The scores of each window's value.
using Scores = std::vector<std::vector<TokenScore>>;

class Retriever {
public:
  Retriever(Engine &engine, const RetrievalInputs &inputs)
      : engine(engine), inputs(inputs) {}
  StatusOr<RetrievalDepth> measure(std::optional<int> percent);

private:
  StatusOr<Scores> score(Engine &side, int64_t chunk,
                         std::optional<int> percent);
  std::vector<Estimate> estimate(const Scores &model,
                                 const Scores &other) const;
  Status measureBeside(Engine &side, int64_t chunk, const Scores &model,
                       std::optional<int> percent,
                       std::optional<RetrievalAgreement> &result);

  Engine &engine;
  const RetrievalInputs &inputs;
  cli::Progress progress;
};

} // namespace

StatusOr<Scores> Retriever::score(Engine &side, int64_t chunk,
                                  std::optional<int> percent) {
  Scores scores;
  int64_t count = inputs.windows.count();
  for (int64_t i = 0; i < count; ++i) {
    progress.show(percent ? "needles at " + std::to_string(*percent) + " %"
                          : "no needles",
                  double(i) / double(count));
    StatusOr<std::vector<TokenScore>> found =
        scoreTokens(side, prompt(inputs.windows, i, percent), chunk);
    if (!found.ok())
      return found.status();
    scores.push_back(std::move(*found));
  }
  return scores;
}

static void add(std::span<double> sums, const TokenScore &score) {
  sums[Probability] += std::exp(-score.nll);
  sums[Rank] += double(score.rank);
  sums[Found] += score.rank == 1 ? 1 : 0;
}

std::vector<Estimate> Retriever::estimate(const Scores &model,
                                          const Scores &other) const {
  UnitSums sums(Columns);
  for (size_t i = 0; i < model.size(); ++i) {
    std::span<double> unit = sums.addUnit();
    for (size_t at = 0; at < model[i].size(); ++at) {
      unit[Count] += 1;
      unit[Change] += std::exp(-model[i][at].nll) - std::exp(-other[i][at].nll);
      add(unit.subspan(Model, SideColumns), model[i][at]);
      add(unit.subspan(Other, SideColumns), other[i][at]);
    }
  }
  std::vector<Statistic> means;
  for (size_t column = Change; column < Columns; ++column)
    means.push_back([=](std::span<const double> totals) {
      return totals[column] / totals[Count];
    });
  return bootstrap(sums, means, inputs.seed);
}

static RetrievalSide sideAt(const std::vector<Estimate> &estimates,
                            size_t column) {
  size_t first = column - Change;
  return {estimates[first + Probability], estimates[first + Rank],
          estimates[first + Found]};
}

Status Retriever::measureBeside(Engine &side, int64_t chunk,
                                const Scores &model, std::optional<int> percent,
                                std::optional<RetrievalAgreement> &result) {
  StatusOr<Scores> scores = score(side, chunk, percent);
  if (!scores.ok())
    return scores.status();
  std::vector<Estimate> found = estimate(model, *scores);
  result = {sideAt(found, Other), found[0]};
  return {};
}

StatusOr<RetrievalDepth> Retriever::measure(std::optional<int> percent) {
  StatusOr<Scores> model = score(engine, inputs.chunk, percent);
  if (!model.ok())
    return model.status();
  RetrievalDepth depth{
      percent, sideAt(estimate(*model, *model), Model), {}, {}};
  Status status;
  if (inputs.reference)
    status =
        measureBeside(*inputs.reference, 0, *model, percent, depth.reference);
  if (status.ok() && inputs.floorChunk)
    status =
        measureBeside(engine, inputs.floorChunk, *model, percent, depth.floor);
  if (!status.ok())
    return status;
  return depth;
}

StatusOr<std::vector<RetrievalDepth>> retrieve(Engine &engine,
                                               const RetrievalInputs &inputs) {
  const TokenWindows &windows = inputs.windows;
  if (windows.count() < 2 || windows.length() < shortestWindow)
    return Status(StatusCode::Infeasible,
                  "--retrieval hides tokens of one window in another; expected "
                  "two windows or more, of " +
                      std::to_string(shortestWindow) + " tokens or more, got " +
                      std::to_string(windows.count()) + " of " +
                      std::to_string(windows.length()));
  Retriever retriever(engine, inputs);
  std::vector<RetrievalDepth> depths;
  for (std::optional<int> percent :
       std::initializer_list<std::optional<int>>{10, 30, 50, 70, 90, {}}) {
    StatusOr<RetrievalDepth> depth = retriever.measure(percent);
    if (!depth.ok())
      return depth.status();
    depths.push_back(*depth);
  }
  return depths;
}

} // namespace qopt::eval
