// The family `check_indices`: whether all indices that later kernels read at
// lie inside of what they index. It stops nothing: what reads at such places
// keeps inside by itself, and the host, which reads the report with the results
// of the step, then refuses them. Indices are few beside what is read at them,
// so one block reads them all.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_KERNELS_CHECKINDICES_CHECKINDICES_H
#define QOPT_LIB_KERNELS_CHECKINDICES_CHECKINDICES_H

#include "lib/Kernels/LaunchShape.h"
#include "lib/Kernels/StreamCost.h"

#include <string>

namespace qopt::kernels::check_indices {

enum class Integer : uint8_t { Word, Long }; ///< i32, i64
enum class Interval : uint8_t {
  FromZero,
  FromEitherEnd
}; ///< −limit ≤ i < limit

struct Problem {
  Integer integer = Integer::Long;
  Interval interval = Interval::FromEitherEnd;
  int limits = 1; ///< of elements 0, 1, …, again and again
  bool operator==(const Problem &) const = default;
};

struct Schedule {
  int threads = 256;
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
/// One row: all indices.
LaunchShape launchOf(const Problem &problem, const Schedule &schedule);
/// `check_indices_<arch>_<i32 or i64>_<limits>`, `_from_zero` behind it.
std::string symbolOf(const Problem &problem, const target::Target &target);
StreamCost costOf(const Problem &problem, const Schedule &schedule,
                  int64_t indices, const target::Target &target);

} // namespace qopt::kernels::check_indices

#endif // QOPT_LIB_KERNELS_CHECKINDICES_CHECKINDICES_H
