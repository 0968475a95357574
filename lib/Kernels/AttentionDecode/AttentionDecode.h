// The family `attention_decode`: attention of few new tokens a sequence over a
// paged cache, where reading keys and values is what takes the time. What is
// asked is a Problem, what was chosen a Schedule; Schedules, Cost and Generator
// are the files beside this one. The formula is
// runtime/host/CachedAttention.h's.
//
// # How the work is divided
//
// A block has one sequence, one key head, up to 8 · rowTiles query rows and a
// split of the sequence's positions. A query row is a new token and one of the
// heads that share the key head, so that a key that was read serves them all.
// The positions of a split go in tiles, which the block's warps take in turn;
// each warp copies its tiles itself, `stages` of them ahead, and has its own
// running maximum, sum and output. What the warps have is put together in
// shared memory, what the splits have by the split that arrives last, both in a
// fixed order.
//
//   blocks   x: splits   y: slices × key heads × blocks of rows   z: sequences
//
//   positions  0        |        |        |        | … last
//   split 0    w0 w1 w2 w3 w0 w1 …   split 1    w0 w1 …
//
// # A product
//
// Positions and channels lie on the m side of mma.m16n8k16, query rows on its n
// side, 8 at a time:
//
//   scores [16 positions, 8 rows] += K [16 positions, 16 channels] · Qᵀ
//   output [16 channels, 8 rows]  += Vᵀ [16 channels, 16 positions] · P
//
// Scores have their rows in the columns of a fragment as outputs have, so that
// maxima, sums and corrections stay in their lanes; probabilities alone change
// sides, through 16 bytes of shared memory a position. Which channels a lane
// takes of K is free as long as Q agrees: lane t takes the eight 8t…8t+7 of
// every 32, one read a position whatever the format.
//
// # The order of sums
//
// Scores are chains of products of 16 channels. The sum of a row's
// probabilities is eight, of the positions that are equal modulo 8, by rising
// tiles of the warp, which a butterfly adds at its end; its output is a chain
// of products of 16 positions of probabilities that are rounded to the
// activation's type. Then come the warps and the splits, in their order, each
// added to those before with both corrected to the larger maximum; all in f32
// but for that rounding and the result's. Tiles, warps and what a split has at
// least are the schedule's; the number of splits follows from the launch
// (gridOf) and from the positions of the block. AttentionDecodeOrder.h says
// this as data, and runtime/host/AttentionSumOrder.cpp does it on the host.
// Keys in groups have their scales in the queries, rounded once for a tile, and
// the chain of a score begins with that of queries and offsets.
//
// # A tile in shared memory
//
//   | K: tile × keyStride | V: tile × valueStride | K scales | V scales |
//
// A head has any number of channels. Behind its end there are zeros, as the
// pages have them up to the next 8 (KvPageLayout.h), and the copies and the
// queries up to a whole product. Queries of more than 256 channels (128, where
// keys are in groups) would take the registers that their outputs need: each
// lane keeps its words in shared memory, and steps of products and copies are
// loops that read those of a step again for each tile. Outputs of more than 512
// channels would take more registers than a thread has: blocks have slices of
// the values, each with all of the scores.
//
// # Latest and first positions
//
// Positions that are read with 16 bits (KvPageLayout.h) are tiles of 16 behind
// those of codes: splits and warps divide both lists as one. Which positions
// are which depends on the row, so that some lie in tiles of both, and each
// hides from a row what is the other's. A warp walks its tiles of codes and
// then those of halves, which are copied one at a time into its stages;
// channels lie in other rows of both's outputs, so each has a maximum, sum and
// output of its own in shared memory, which are added like those of two warps.
//
// Values in groups of channels have several scales, and perhaps offsets, for
// each position, those of a group side by side: they become halves in the
// registers of the product, code · scale + offset with one rounding, so that
// probabilities have no scales.
//
//   V scales: [D/G][tile] f16 | offsets: [D/G][tile] f16
//
// Keys in groups have, instead of a scale for each position, the D scales of
// the tile's group, by which the queries are multiplied for the tile; where
// there are offsets, the sums begin with the product of queries and offsets.
// The tile of the open group has no codes of keys: its fragments are read from
// the slot.
//
// A position's codes are copied in 16-byte chunks, whose index is exclusive-or
// with the position's low bits, reversed, so that neither reads of K (lanes of
// 8 positions side by side) nor of V (8 positions of one chunk) meet in a bank:
//
//   chunk c of position p lies at chunk c ^ reverse(p · chunks of 128 bytes)
//
// Bulk copies cannot do this, which is why every architecture has the 16-byte
// asynchronous ones here. What lies beyond the sequence or pads a row is zero.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_KERNELS_ATTENTIONDECODE_ATTENTIONDECODE_H
#define QOPT_LIB_KERNELS_ATTENTIONDECODE_ATTENTIONDECODE_H

