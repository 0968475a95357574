// What is said of a GPU kernel: from its attribute in the IR and the cost of
// its family to the public summary, and the sum over a decode step.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_DRIVER_KERNELSUMMARIES_H
#define QOPT_LIB_DRIVER_KERNELSUMMARIES_H

#include "lib/Kernels/Cost.h"
#include "passes/Schedule/SelectedKernels.h"
#include "qopt/KernelSummary.h"
#include "qopt/Status.h"

namespace qopt::driver {

/// Positions of the sequence that predictions are made for, where no --context
/// says them and the model has as many.
constexpr int64_t usualContext = 1024;

/// The schedule as text: "grid = 132, slices = 4".
std::string spellSchedule(mlir::DictionaryAttr schedule);

Prediction predictionOf(const kernels::Estimate &estimate, double bytes,
                        double flops);
/// For the result of any family's costOf.
template <typename Cost> Prediction predictionOf(const Cost &cost) {
  return predictionOf(cost, double(cost.bytes()), cost.flops());
}

/// The chooser's sentence, if it chooses what the IR says.
template <typename Schedule>
std::string reasonOf(const StatusOr<Schedule> &chosen,
                     mlir::DictionaryAttr schedule) {
  bool same = chosen.ok() &&
              passes::numbersOf(*chosen, schedule.getContext()) == schedule;
  return same ? std::string(chosen->why) : "as the IR says";
}

/// Adds `launches` launches of a kernel to a step.
void addLaunches(StepLaunches &step, const Prediction &kernel,
                 int64_t launches);

} // namespace qopt::driver

#endif // QOPT_LIB_DRIVER_KERNELSUMMARIES_H
