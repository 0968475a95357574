// What an error of a weight costs. A linear layer y = W x gives with weights
// Ŵ = W + Δ another output. Two matrices say what that is worth:
//
//   H_I = E[x xᵀ]   [columns, columns]   second moment of the inputs
//   H_O = E[g gᵀ]   [rows, rows]         second moment of the gradients of the
//                                        loss with respect to the outputs
//
//   error = tr(H_O Δ H_I Δᵀ) = Σ H_O(i,k) Δ(k,l) H_I(l,j) Δ(i,j)
//
// With H_O = 1 that is E|Δ x|², the squared error of the layer's output: what
// GPTQ (arXiv 2210.17323) makes small, exact for this layer alone. With both it
// is the second-order change of the KL divergence between the model and itself
// with Δ, where its Hessian E[(g gᵀ) ⊗ (x xᵀ)], the Fisher information, is
// taken as a product of two factors (K-FAC, arXiv 1503.05671; for rounding
// arXiv 2505.22988). The best factors are not the plain moments: two rounds of
//
//   H_I ← E[(gᵀ H_O g) x xᵀ]      H_O ← E[(xᵀ H_I x) g gᵀ]
//
// approach the product nearest to the Hessian, with g the gradient of the log
// likelihood of labels that are drawn from the model itself.
//
// Weights gᵀ H_O g make few tokens count for many, so that H_I of the same text
// is a far noisier estimate than the plain E[x xᵀ], which is wrong on average
// and hardly noisy. A blend of both (`blendMoments`) is better than either.
//
// Only the diagonal of a moment may be known, or nothing: the identity then.
// With a diagonal H_O the rows of Δ have nothing to do with each other:
// rounding sees H_I alone, and H_O weighs its errors.
//
// Moments are estimates. A column that no input of the calibration excites has
// H_I(j,j) = 0, and fewer tokens than columns leave H_I singular. What is
// factored is therefore H + damping · mean diag(H) · 1; where that is no
// positive definite matrix in f64 either, the damping is ten times larger, and
// again. A weight of a column that never fires is rounded to nearest. What is
// searched without factors (Refinement.h) is damped, too: with the moments as
// they are it would fit the calibration text.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_QUANT_ALGORITHMS_METRIC_H
#define QOPT_LIB_QUANT_ALGORITHMS_METRIC_H

#include "lib/Quant/Grid.h"
#include <vector>

namespace qopt::quant {

/// Moments, row after row; null is the identity. They are symmetric, and only
/// the part below the diagonal and the diagonal are read where a matrix is
/// factored.
struct Metric {
  const float *inputMoment = nullptr;    ///< H_I [columns, columns]
  const float *inputDiagonal = nullptr;  ///< [columns], where H_I is diagonal
  const float *outputMoment = nullptr;   ///< H_O [rows, rows]
  const float *outputDiagonal = nullptr; ///< [rows], where H_O is diagonal
};

/// H_I(j,j) of every column; all ones where nothing is known.
std::vector<float> inputDiagonal(const Metric &metric, int64_t columns);

/// Fails with InvalidArgument on weights and moments that are not finite, on a
/// diagonal with negative entries and on moments that are not symmetric, naming
/// matrix, row and column.
Status checkMetric(const Metric &metric, const MatrixView &weights);

/// Parts of the mean of a moment's diagonal that are added to all of it.
struct Damping {
  float input, output;
};

/// A metric with its own moments.
class DampedMetric {
public:
  DampedMetric(const Metric &metric, const MatrixView &weights,
               const Damping &damping);
  Metric metric() const;

private:
  std::vector<float> inputMoment, inputDiagonal, outputMoment, outputDiagonal;
};

/// share · weighted + (1 − share) · plain, where `plain` is scaled to the norm
/// (the root of the sum of squares) of `weighted`; both [size, size]. On a text
/// of 65K tokens a share of 0.3 gave the least divergence on others.
std::vector<float> blendMoments(const float *weighted, const float *plain,
                                int64_t size, float share);

/// tr(H_O Δ H_I Δᵀ) of `values`, of the same shape as `weights`, in their
/// place.
double weightError(const MatrixView &weights, const float *values,
                   const Metric &metric, unsigned threads);

/// The same in parts of tr(H_O W H_I Wᵀ); infinite where that is zero and the
/// error is not.
double relativeError(const MatrixView &weights, const float *values,
                     const Metric &metric, unsigned threads);

} // namespace qopt::quant

#endif // QOPT_LIB_QUANT_ALGORITHMS_METRIC_H
