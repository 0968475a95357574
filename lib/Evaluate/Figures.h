// The figures of some positions of some windows: of all, or of a slice.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_EVALUATE_FIGURES_H
#define QOPT_LIB_EVALUATE_FIGURES_H

#include "lib/Evaluate/Positions.h"
#include "lib/Evaluate/Statistics.h"

#include <array>

namespace qopt::eval {

/// Predictions whose first choice has about the same probability.
struct CalibrationBin {
  double count = 0, confidence = 0,
         accuracy = 0; ///< means over `count`; 0 of 0
};

/// Bin b holds confidences c with floor(15 c) = b, the last one also c = 1.
/// The expected calibration error is the mean over predictions of
/// |accuracy - confidence| of their bin (Naeini et al. 2015, Guo et al. 2017).
struct Calibration {
  static constexpr size_t binCount = 15;
  Estimate error;
  std::array<CalibrationBin, binCount> bins;
};

/// Of the model, or of the reference. `nll` is the mean -log p of the tokens
/// after the first of each window, in nats; its exponential is the perplexity.
struct Prediction {
  Estimate nll;
  Calibration calibration;
};

/// Of the model beside the reference, over every position.
struct Agreement {
  Prediction reference;
  Estimate divergence; ///< KL(reference || model) in nats
  double median = 0, p99 = 0, p999 = 0, most = 0;
  Estimate sameTop; ///< share of positions with the same first choice, 0 to 1
  /// Root of the mean square of p_model - p_reference of the token that came.
  Estimate probabilityChange;
};

struct Figures {
  int64_t windows = 0, predictions = 0;
  Prediction model;
  std::optional<Agreement> agreement; ///< where there is a reference
};

/// Windows and positions in them, each from the first to before the last.
struct Region {
  int64_t firstWindow = 0, endWindow = 0, firstPosition = 0, endPosition = 0;
};

/// The region has a position that predicts. `seed` is of the intervals.
Figures measure(const PositionTable &table, const Region &region,
                uint64_t seed);

} // namespace qopt::eval

#endif // QOPT_LIB_EVALUATE_FIGURES_H
