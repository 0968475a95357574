// The real numbers of a matrix of codes as parameters of a model: codes stay
// and scales move. Each scale has a factor, and so has each unit of a format
// with two levels of scales:
//
//   Ŵ_ij = exp(θ_g) · exp(φ_u) · Ŵ⁰_ij · c_j         g, u of row i and column j
//
// with c_j a factor of the column, which is somebody else's (a norm ahead of
// the linear has it). A loss that is known by its gradient in Ŵ has
//
//   ∂L/∂θ_g = Σ_{ij in g} ∂L/∂Ŵ_ij · Ŵ_ij            the same over u for φ_u,
//                                                     over a column for log c_j
//
// What is multiplied is what will be stored: exp(θ) times the scale, rounded to
// its type, and with two levels to a multiple of the rounded unit. Rounding
// passes gradients straight through (arXiv 1308.3432), so that many small steps
// of θ add up to one of a coarse scale.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_QUANT_ALGORITHMS_SCALETUNING_H
#define QOPT_LIB_QUANT_ALGORITHMS_SCALETUNING_H

#include "lib/Quant/Grid.h"
#include "lib/Quant/Storage.h"
#include <vector>

namespace qopt::quant {

/// Whether a format has scales that are a row's own.
bool hasTunableScales(const Format &format);

/// A matrix whose scales are tuned; the storage that it is made of stays.
class TunableMatrix {
public:
  TunableMatrix(const Format &format, int64_t rows, int64_t columns,
                const StoredRows &stored);

  /// θ of every group, row after row, then φ of every unit.
  int64_t parameterCount() const {
    return int64_t(scales.size() + units.size());
  }

  /// Ŵ [rows, columns]; `columnFactors` [columns], or null for ones.
  void values(const float *parameters, const float *columnFactors,
              float *result, unsigned threads) const;

  /// Adds what ∂L/∂Ŵ [rows, columns] says of the parameters to `gradients`
  /// [parameterCount], and of log c to `ofColumns` [columns]. `values` is Ŵ.
  void addGradients(const float *gradientOfValues, const float *values,
                    float *gradients, float *ofColumns, unsigned threads) const;

  /// Writes the scales of all rows into canonical storage.
  void store(const float *parameters, uint8_t *result) const;

private:
  /// The stored scales, and units, of a row.
  void scalesOf(int64_t row, const float *parameters, float *rowScales,
                float *rowUnits) const;

  Format format;
  int64_t rows, columns;
  StoredRows stored;
  std::vector<float> scales, units; ///< as they were
};

/// Adds P(i, j) = ∂L/∂Ŵ · Ŵ of every column to `sums` [columns], row by row:
/// what a matrix without scales of its own says of its columns' factors.
void addColumnProducts(const float *gradientOfValues, const float *values,
                       int64_t rows, int64_t columns, float *sums);

} // namespace qopt::quant

#endif // QOPT_LIB_QUANT_ALGORITHMS_SCALETUNING_H
