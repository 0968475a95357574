// The GPU kernels of a compilation: what each is, what the assembler made of it
// and what a launch is predicted to take, with the reasons.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_KERNELSUMMARY_H
#define QOPT_KERNELSUMMARY_H

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace qopt {

/// What equal launches add to a term of a step.
struct PredictedPart {
  int64_t launches = 0;
  double seconds = 0; ///< of one
  std::string why;    ///< the sizes of one, and the figure that it rests on
};

/// A summand of a predicted time and the figure that it rests on.
struct PredictedTerm {
  std::string name;
  double seconds = 0;
  std::string why;
  std::vector<PredictedPart> parts = {}; ///< of a step, the longest first
};

/// A sum of terms. Nothing of it is measured where it stands: the terms name
/// what was measured, published or derived.
struct Prediction {
  double seconds = 0;
  double bytes = 0, flops = 0; ///< read and written; padding included
  double roofPart = 0; ///< what must be read at the memory's roof / seconds
  std::vector<PredictedTerm> terms;
};

/// One kernel for one architecture.
struct KernelSummary {
  std::string architecture; ///< sm_90a
  std::string symbol, family;
  std::string schedule; ///< "grid=132,slices=4", as qopt-kernel takes it
  std::string why;      ///< why that schedule
  int64_t most = 0;     ///< tokens of a launch it serves at most; 0: any number
  int64_t least = 0;    ///< tokens of the shortest step that launches it
  int64_t launches = 0; ///< in a step of `least` tokens
  int64_t threads = 0;  ///< of a block
  int64_t sharedBytes = 0; ///< of a block, static and dynamic
  int64_t registers = 0;   ///< of a thread; 0: there was no assembler
  int64_t codeBytes = 0;   ///< 0: there was no assembler
  int64_t tokens = 1;      ///< of the launch that is predicted
  Prediction predicted;
};

/// All that is launched for a step.
struct StepLaunches {
  int64_t launches = 0;
  Prediction predicted; ///< a term is the sum of the kernels' of its name
};

/// Each of some sequences decodes one token.
struct StepSummary {
  /// sm_90a, H200 SXM; of a host the name of its rates, and the processor.
  std::string architecture, part;
  std::string digest;    ///< of a host: SHA-256 of its rates, 64 digits
  int64_t sequences = 1; ///< of the batch
  int64_t context = 0;   ///< positions of each
  StepLaunches greedy; ///< the token has the largest logit, or the host has it
  /// The token is drawn instead, under every option of SamplingOptions; nothing
  /// where the host chooses tokens.
  std::optional<StepLaunches> sampling;
};

} // namespace qopt

#endif // QOPT_KERNELSUMMARY_H
