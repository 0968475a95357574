// The family `rotary_table`: cos and sin [tokens, count] f32 of
// position · inverse frequency, times a scale, once a step for all layers. The
// arithmetic is the host's: f64 until the angle is within a quarter of a turn.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_KERNELS_ROTARYTABLE_ROTARYTABLE_H
#define QOPT_LIB_KERNELS_ROTARYTABLE_ROTARYTABLE_H

#include "lib/Kernels/LaunchShape.h"
#include "lib/Kernels/StreamCost.h"

#include <string>

namespace qopt::kernels::rotary_table {

struct Problem {
  int64_t count = 0; ///< frequencies: half of the rotated channels
  float scale = 1;
  bool operator==(const Problem &) const = default;
};

struct Schedule {
  int threads = 64;
  std::string_view why;

  /// Names every number, for the IR and for reports: visit(name, member).
  template <typename Self, typename Visit>
  static void visitFields(Self &self, Visit visit) {
    visit("threads", self.threads);
  }
};

Status isValid(const Problem &problem);
Status isValid(const Problem &problem, const Schedule &schedule,
               const target::Target &target);
StatusOr<Schedule> chooseSchedule(const Problem &problem,
                                  const target::Target &target);
/// For tokens.
LaunchShape launchOf(const Problem &problem, const Schedule &schedule);
/// `rotary_table_<arch>_f32_<count>_s<bits of scale>`.
std::string symbolOf(const Problem &problem, const target::Target &target);
StreamCost costOf(const Problem &problem, const Schedule &schedule,
                  int64_t tokens, const target::Target &target);

} // namespace qopt::kernels::rotary_table

#endif // QOPT_LIB_KERNELS_ROTARYTABLE_ROTARYTABLE_H
