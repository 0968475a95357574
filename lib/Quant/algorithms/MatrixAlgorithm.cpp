// The table of algorithms on whole matrices, and the choice among results.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Quant/algorithms/MatrixAlgorithm.h"
#include "lib/Quant/algorithms/CodeBook.h"
#include "lib/Quant/algorithms/FeedbackRounding.h"
#include "lib/Quant/algorithms/GridSearch.h"
#include "lib/Quant/algorithms/HalfQuadratic.h"
#include "lib/Quant/algorithms/Refinement.h"

namespace qopt::quant {

/// Weights to the nearest number of a grid, where there is one.
static StatusOr<QuantizedMatrix> roundTo(StatusOr<Grid> grid,
                                         const MatrixView &weights) {
  QOPT_RETURN_IF_ERROR(grid.status());
  return roundToGrid(std::move(*grid), weights);
}

static StatusOr<QuantizedMatrix> roundCovering(const GridShape &shape,
                                               const MatrixView &weights,
                                               const Metric &, Effort) {
  return roundTo(coveringGrid(shape, weights), weights);
}

/// The grid with the least error under `costs`, of a code book that is fitted.
static StatusOr<Grid> chooseGrid(const GridShape &shape,
                                 const MatrixView &weights,
                                 const std::vector<float> &costs,
                                 unsigned threads) {
  auto fitted = fitCodeBook(shape, weights, costs, threads);
  QOPT_RETURN_IF_ERROR(fitted.status());
  return searchGrid(*fitted, weights, costs,
                    RangeSteps::forLevels(fitted->levels), threads);
}

static StatusOr<QuantizedMatrix> roundSearched(const GridShape &shape,
                                               const MatrixView &weights,
                                               const Metric &metric,
                                               Effort effort) {
  return roundTo(chooseGrid(shape, weights,
                            inputDiagonal(metric, weights.columns),
                            effort.threads),
                 weights);
}

static StatusOr<QuantizedMatrix> roundHalfQuadratic(const GridShape &shape,
                                                    const MatrixView &weights,
                                                    const Metric &,
                                                    Effort effort) {
  return roundTo(halfQuadraticGrid(shape, weights, effort.threads), weights);
}

static StatusOr<QuantizedMatrix> roundKronecker(const GridShape &shape,
                                                const MatrixView &weights,
                                                const Metric &metric,
                                                Effort effort) {
  auto factors = factorMetric(metric, weights, usualDamping, effort.threads);
  QOPT_RETURN_IF_ERROR(factors.status());
  auto grid = chooseGrid(shape, weights, columnCosts(*factors), effort.threads);
  QOPT_RETURN_IF_ERROR(grid.status());
  QuantizedMatrix matrix =
      roundWithFeedback(std::move(*grid), weights, *factors, effort.threads);
  // Descent follows noise further than rounding does: more damping than there.
  DampedMetric damped(metric, weights, {0.05f, 0.3f});
  std::vector<Refine> passes;
  for (int round = 0; round < effort.refinements; ++round)
    passes.insert(passes.end(), {Refine::Scales, Refine::Numbers});
  refine(matrix, weights, damped.metric(), passes, effort.threads);
  return matrix;
}

static StatusOr<QuantizedMatrix> roundGptq(const GridShape &shape,
                                           const MatrixView &weights,
                                           const Metric &metric,
                                           Effort effort) {
  return roundKronecker(shape, weights,
                        {metric.inputMoment, metric.inputDiagonal, nullptr},
                        effort);
}

static constexpr MatrixAlgorithm algorithms[] = {{"rtn", roundCovering},
                                                 {"clip", roundSearched},
                                                 {"hqq", roundHalfQuadratic},
                                                 {"gptq", roundGptq},
                                                 {"kronecker", roundKronecker}};

const MatrixAlgorithm *findMatrixAlgorithm(std::string_view name) {
  for (const MatrixAlgorithm &algorithm : algorithms)
    if (algorithm.name == name)
      return &algorithm;
  return nullptr;
}

std::string matrixAlgorithmNames() {
  std::string names;
  for (const MatrixAlgorithm &algorithm : algorithms)
    names += (names.empty() ? "" : ", ") + std::string(algorithm.name);
  return names;
}

StatusOr<QuantizedMatrix> quantizeMatrix(const MatrixAlgorithm &algorithm,
                                         const GridShape &shape,
                                         const MatrixView &weights,
                                         const Metric &metric, Effort effort) {
  QOPT_RETURN_IF_ERROR(checkMetric(metric, weights));
  return algorithm.quantize(shape, weights, metric, effort);
}

StatusOr<Choice> chooseCandidate(const GridShape &shape,
                                 const MatrixView &weights,
                                 std::vector<Candidate> candidates,
                                 const Metric &heldOut, unsigned threads) {
  QOPT_RETURN_IF_ERROR(checkMetric(heldOut, weights));
  auto nearest = roundCovering(shape, weights, heldOut, {threads});
  QOPT_RETURN_IF_ERROR(nearest.status());
  candidates.insert(candidates.begin(), {"rtn", std::move(*nearest)});
  Choice choice;
  size_t best = 0;
  std::vector<float> values(size_t(weights.rows * weights.columns));
  for (const Candidate &candidate : candidates) {
    dequantize(candidate.matrix, values.data());
    choice.errors.emplace_back(
        candidate.name, weightError(weights, values.data(), heldOut, threads));
    if (choice.errors.back().second < choice.errors[best].second)
      best = choice.errors.size() - 1;
  }
  choice.best = std::move(candidates[best]);
  return choice;
}

} // namespace qopt::quant
