// The family `gated_activation`: y[t, f] = function(gate[t, f]) · up[t, f] for
// activations that no linear layer computes in its epilogue; also a function
// alone. Gate and up are two tensors or the halves of one:
//
//   halves:  row t: | gate 0 … F−1 | up 0 … F−1 |
//
// Everything is f32 and rounded once, or made int8 with one f32 scale a row as
// the family norm does. Errors of the functions, relative to the result or to
// 1e-6, stay below 4e-6 (e^x and 1/x are approximated); tanh and the tail of
// gelu_erf below 2e-6.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_KERNELS_GATEDACTIVATION_GATEDACTIVATION_H
#define QOPT_LIB_KERNELS_GATEDACTIVATION_GATEDACTIVATION_H

#include "lib/Kernels/Function.h"
#include "lib/Kernels/RowShape.h"
#include "lib/Kernels/StreamCost.h"
#include "lib/Quant/Format.h"

#include <string>

namespace qopt::kernels::gated_activation {

using kernels::Function;

enum class Form : uint8_t {
  Halves, ///< one tensor [rows, 2 · columns]
  Two,    ///< gate and up [rows, columns] each
  Alone,  ///< no up
};

enum class Result : uint8_t { Activation, Int8 };

struct Problem {
  Function function = Function::Silu;
  Form form = Form::Halves;
  int64_t columns = 0;                                     ///< of the result
  quant::ElementType activation = quant::ElementType::F16; ///< or bf16
  Result result = Result::Activation;
  bool operator==(const Problem &) const = default;
};

/// A row of int8 codes has one team, which finds its scale; else a row is cut
/// into as many blocks as it needs, with one step of a block each.
using Schedule = RowSchedule;

Status isValid(const Problem &problem);
Status isValid(const Problem &problem, const Schedule &schedule,
               const target::Target &target);

StatusOr<Schedule> chooseSchedule(const Problem &problem,
                                  const target::Target &target);

LaunchShape launchOf(const Problem &problem, const Schedule &schedule);

/// `gated_activation_<arch>_<act>_<out>_<function>_<form><columns>`.
std::string symbolOf(const Problem &problem, const target::Target &target);

StreamCost costOf(const Problem &problem, const Schedule &schedule,
                  int64_t rows, const target::Target &target);

} // namespace qopt::kernels::gated_activation

#endif // QOPT_LIB_KERNELS_GATEDACTIVATION_GATEDACTIVATION_H
