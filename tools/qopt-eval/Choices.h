// Questions with several answers. An option's score is the mean log likelihood
// of its tokens behind the context; the model chooses the option with the
// largest one, of equal ones the first.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TOOLS_QOPTEVAL_CHOICES_H
#define QOPT_TOOLS_QOPTEVAL_CHOICES_H

#include "lib/Evaluate/Statistics.h"
#include "qopt/Tokenizer.h"
#include "tools/qopt-eval/Continuations.h"

#include <functional>
#include <string>

namespace qopt::eval {

struct Question {
  std::vector<Continuation> options;
  size_t answer = 0;
};

/// Opens the tokenizer at the first text that needs one.
using TokenizerSource = std::function<StatusOr<Tokenizer>()>;

/// One JSON object in each line of the file: {"context": …, "options": […],
/// "answer": index}; context and options are texts, or lists of token ids below
/// `decoder`'s vocabulary. An option's tokens are those of context and option
/// together, behind what these have in common with the context's own. Errors
/// name the line.
StatusOr<std::vector<Question>> readQuestions(const std::string &path,
                                              const Artifact &artifact,
                                              const TokenizerSource &tokenizer);

/// One side's choice in each question.
StatusOr<std::vector<size_t>> choose(Engine &engine, int64_t chunk,
                                     const std::vector<Question> &questions);

struct ChoiceAgreement {
  Estimate accuracy; ///< the reference's
  Estimate flips;    ///< share of questions that one side alone has right
  Estimate changes;  ///< share with another choice, right or wrong
};

struct ChoiceFigures {
  int64_t questions = 0;
  Estimate accuracy; ///< share that the model has right, 0 to 1
  std::optional<ChoiceAgreement> agreement, floor;
};

/// Of the model's choices; `reference` and the model's of a second run are
/// empty where there are none.
ChoiceFigures countChoices(const std::vector<Question> &questions,
                           const std::vector<size_t> &model,
                           const std::vector<size_t> &reference,
                           const std::vector<size_t> &again, uint64_t seed);

} // namespace qopt::eval

#endif // QOPT_TOOLS_QOPTEVAL_CHOICES_H