#include "lib/Kernels/Cost.h"
#include "lib/Quant/Format.h"
#include "lib/Target/Target.h"
#include "qopt/Status.h"
#include "runtime/cuda/KvPageLayout.h"

#include <string>
#include <vector>

namespace qopt::kernels::attention_decode {

/// What was asked; attention_prefill is asked the same. Queries, output and
/// float caches have the activation's type.
struct Problem {
  int64_t heads = 0; ///< of queries, a multiple of cache.keyHeads
  cuda::KvPageLayout cache;
  quant::ElementType activation = quant::ElementType::F16;
  int64_t queryStride = 0; ///< elements from a token's queries to the next's
  int64_t context = 0;     ///< most positions of a sequence
  float scale = 1;         ///< of q · k
  bool causal = true;      ///< else every query sees the whole sequence
  int64_t window = 0;      ///< keys that a query sees, itself included; 0: all
  float softcap = 0;       ///< c · tanh(score / c); 0: none
  bool slopes = false;     ///< ALiBi: slope[head] · (key − position) is added
  bool sinks = false;      ///< e^sink[head] is added to the sum of a row
  bool operator==(const Problem &) const = default;

  int64_t sharing() const { return heads / cache.keyHeads; }
  /// Entries of a sequence in the page table.
  int64_t pageStride() const { return cache.tableStride(context); }
  /// Slices of a value's channels, which blocks divide; all but the last have
  /// sliceChannels. Smaller ones of f16 leave room for the keys in every
  /// target's shared memory.
  int64_t slices() const {
    int64_t most = mostOutputs;
    if (cache.valueSize > mostOutputs && cache.value.isFloat())
      most = mostOutputs / 2;
    return (cache.valueSize + most - 1) / most;
  }
  int64_t sliceChannels() const {
    int64_t equal = (cache.valueSize + slices() - 1) / slices();
    return slices() == 1 ? equal : (equal + 63) & ~int64_t(63);
  }
  static constexpr int64_t mostOutputs = 512; ///< channels, of a warp

  /// Of positions that are read with 16 bits, as a cache of its own.
  Problem ofHalves() const;
};

/// What the warps of a block divide among themselves.
enum class Division : uint8_t {
  Positions, ///< each has tiles of its own and all rows
  Rows,      ///< each has rows of its own and all tiles: attention_prefill
};

/// What was chosen.
struct Schedule {
  Division division = Division::Positions;
  int warps = 4;
  int rowTiles = 1; ///< of 8 query rows, of a warp
  int tile = 32;    ///< positions of a tile
  int stages = 3;   ///< tiles in shared memory, of a warp or of the block
  int blocksPerSm = 1;
  int tilesPerWarp = 2; ///< that a split has at least
  std::string_view why; ///< a sentence for the report

  int rows() const { return 8 * rowTiles; } ///< of a warp
  int blockRows() const {
    return division == Division::Rows ? warps * rows() : rows();
  }
  int threads() const { return 32 * warps; }

