// The family `gemm`: y[M, N] = x[M, K] · W[N, K]^T for more tokens M than
// skinny_linear takes, where products are what takes the time. Problem and
// packed weights are skinny_linear's, so that an artifact has one copy of each
// weight for launches of any length; SkinnyLinear.h draws the layout. A kernel
// serves any number of tokens: the grid follows from it.
//
// # A block's work
//
// A block has a tile of rows × tokens and all columns, or those of its slice.
// Weights lie on the m side of mma.sync, tokens on its n side; a warp keeps
// strips × tiles of 16 × 8 sums in registers. Columns pass through a ring of
// stages in shared memory, each one or two panels of x, of 128 bytes of every
// token, and the codes of the same columns of every strip with their scales and
// zero points:
//
//   stage:  | x: panel 0 | panel 1 | strip 0: codes, scales, zeros | strip 1 …
//
//   step i     multiply stage i ─ wait for stage i + 1 ─ barrier ─ start the
//              copies of step i + S into it ─ first operands of stage i + 1
//
// or, spread, the copies of step i + S − 1 into stage i − 1 between products.
// Two panels halve the barriers. Either every warp multiplies both, or, with
// two column warps, each one of them: where few blocks fit the rows, twice the
// warps hide each other's latency, and add their sums in shared memory.
//
// Copies are cp.async of 16 bytes by all threads, on every architecture (fewer
// where rows of x are not so aligned): rows
// of x have to be swizzled on the way, and the codes of a strip and stage are
// 512 to 2048 bytes, shorter than the bulk copies that reach the roof. Those of
// weights that the first stages need start before the dependency point.
//
// # Fragments
//
// SkinnyLinear.h chooses the columns of a product so that lane 4g+t needs of
// token g, for two products of 32 columns, the 16 consecutive bytes of columns
// 8t…8t+7. So one 16-byte load a lane gives what ldmatrix would, and rows of
// 128 bytes have no bank conflict where chunk c (16 bytes) of token r lies in
// place
//
//   c ^ 4 (r mod 2)       f16, bf16: eight lanes read half of rows r and r+1
//   c ^ 2 (r mod 4)       int8: sixteen lanes read a quarter of rows r … r+3
//
// Eight-bit products (W8A8) take 32 columns and of every lane the bytes 8t…8t+7
// of them; the codes of a row come together by one prmt a word.
//
// # Heads
//
// With an append, rows of y are the heads of queries, keys and values, and a
// tile has whole heads: no block waits for another, and y is not written. The
// place of each token in the cache is found before the dependency point. Behind
// the products a run of eight sums, 32 bytes, becomes eight values of y in its
// first 16; then a warp takes a head of several tokens at once, whose angles
// and channels are on their way together, and leaves the same bits behind as
// rotary_append would.
//
// # Numerics
//
// With f16 and bf16 activations a weight is what its code stands for, rounded
// to the activation's type: code − zero (or the fp8 number) is exact, and its
// product with the group's scale (in the activation's type) is rounded once;
// zero points that are fractions add one rounding of (nearest integer − zero) ·
// scale. An f32 scale is the sum of two numbers of that type, and the weight
// (code − zero) · high + ((code − zero) · low + rest), with one rounding of the
// sum and one of what is far below it. Formats with one scale a row are scaled
// in the epilogue: a weight is code − zero, exact but for one rounding with a
// fraction. Products are summed in f32 by the tensor cores by rising columns.
// With int8 activations all sums are exact in i32; then come the token's scale
// and the row's, in f32. Slices are added in their order; after that the
// epilogue, in f32, and one rounding to the output's type. No sum depends on
// what arrives first, nor on the number of tokens.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_KERNELS_GEMM_GEMM_H
#define QOPT_LIB_KERNELS_GEMM_GEMM_H

#include "lib/Kernels/SkinnyLinear/SkinnyLinear.h"

namespace qopt::kernels::gemm {

using skinny_linear::CostTerm;
using skinny_linear::Operand;
using skinny_linear::OperandShape;
using skinny_linear::Segment;

/// What was asked. `tokens` is the number that the schedule is chosen for.
/// Activations may be Int8 too, with one f32 scale a token; a norm is not part
/// of the family.
struct Problem : skinny_linear::Problem {};

/// Bytes of a token's columns in a panel, and a warp's products of them, each
/// of one strip and one tile of tokens.
constexpr int64_t panelRowBytes = 128, panelProducts = 4;
/// Tiles of tokens that the blocks of one tile of rows walk before the next: as
/// many as let a wave of blocks read about as much of x as of the weights.
constexpr int64_t bandTiles = 16;
/// Bytes of a token's place in the cache.
constexpr int64_t tokenPlaceBytes = 8;

/// What was chosen. A warp has `stripsPerWarp` × 16 rows and `tilesPerWarp` × 8
/// tokens, a block rowWarps × tokenWarps × columnWarps warps.
struct Schedule {
  int rowWarps = 2;
  int tokenWarps = 2;
  int stripsPerWarp = 4;
  int tilesPerWarp = 8;
  int columnWarps = 1; ///< warps with the same sums, of different panels
  int panels = 1;      ///< of a stage
  int stages = 3;
  int slices = 1; ///< parts of the columns; blocks of a tile add their sums
  bool spread = false; ///< copies of a stage lie between products, a part
                       ///< each; else all behind the barrier
  int blocksPerSm = 1;
  std::string_view why; ///< a sentence for the report

