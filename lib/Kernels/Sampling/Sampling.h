// The family `sampling`: the next token of each row from its logits, by the
// options of its request: repetition penalty, temperature, top-k, top-p, min-p,
// draw, as include/qopt/Sampling.h orders them.
//
// Nothing is sorted. A logit lies at place = logit · 8 / temperature; its bin
// is how far floor(place) lies below that of the largest logit, so that bins
// are 1/8 of a nat wide, and those within 30 nats, 241 bins, have the
// candidates. A key is a bin and 24 bits of where in it the logit lies: a
// distance from the largest one in units of 2^−27 nats. The host's order is
// that of rising keys, among equal ones of rising tokens.
//
//   piece 0   4096 tokens: by bins below the piece's own largest logit, the sum
//   piece 1   of weights, the count, and the tokens themselves, bin by bin
//   …            '--- the last block adds the bins of all pieces, each moved by
//                     how far its largest lies below the row's
//
// A block makes a piece from one read of the logits; the last block of a row to
// finish draws. floor(place) does not depend on what is the largest, so that a
// bin of a piece is a bin of the row.
//
// Every step of the host keeps a prefix of its order, so a prefix is two
// numbers, its last key and how many tokens of that key belong to it, and each
// step finds one: the shortest prefix whose tokens, or whose weights e^−d,
// reach a goal. Four rounds find it, a byte of the key each; the first one has
// the bins, the others read the tokens of one bin:
//
//   bins of the byte:   | 0: Σ | 1: Σ | … | 255: Σ |     of the candidates
//   whose
//                       '--- ≥ goal ? ---'               higher bytes are known
//
// The draw's goal is u · Σ; the token among equal keys is found by the same
// search over token numbers. Weights are integers, e^−d · 2^45 rounded down, so
// that a sum has no order. The roundings move a boundary between two tokens by
// less than 1e-8 of Σ, and so do logits between 30 and 30 1/8 nats below the
// largest, which the host leaves out; draws are the host's (Philox, 53 bits)
// but for those that fall so close to one.
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

/// Threads of a block, and the tokens of which it makes a piece at once.
constexpr int64_t threads = 1024, pieceTokens = 4 * threads;
/// A byte of a key.
constexpr int64_t binCount = 256;
/// Of shared memory: how many of each bin the warps have.
constexpr int64_t ranksBytes = threads / 32 * binCount * 4;

struct Schedule {
  int blocksPerRow = 1; ///< at most a block for each piece
  std::string_view why;

  /// Names every number, for the IR and for reports: visit(name, member).
  template <typename Self, typename Visit>
  static void visitFields(Self &self, Visit visit) {
    visit("blocks_per_row", self.blocksPerRow);
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
/// Pieces of a row, at most 64.
int64_t piecesOf(const Problem &problem);
/// Where a row of the workspace has what the pieces leave, in bytes.
struct RowLayout {
  int64_t largest = 0;  ///< [pieces] logit and token
  int64_t bins = 0;     ///< [pieces, binCount] Σ of weights, first, end
  int64_t elements = 0; ///< [pieces, pieceTokens] logit and token
  int64_t bytes = 0;
};
constexpr int64_t largestBytes = 8, binBytes = 16, elementBytes = 8;
RowLayout rowLayoutOf(const Problem &problem);
/// Bytes of the workspace, and u32 counters, which are zero before the first
/// launch and after each.
int64_t workspaceBytes(const Problem &problem, int64_t rows);
int64_t counters(const Schedule &schedule, int64_t rows);

/// `sampling_<arch>_f32_<columns>`.
std::string symbolOf(const Problem &problem, const target::Target &target);
StreamCost costOf(const Problem &problem, const Schedule &schedule,
                  int64_t rows, const target::Target &target);

} // namespace qopt::kernels::sampling

#endif // QOPT_LIB_KERNELS_SAMPLING_SAMPLING_H
