// What the command line of qopt-run asks for.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TOOLS_QOPTRUN_RUNOPTIONS_H
#define QOPT_TOOLS_QOPTRUN_RUNOPTIONS_H

#include "qopt/Sampling.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace qopt::run {

struct RunOptions {
  std::string device; ///< empty: what the artifact was compiled for
  std::string model;
  int threads = 0;
  bool trust = false;
  bool json = false;

  // Of a decoder.
  std::optional<std::string> prompt, promptFile, tokens;
  std::string tokenizer;
  int64_t maxTokens = 128;
  SamplingOptions sampling;
  bool sample = false; ///< what is not given is as the model's files say
  bool ignoreEnd = false;
  std::vector<std::string> textOptions; ///< the names of those that were given

  // Of a graph.
  std::string inputs, outputs;
  std::string function; ///< of several; empty: the only one

  std::string compare; ///< an artifact or a .npz file
  std::optional<double> tolerance;
};

} // namespace qopt::run

#endif // QOPT_TOOLS_QOPTRUN_RUNOPTIONS_H
