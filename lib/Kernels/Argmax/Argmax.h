// The family `argmax`: the token with the largest logit of each row, among
// equals the lowest, as greedy sampling on the host chooses it. Several blocks
// share a row; the last one to finish compares their results. A row without a
// finite largest number gives −1, which is an error of the model.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_KERNELS_ARGMAX_ARGMAX_H
#define QOPT_LIB_KERNELS_ARGMAX_ARGMAX_H

#include "lib/Kernels/LaunchShape.h"
#include "lib/Kernels/StreamCost.h"

#include <string>

namespace qopt::kernels::argmax {

struct Problem {
  int64_t columns = 0; ///< logits of a row: the vocabulary
  bool operator==(const Problem &) const = default;
};

struct Schedule {
  int threads = 256;
  int blocksPerRow = 1; ///< at most 32: a warp compares their results
  std::string_view why;

  /// Names every number, for the IR and for reports: visit(name, member).
  template <typename Self, typename Visit>
  static void visitFields(Self &self, Visit visit) {
    visit("threads", self.threads);
    visit("blocks_per_row", self.blocksPerRow);
  }
};

Status isValid(const Problem &problem);
Status isValid(const Problem &problem, const Schedule &schedule,
               const target::Target &target);
StatusOr<Schedule> chooseSchedule(const Problem &problem,
                                  const target::Target &target);
LaunchShape launchOf(const Problem &problem, const Schedule &schedule);

/// Bytes that a row needs of the workspace, and u32 counters, which are zero
/// before the first launch and after each.
int64_t workspaceBytes(const Schedule &schedule, int64_t rows);
int64_t counters(const Schedule &schedule, int64_t rows);

/// `argmax_<arch>_f32_<columns>`.
std::string symbolOf(const Problem &problem, const target::Target &target);
StreamCost costOf(const Problem &problem, const Schedule &schedule,
                  int64_t rows, const target::Target &target);

} // namespace qopt::kernels::argmax

#endif // QOPT_LIB_KERNELS_ARGMAX_ARGMAX_H
