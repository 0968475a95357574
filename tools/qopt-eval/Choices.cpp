// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tools/qopt-eval/Choices.h"

#include "tools/cli/Progress.h"
#include "tools/qopt-eval/Continuations.h"

#include <algorithm>

namespace qopt::eval {

StatusOr<std::vector<size_t>> choose(Engine &engine, int64_t chunk,
                                     const std::vector<Question> &questions) {
  cli::Progress progress;
  std::vector<size_t> chosen;
  for (const Question &question : questions) {
    progress.show("question " + std::to_string(chosen.size() + 1) + " of " +
                      std::to_string(questions.size()),
                  double(chosen.size()) / double(questions.size()));
    std::vector<double> scores;
    for (const Continuation &option : question.options) {
      StatusOr<std::vector<TokenScore>> tokens =
          scoreTokens(engine, option, chunk);
      if (!tokens.ok())
        return tokens.status();
      double sum = 0;
      for (const TokenScore &token : *tokens)
        sum -= token.nll;
      scores.push_back(sum / double(tokens->size()));
    }
    chosen.push_back(size_t(std::max_element(scores.begin(), scores.end()) -
                            scores.begin()));
  }
  return chosen;
}

namespace {
enum Column : size_t { Right, OtherRight, Flips, Changes, Count, Columns };
} // namespace

static UnitSums countQuestions(const std::vector<Question> &questions,
                               const std::vector<size_t> &model,
                               const std::vector<size_t> &other) {
  UnitSums sums(Columns);
  for (size_t i = 0; i < questions.size(); ++i) {
    std::span<double> unit = sums.addUnit();
    bool right = model[i] == questions[i].answer;
    bool otherRight = other[i] == questions[i].answer;
    unit[Right] = right;
    unit[OtherRight] = otherRight;
    unit[Flips] = right != otherRight;
    unit[Changes] = model[i] != other[i];
    unit[Count] = 1;
  }
  return sums;
}

ChoiceFigures countChoices(const std::vector<Question> &questions,
                           const std::vector<size_t> &model,
                           const std::vector<size_t> &reference,
                           const std::vector<size_t> &again, uint64_t seed) {
  auto share = [](size_t column) {
    return [=](std::span<const double> totals) {
      return totals[column] / totals[Count];
    };
  };
  const std::vector<Statistic> statistics = {share(Right), share(OtherRight),
                                             share(Flips), share(Changes)};
  auto estimates = [&](const std::vector<size_t> &other) {
    return bootstrap(countQuestions(questions, model, other), statistics, seed);
  };
  auto beside = [&](const std::vector<size_t> &other) {
    std::optional<ChoiceAgreement> agreement;
    if (other.empty())
      return agreement;
    std::vector<Estimate> found = estimates(other);
    agreement = {found[1], found[2], found[3]};
    return agreement;
  };
  return {int64_t(questions.size()), estimates(model)[0], beside(reference),
          beside(again)};
}

} // namespace qopt::eval
