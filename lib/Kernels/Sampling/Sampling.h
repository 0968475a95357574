// The family `sampling`: the next token of each row from its logits, by the
// options of its request: repetition penalty, temperature, top-k, top-p, min-p,
// draw, as include/qopt/Sampling.h orders them. A block has a row.
//
// Nothing is sorted. A candidate's distance from the largest logit,
// d = (most − logit) / temperature in 0 … 30, rounded down to a multiple of
// 2^−27, is its key; the host's order is that of rising keys, among equal ones
// of rising tokens. Every step of the host keeps a prefix of that order, so a
// prefix is two numbers, its last key and how many tokens of that key belong to
// it, and each step finds one: the shortest prefix whose tokens, or whose
// weights e^−d, reach a goal. Four rounds find it, a byte of the key each:
//
//   bins of the byte:   | 0: Σ | 1: Σ | … | 255: Σ |     of the candidates
//   whose
//                       '--- ≥ goal ? ---'               higher bytes are known
//
// The draw's goal is u · Σ; the token among equal keys is found by the same
// search over token numbers. Weights are integers, e^−d · 2^45 rounded down, so
// that a sum has no order. Both roundings move a boundary between two tokens by
// less than 1e-8 of Σ, and draws are the host's (Philox, 53 bits) but for those
// that fall so close to one.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_KERNELS_SAMPLING_SAMPLING_H
#define QOPT_LIB_KERNELS_SAMPLING_SAMPLING_H

#include "lib/Kernels/LaunchShape.h"
#include "lib/Kernels/StreamCost.h"

#include <string>

namespace qopt::kernels::sampling {

/// More would overflow the sum of the weights.
constexpr int64_t mostColumns = int64_t(1) << 18;

struct Problem {
  int64_t columns = 0; ///< logits of a row: the vocabulary
  bool operator==(const Problem &) const = default;
};

struct Schedule {
  int threads = 1024;
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
LaunchShape launchOf(const Problem &problem, const Schedule &schedule);

/// Words of a row of seen tokens.
int64_t seenWords(const Problem &problem);
/// Bytes of the workspace: a key for each logit.
int64_t workspaceBytes(const Problem &problem, int64_t rows);

/// `sampling_<arch>_f32_<columns>`.
std::string symbolOf(const Problem &problem, const target::Target &target);
StreamCost costOf(const Problem &problem, const Schedule &schedule,
                  int64_t rows, const target::Target &target);

} // namespace qopt::kernels::sampling

#endif // QOPT_LIB_KERNELS_SAMPLING_SAMPLING_H