  int warps() const { return rowWarps * tokenWarps * columnWarps; }
  int threads() const { return 32 * warps(); }
  /// A warp's products of a stage, of one strip and one tile.
  int64_t products() const { return panelProducts * panels / columnWarps; }
  /// Tiles whose sums a warp has once those of column warps are added.
  int endTiles() const { return tilesPerWarp / columnWarps; }
  int blockStrips() const { return rowWarps * stripsPerWarp; }
  int blockTokens() const { return tokenWarps * tilesPerWarp * 8; }

  /// Names every number, for the IR and for reports: visit(name, member).
  template <typename Self, typename Visit>
  static void visitFields(Self &self, Visit visit) {
    visit("row_warps", self.rowWarps);
    visit("token_warps", self.tokenWarps);
    visit("strips_per_warp", self.stripsPerWarp);
    visit("tiles_per_warp", self.tilesPerWarp);
    visit("column_warps", self.columnWarps);
    visit("panels", self.panels);
    visit("stages", self.stages);
    visit("slices", self.slices);
    visit("spread", self.spread);
    visit("blocks_per_sm", self.blocksPerSm);
  }
};

/// Sizes that follow from a problem and its schedule.
struct Plan {
  int64_t columnsPerStep;
  int64_t steps;         ///< stages that the columns need
  int64_t stepsPerSlice; ///< the last slice may have less
  int64_t rowTiles;      ///< of all segments
  int64_t panelBytes, activationBytes, stageBytes;
  int64_t slabStride;  ///< floats from token to token of a warp's slab
  int64_t slabBytes;   ///< a warp's sums on their way to memory
  int64_t givenBytes;  ///< a warp's sums that another column warp adds
  int64_t placeBytes;  ///< of an append: where the block's tokens belong
  int64_t bookBytes;   ///< of a code book's table
  int64_t tileBytes;   ///< of a block: the stages, and later the slabs
  int64_t sharedBytes; ///< of a block, everything
};

/// One segment's place in the plan.
struct SegmentPlan {
  int64_t strips, tiles, firstTile, firstRow;
  /// As skinny_linear's.
  int64_t unitBytes, packedOffset, scaleOffset, bookOffset;
  int64_t codeBytes;  ///< of a strip in a stage
  int64_t groups;     ///< of a stage, each with its scales and zero points; a
                      ///< row's zero point is a group's; 0 without such
  int64_t stripBytes; ///< of a strip in a stage: codes, scales, zeros, units
};

/// What a launch for `tokens` tokens needs.
struct Launch {
  int64_t grid;
  int64_t workspaceBytes; ///< partial sums of slices
  int64_t counters;       ///< u32, zero before the first launch and after each
};

/// Tokens whose heads a warp appends at once: 32 registers for what is on its
/// way of either half of a pair.
inline int64_t tokensAtOnce(int appendWidth) { return appendWidth > 4 ? 4 : 8; }

/// Why a problem, or a schedule for it, cannot be built; ok if it can.
Status isValid(const Problem &problem);
Status isValid(const Problem &problem, const Schedule &schedule,
               const target::Target &target);

Plan planOf(const Problem &problem, const Schedule &schedule);
SegmentPlan segmentPlanOf(const Problem &problem, const Schedule &schedule,
                          size_t segment);
Launch launchOf(const Problem &problem, const Schedule &schedule,
                int64_t tokens);

/// `gemm_<arch>_<act>_<weight>_<out>_<rows>x<tokens>[_p<panels>][_s<slices>]
/// [_paired][_<gate>][_append]`, the block's tile; the formats of several
/// segments are joined by "_x_". Problems that differ in `tokens` alone share a
/// kernel.
std::string symbolOf(const Problem &problem, const Schedule &schedule,
                     const target::Target &target);

/// The smallest number of 16, 32, 64, 128, 256, 512 and 2048 that is not below
/// `tokens`, or the last: the sizes that schedules are chosen for.
int64_t bucketOf(int64_t tokens);

/// The schedule that the table and the cost model choose.
StatusOr<Schedule> chooseSchedule(const Problem &problem,
                                  const target::Target &target);

/// The roof is mma.sync's rate.
struct Cost : Estimate {
  int64_t weightBytes = 0, activationBytes = 0, outputBytes = 0,
          partialBytes = 0;
  double products = 0;               ///< flops, padding not counted
  double instructionsPerProduct = 0; ///< of the main loop, for one mma

  int64_t bytes() const {
    return weightBytes + activationBytes + outputBytes + partialBytes;
  }
  double flops() const { return products; }
};

Cost costOf(const Problem &problem, const Schedule &schedule,
            const target::Target &target);

} // namespace qopt::kernels::gemm

#endif // QOPT_LIB_KERNELS_GEMM_GEMM_H
