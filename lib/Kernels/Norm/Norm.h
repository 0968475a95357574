// The family `norm`: rms_norm and layer_norm of rows, for activations that no
// linear layer normalises on its way. A row is in registers from its one read
// to its result, whatever follows:
//
//   x = input (+ residual, rounded once; that sum is what is normalised and
//              what is stored, also over the residual)
//   rms     y = x · rsqrt(mean(x²) + ε) · scale
//   layer   y = (x − μ) · rsqrt(mean((x − μ)²) + ε) · scale (+ bias)
//   y + another tensor, if there is one, of y that is rounded first
//
// in f32, where each thread adds its elements in their order, then the lanes of
// a warp in a butterfly of distances 16 … 1, then the warps in another; threads
// and elements are the schedule's (NormOrder.h). The result is rounded once, or
// made int8 with one f32 scale a row: scale = max|y| / 127 before any rounding.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_KERNELS_NORM_NORM_H
#define QOPT_LIB_KERNELS_NORM_NORM_H

#include "lib/Kernels/RowShape.h"
#include "lib/Kernels/StreamCost.h"
#include "lib/Quant/Format.h"

#include <string>

namespace qopt::kernels::norm {

enum class Kind : uint8_t { Rms, Layer };
enum class Result : uint8_t { Activation, Int8 };

struct Problem {
  Kind kind = Kind::Rms;
  int64_t columns = 0;
  float epsilon = 1e-5f;
  quant::ElementType activation = quant::ElementType::F16; ///< or bf16
  quant::ElementType scale = quant::ElementType::F16; ///< of scale and bias
  bool residual = false; ///< added first; the sum is an output, too
  bool bias = false;     ///< layer_norm only
  bool added = false;    ///< a tensor behind the norm, whose y is rounded first
  Result result = Result::Activation;
  /// Heads: of the input, so many rows are columns side by side of a row that
  /// begins `stride` elements behind the one before. 0: as if one were alone.
  int64_t heads = 1, stride = 0;
  int64_t scales = 1; ///< and biases, [scales, columns]: row r has those of r
                      ///< mod scales
  bool operator==(const Problem &) const = default;
};

using Schedule = RowSchedule;

/// Why a problem, or a schedule for it, cannot be built; ok if it can.
Status isValid(const Problem &problem);
Status isValid(const Problem &problem, const Schedule &schedule,
               const target::Target &target);

StatusOr<Schedule> chooseSchedule(const Problem &problem,
                                  const target::Target &target);

LaunchShape launchOf(const Problem &problem, const Schedule &schedule);

/// `norm_<arch>_<act>_<scale>_<out>_<kind><columns>[_residual][_bias]
/// [_added][_h<heads>x<stride>][_scales<scales>]` and epsilon's bits.
std::string symbolOf(const Problem &problem, const target::Target &target);

/// What a launch for `rows` rows is predicted to take.
StreamCost costOf(const Problem &problem, const Schedule &schedule,
                  int64_t rows, const target::Target &target);

} // namespace qopt::kernels::norm

#endif // QOPT_LIB_KERNELS_NORM_NORM_H
