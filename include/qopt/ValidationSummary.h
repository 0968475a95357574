// What a compilation measured of the model that it made, beside the unquantized
// one, and which of the limits that were asked for it meets.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_VALIDATIONSUMMARY_H
#define QOPT_VALIDATIONSUMMARY_H

#include <cstdint>
#include <string>
#include <vector>

namespace qopt {

/// A text that was measured on.
struct ValidationText {
  std::string name;
  std::string file;   ///< its name, without folders
  std::string sha256; ///< of its bytes
};

/// What was found on one text, or on all of them. The unquantized model is the
/// file's own weights with activations and cache in f32.
struct SliceSummary {
  std::string name; ///< "all", or that of the text
  int64_t windows = 0, predictions = 0;
  double perplexity = 0, referencePerplexity = 0;
  double perplexityIncrease = 0; ///< percent
  double divergence = 0;         ///< mean KL(unquantized || model) in nats
  /// Of its mean, drawn from windows; both are the mean where there is one.
  double divergenceLow = 0, divergenceHigh = 0;
  double divergence99 = 0, mostDivergence = 0; ///< 99 % of tokens, and all
  double sameTop = 0; ///< percent of tokens with the same first choice
};

/// What was found of one output of a graph, on the samples of one file or all.
struct OutputSummary {
  std::string slice; ///< "all", or the name of the samples
  std::string output;
  int64_t samples = 0;
  int64_t rows = 0; ///< of the output, of all samples
  /// Sum of the squares of its error, beside that of the unquantized model's
  /// output; the interval is drawn from samples.
  double error = 0, errorLow = 0, errorHigh = 0;
  /// Whether rows are predictions: the name has "logits". Else what follows
  /// are zeros; as of a slice, with rows for tokens.
  bool hasLogits = false;
  double divergence = 0, divergenceLow = 0, divergenceHigh = 0;
  double divergence99 = 0, mostDivergence = 0;
  double sameTop = 0;
};

/// One limit on one slice.
struct GateSummary {
  /// "max-kl", "max-perplexity-increase", "min-top1", "max-error"
  std::string option;
  std::string slice;
  double limit = 0, value = 0;
  std::string output = {}; ///< of a graph: the one that is limited

  bool isLeast() const { return option == "min-top1"; }
  /// A value that is no number misses every limit.
  bool isMet() const { return isLeast() ? value >= limit : value <= limit; }
};

struct ValidationSummary {
  std::string device; ///< what the model ran on, for people
  std::vector<ValidationText> texts;
  /// Of a decoder: all, then each text where there are two.
  std::vector<SliceSummary> slices;
  std::vector<OutputSummary> outputs; ///< the same of each output of a graph
  std::vector<GateSummary> gates;     ///< each on each slice
  uint64_t seed = 0;                  ///< of the intervals

  bool isMet() const {
    for (const GateSummary &gate : gates)
      if (!gate.isMet())
        return false;
    return true;
  }
};

} // namespace qopt

#endif // QOPT_VALIDATIONSUMMARY_H
