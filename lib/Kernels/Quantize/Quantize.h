// The family `quantize`: rows of activations as int8 codes with one f32 scale a
// row, where nothing ahead of them writes codes itself (attention, a choice of
// rows). A row is in registers between its one read and its codes:
//
//   scale = max|x| / 127        code = x · (1 / scale), to the nearest, ties to
//                                      even, at most 127 either way
//
// A row of zeros has scale 0 and codes 0; one that holds a NaN or an infinity
// has that as its scale and codes 0, so that all that is computed of it is NaN.
// The families norm and gated_activation write codes by the same lines of
// Builder/RowTeam.cpp.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_KERNELS_QUANTIZE_QUANTIZE_H
#define QOPT_LIB_KERNELS_QUANTIZE_QUANTIZE_H

#include "lib/Kernels/RowShape.h"
#include "lib/Kernels/StreamCost.h"
#include "lib/Quant/Format.h"

#include <string>

namespace qopt::kernels::quantize {

struct Problem {
  int64_t columns = 0;
  quant::ElementType activation = quant::ElementType::F16; ///< or bf16
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

/// `quantize_<arch>_<act>_int8_<columns>`.
std::string symbolOf(const Problem &problem, const target::Target &target);

/// What a launch for `rows` rows is predicted to take.
StreamCost costOf(const Problem &problem, const Schedule &schedule,
                  int64_t rows, const target::Target &target);

} // namespace qopt::kernels::quantize

#endif // QOPT_LIB_KERNELS_QUANTIZE_QUANTIZE_H
