// The figures of an evaluation as text for people.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TOOLS_QOPTEVAL_PRINTEVALUATION_H
#define QOPT_TOOLS_QOPTEVAL_PRINTEVALUATION_H

#include "lib/Evaluate/Evaluation.h"
#include "tools/qopt-eval/Choices.h"
#include "tools/qopt-eval/Retrieval.h"

namespace qopt::eval {

/// The bounds in `format`; "" where there are none.
std::string spellInterval(const Estimate &estimate, const char *format,
                          double (*spelt)(double));

/// These print to standard output.
void print(const Evaluation &evaluation, const TokenWindows &windows);
void print(const ChoiceFigures &choices);
void print(const std::vector<RetrievalDepth> &depths);

} // namespace qopt::eval

#endif // QOPT_TOOLS_QOPTEVAL_PRINTEVALUATION_H
