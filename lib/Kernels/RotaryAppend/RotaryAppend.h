// The family `rotary_append`: what happens between the projections and the
// attention of a decoder, in one launch. Queries and keys are rotated by their
// positions; then keys and values go to their places in the pages of the cache
// in the cache's formats (runtime/cuda/KvPageLayout.h).
//
// The first R channels of a head are rotated in pairs, the others copied:
//
//   halves        pair i = (x[i], x[R/2 + i])               i = 0 … R/2 − 1
//   interleaved   pair i = (x[2i], x[2i + 1])
//   (a, b) → (a·cos[i] − b·sin[i],  a·sin[i] + b·cos[i])
//
// A warp has one head of one token: a query, a key or a value. A lane holds
// `width` consecutive channels, of longer heads every 32 · width once more.
// Heads of an odd number of channels begin at any element: their channels are
// read one by one, and a lane that has the last one has a zero behind it.
//
// With a norm, each head of a query or key is first normalised, by the formula
// of rms_norm or of layer_norm without bias, in f32 with the head's own mean,
// and rounded to the activation's type: the terms of a lane in their order,
// then the lanes in a butterfly.
//
// Queries are rounded once to the activation's type. Keys and values are not
// rounded before they are stored. f16 and bf16 round to nearest even. Codes
// have one scale for each position and head:
//
//   scale = f16(max|x| / 127), int4: / 7, fp8: / 448; at most 65504
//   code  = x · (1 / scale) to the nearest, ties to even, within ±127, ±7, ±448
//
// with that very f16 scale, so that code · scale is the nearest x that the
// scale allows; codes are 0 where the scale is 0. int4: two codes a byte in
// two's complement, the even channel in the low nibble. Lanes that have parts
// of the eight codes of int3 and int2 that lie in two bytes put them together.
//
// Keys in groups have a scale for each channel and G positions by the same
// rule (int3: / 3, int2: / 1); they are rounded to the activation's type first,
// in which they wait until their group is full. Values in groups have one for
// each position and G channels. With offsets, of codes of b bits:
//
//   scale = f16((max x − min x) / (2^b − 1)); at most 65504
//   offset = f16(min x + 2^(b−1) · scale)
//   code  = (x − offset) · (1 / scale), within −2^(b−1) … 2^(b−1) − 1
//
// Tokens behind the last sequence (a padded launch) are left alone.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_KERNELS_ROTARYAPPEND_ROTARYAPPEND_H
#define QOPT_LIB_KERNELS_ROTARYAPPEND_ROTARYAPPEND_H

#include "lib/Kernels/LaunchShape.h"
#include "lib/Kernels/Norm/Norm.h"
#include "lib/Kernels/StreamCost.h"
#include "runtime/cuda/KvPageLayout.h"

#include <optional>
#include <string>

namespace qopt::kernels::rotary_append {

enum class Pairs : uint8_t { Halves, Interleaved };

/// Where cos and sin come from.
enum class Angles : uint8_t {
  Table,    ///< cos and sin [tokens, R/2] f32
  Computed, ///< of position and inverse frequency, as rotary_table does
};

enum class Queries : uint8_t {
  InPlace,
  Elsewhere, ///< [tokens, heads, keySize], contiguous
};

/// Heads [tokens, heads, size] as columns of the rows of a tensor; a merged
/// projection has all three in one.
struct Columns {
  int64_t first = 0;  ///< element of a row where the heads begin
  int64_t stride = 0; ///< elements from row to row
  bool operator==(const Columns &) const = default;
};

/// Of each head: one scale [keySize] of queries and another of keys, or [heads,
/// keySize], where every head has one of its own.
struct HeadNorm {
  float epsilon = 1e-5f;
  quant::ElementType scale = quant::ElementType::F16;
  norm::Kind kind = norm::Kind::Rms;
  bool perHead = false;
  bool operator==(const HeadNorm &) const = default;
};

struct Problem {
  int64_t heads = 0; ///< of queries; 0: none
  cuda::KvPageLayout cache;
  int64_t pageTableStride = 0; ///< entries of a sequence in the page table
  int64_t rotated = 0;         ///< R; 0: nothing is rotated
  Pairs pairs = Pairs::Halves;
  Angles angles = Angles::Table;
  float angleScale = 1; ///< of computed cos and sin
  std::optional<HeadNorm> norm = {};
  Queries queries = Queries::InPlace;
  quant::ElementType activation = quant::ElementType::F16; ///< or bf16
  Columns query, key, value;
  bool operator==(const Problem &) const = default;
};

/// Whether what is stored of a query is another than what is read.
inline bool changesQueries(const Problem &problem) {
  return problem.rotated > 0 || problem.norm;
}

/// Whether heads begin at odd elements of their rows.
bool hasOddHeads(const Problem &problem);

struct Schedule {
  int width = 2; ///< channels of a lane: 2, 4 or 8; 2 of odd heads
  int warps = 4; ///< of a block
  std::string_view why;

  /// Names every number, for the IR and for reports: visit(name, member).
  template <typename Self, typename Visit>
  static void visitFields(Self &self, Visit visit) {
    visit("width", self.width);
    visit("warps", self.warps);
  }
};

Status isValid(const Problem &problem);
Status isValid(const Problem &problem, const Schedule &schedule,
               const target::Target &target);

StatusOr<Schedule> chooseSchedule(const Problem &problem,
                                  const target::Target &target);

/// For tokens.
LaunchShape launchOf(const Problem &problem, const Schedule &schedule);

/// `rotary_append_<arch>_<act>_<key>_<value>_h<heads>x<key heads>x<key size>…`:
/// everything that makes another kernel.
std::string symbolOf(const Problem &problem, const target::Target &target);

/// Bytes of what an append of so many tokens leaves behind.
int64_t writtenBytes(const Problem &problem, int64_t tokens);

/// Channels of a lane where what is appended is computed by the same kernel:
/// those of a launch of its own.
int widthOf(const Problem &problem, const target::Target &target);

StreamCost costOf(const Problem &problem, const Schedule &schedule,
                  int64_t tokens, const target::Target &target);

} // namespace qopt::kernels::rotary_append

#endif // QOPT_LIB_KERNELS_ROTARYAPPEND_ROTARYAPPEND_H