  /// Names every number, for the IR and for reports: visit(name, member). The
  /// division is the family's: attention_decode or attention_prefill.
  template <typename Self, typename Visit>
  static void visitFields(Self &self, Visit visit) {
    visit("warps", self.warps);
    visit("row_tiles", self.rowTiles);
    visit("tile", self.tile);
    visit("stages", self.stages);
    visit("blocks_per_sm", self.blocksPerSm);
    visit("tiles_per_warp", self.tilesPerWarp);
  }
};

/// Sizes that follow; the generator, the cost model and the launch agree on
/// them by this structure. Bytes unless said otherwise.
struct Plan {
  int64_t keyRow, valueRow;       ///< a position's codes in memory
  int64_t sliceRow;               ///< of those of a value, a block's
  int64_t keyChannels;            ///< of the products, zeros behind the head's
  int64_t keyStride, valueStride; ///< and in shared memory
  int64_t keyBytes, valueBytes;   ///< of a tile
  int64_t keyScaleBytes, valueScaleBytes;
  int64_t stageBytes, probabilityBytes;
  int64_t ringBytes;     ///< of the stages of a warp or of the block
  int64_t queryBytes;    ///< of a warp; 0: they stay in registers
  int64_t valueTiles;    ///< tiles of 16 channels, of a block
  int64_t chunkChannels; ///< of values, in a chunk (of int3 their lower bits)
  int64_t chunkPairs;    ///< of values that a block multiplies
  int64_t partialStride; ///< f32 of a row of a warp's output
  int64_t partials;      ///< of a row, of each warp: of codes and of halves
  int64_t partialsAt;    ///< in shared memory; 0: over the stages
  int64_t sharedBytes;   ///< of a block, everything
  int64_t slotFloats;    ///< f32 of a split in the workspace
};

/// How a batch is launched.
struct Launch {
  int64_t x, y, z; ///< blocks, as drawn above
  int threads;
  int64_t sharedBytes;
  int64_t workspaceBytes; ///< 0 where there is one split
  int64_t counters;       ///< u32, zero before the first launch
};

/// Why a problem, or a schedule for it, cannot be built; ok if it can.
Status isValid(const Problem &problem);
Status isValid(const Problem &problem, const Schedule &schedule,
               const target::Target &target);

Plan planOf(const Problem &problem, const Schedule &schedule);

/// The schedule of positions that are read with 16 bits, beside that of codes.
Schedule halvesOf(const Schedule &schedule);

template <typename Number> struct Grid {
  Number x, y, z; ///< as Launch's
};

/// The grid of a launch as a formula, over integers or over a plan's symbols:
/// `math` makes numbers and computes with them.
template <typename Math, typename Number>
Grid<Number> gridOf(Math math, const Problem &problem, const Schedule &schedule,
                    const target::Target &target, Number sequences,
                    Number tokens, Number context) {
  Number rowBlocks =
      math.ceilDiv(math.mul(tokens, math.number(problem.sharing())),
                   math.number(schedule.blockRows()));
  Number y = math.mul(math.number(problem.slices() * problem.cache.keyHeads),
                      rowBlocks);
  if (schedule.division == Division::Rows)
    return {math.number(1), y, sequences};
  Number room =
      math.number(int64_t(target.multiprocessors) * schedule.blocksPerSm);
  Number seen = context;
  if (problem.window)
    seen = math.min(context, math.add(math.number(problem.window - 1), tokens));
  Number least = math.number(int64_t(schedule.warps) * schedule.tilesPerWarp *
                             schedule.tile);
  Number splits = math.min(math.floorDiv(room, math.mul(y, sequences)),
                           math.ceilDiv(seen, least));
  return {math.max(splits, math.number(1)), y, sequences};
}

/// The launch for `sequences` sequences with at most `tokens` new tokens and
/// `context` positions each: as many splits as fill the SMs.
Launch launchOf(const Problem &problem, const Schedule &schedule,
                const target::Target &target, int64_t sequences, int64_t tokens,
                int64_t context);

/// `attention_decode_<arch>_<act>_<key>_<value>_<act>_d<size>_r<rows>
/// [_all][_window][_softcap][_slopes][_sinks]`, attention_prefill where warps
/// divide rows
std::string symbolOf(const Problem &problem, const Schedule &schedule,
                     const target::Target &target);

/// The schedule for sequences of at most `tokens` new tokens.
StatusOr<Schedule> chooseSchedule(const Problem &problem, int64_t tokens,
                                  const target::Target &target);

using kernels::CostTerm;

/// The roof is that of the cache.
struct Cost : Estimate {
  int64_t cacheBytes = 0, activationBytes = 0, partialBytes = 0;
  double products = 0; ///< flops, padding of rows included

  int64_t bytes() const { return cacheBytes + activationBytes + partialBytes; }
  double flops() const { return products; }
};

/// What a launch for sequences that all have `tokens` new tokens and `context`
/// positions costs.
Cost costOf(const Problem &problem, const Schedule &schedule,
            const target::Target &target, int64_t sequences, int64_t tokens,
            int64_t context);

} // namespace qopt::kernels::attention_decode

#endif // QOPT_LIB_KERNELS_ATTENTIONDECODE_ATTENTIONDECODE_H
