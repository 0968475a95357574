// The family `skinny_linear`: y[M, N] = x[M, K] · W[N, K]^T for few tokens M
// (1…64), where reading W is what takes the time. Weights lie on the m side of
// the tensor product and tokens on its n side, 8 at a time, so that one packed
// matrix serves every M. What is asked is a Problem, what was chosen a
// Schedule; Pack, Schedules, Cost and Generator are the files beside this one.
//
// # The packed layout
//
// Rows go by strips of 16, columns by units of 128. A unit of a strip is one
// contiguous run of bytes that holds everything its products need, codes and
// scales; the units of a strip follow each other, then the next strip. So any
// range of units, whatever a schedule makes of it, is one aligned bulk copy.
//
//   strip 0: | unit 0 | unit 1 | … |   strip 1: | unit 0 | …      then the
//   scales of the rows (f32, formats with one scale a row or a matrix), then
//   the code book, a signed byte a number, padded to 16
//
//   unit:  | codes: blocks of 512 bytes, 16 a lane | scales | zero points |
//      a plane of 32 bytes a group of the unit each -'
//      (a row's own zero point: one in each unit)
//
// mma.m16n8k16 gives lane 4g+t of a warp the rows g and g+8 of A and four
// columns, and the same four columns of token g of B. Which columns these are
// is free as long as A and B agree. Here lane t takes, of every 32 columns, the
// eight consecutive 8t…8t+7, for two products j = 0, 1 of 16 columns:
//
//   column  8t+0 8t+1 | 8t+2 8t+3 | 8t+4 8t+5 | 8t+6 8t+7
//           j=0  h=0  | j=0  h=1  | j=1  h=0  | j=1  h=1     (h: half of k =
//           16)
//
// so that B is x as it is, 16 bytes a lane for two products, and the weights of
// a lane are in this order whatever the format:
//
//   int8   one word a product and h;    byte 0: g, 1: g+8 (e = 0), 2: g, 3: g+8
//   fp8    the same words;              byte 0: g (e = 0), 1: g, 2: g+8, 3: g+8
//   f16, bf16   four words a product: (g, h=0) (g+8, h=0) (g, h=1) (g+8, h=1)
//
// (e: the even or odd column of a pair.) Codes of less than 8 bits lie in
// planes, which SkinnyLinearPack.h draws.
//
// Integer codes are stored without sign: symmetric ones plus 2^(b−1); fp8 codes
// as they are. Codes of books lie in planes too, not rotated, and their nibbles
// so that the two of a pair are neighbours: e, 2 · (g or g+8), 4 · h.
//
// A plane of scales or zero points holds, for g = 0…7, the values of rows g and
// g+8, f16 each: one word a lane, the same for four lanes; two words of f32,
// which fractions beside f32 scales are, too. Of two levels it holds a byte
// each, and behind all of them is a plane of the f16 that scales are multiples
// of, in each unit. Codes of scales with a sign have half of their range added.
//
// # Numerics
//
// Products are exact and summed in f32 by the tensor cores, in the order of the
// columns (with one strip a warp, one tile of tokens and one group a unit, even
// and odd products of 16 columns in two sums that are added at its end). The
// numbers that codes are unpacked to, and what corrects them by Σx, start in
// the same sums. A group's sum times its scale is added to the row's by one
// fma. How groups smaller than a unit differ is in SkinnyLinearGroups.h;
// weights of groups of 16 are rounded ahead of their products, as gemm's. Then,
// in f32: the lanes of groups, warps, blocks of a slice that share a tile,
// slices; the scale of the row; the epilogue; one rounding to the output's
// type. No sum depends on what arrives first.
//
// SkinnyLinearOrder.h says all of this as data, by which the host's kernels
// give the same bits, and how Σx and norms are summed.
//
// Activations may be int8 codes with one f32 scale a token, of weights that are
// int8 codes with one scale a row. A product then has 32 columns, and all sums,
// of warps, slices and blocks, are exact in i32; behind them come the token's
// scale and the row's, in f32. So every family gives the same bits.
//
// # Paired rows
//
// With paired rows (a gated activation) a strip holds rows i…i+7 of the first
// half of the matrix as g and the same rows of the second half as g+8, so that
// a gate and its up value meet in one lane.
//
// # What is done ahead of the product and behind it
//
// A norm is computed by every block for itself, of the rows of x that it reads
// anyway; what is stored in shared memory is rounded once, as the norm's result
// would be. So is a residual sum, of one token, whose other term is a norm of
// x:
//
//   r = residual + norm(x), both rounded, then norm(r) or r itself
//
// r is what the next sum adds to: one block stores it. So are codes of one
// token's x or of its norm: the largest value is the whole row's, which a block
// reads even if it needs a slice. A gate is applied to values that are rounded
// to the output's type first, as two launches would; so is each step of an
// epilogue. With an append, rows of y are the heads of queries, keys and
// values: whoever stores the last rows of a head rotates it and puts it where
// rotary_append would, from y and bit by bit the same. Queries that nothing is
// done to stay in y.
//
//   strips of a head:  store, count … store, count, last: read the head, rotate
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_KERNELS_SKINNYLINEAR_SKINNYLINEAR_H
#define QOPT_LIB_KERNELS_SKINNYLINEAR_SKINNYLINEAR_H

#include "lib/Kernels/Cost.h"
#include "lib/Kernels/RotaryAppend/RotaryAppend.h"
#include "lib/Kernels/SkinnyLinear/SkinnyLinearParts.h"
#include "lib/Quant/Format.h"
#include "lib/Target/Target.h"
#include "qopt/Status.h"

#include <optional>
#include <string>
#include <vector>

namespace qopt::kernels::skinny_linear {

/// Chunks of x, of 16 bytes, that a block loads before it stores the first.
constexpr int64_t chunksInFlight = 4096; // 16 a thread of 8 warps
constexpr int64_t stripRows = 16;
constexpr int64_t unitColumns = 128;
constexpr int64_t largestBucket = 64;

/// Consecutive rows of W in one format.
struct Segment {
  int64_t rows = 0;
  quant::Format weight;
  bool operator==(const Segment &) const = default;
};

/// What was asked. The epilogue's operations are a region that goes to the
/// generator beside the problem; here stand the tensors that it reads.
struct Problem {
  int64_t tokens = 1;  ///< most tokens of a launch: 1, 8, 16, 32 or 64
  int64_t columns = 0; ///< K
  std::vector<Segment> segments;
  quant::ElementType activation = quant::ElementType::F16; ///< bf16, int8
  quant::ElementType output = quant::ElementType::F16;
  std::vector<Norm> norm; ///< none or one
  /// Of one token, ahead of `norm`: x becomes residual + this norm of x, which
  /// is an output, too.
  std::optional<Norm> sum = {};
  /// With int8 activations: x comes in this type, and every block makes the
  /// codes, behind the norm if there is one. For one token.
  std::optional<quant::ElementType> source = {};
  std::vector<Operand> operands; ///< the region's in its order, then the steps'
  std::vector<Step> steps;       ///< behind the region
  bool paired = false;           ///< the rows lie in pairs: i, rows/2 + i
  std::optional<Function> gate = {}; ///< of paired rows: y = gate(i) · other
  /// Where y's rows go that are heads: its query, key and value are columns of
  /// y, its queries are stored elsewhere.
  std::optional<rotary_append::Problem> append = {};
  Codes codes = Codes::OfTokens; ///< of int8 activations
  bool operator==(const Problem &) const = default;

  int64_t rows() const;          ///< N: rows of all segments
  int64_t outputColumns() const; ///< N, or half of it with a gate
  int64_t heads() const;         ///< of the append: queries, keys and values
  size_t regionOperands() const; ///< those that no step adds
  bool hasCodes() const { return activation == quant::ElementType::Int8; }
  bool readsCodes() const { return hasCodes() && !source; }
};

/// Whether the norm ahead of the product subtracts the mean.
inline bool isLayerNorm(const Problem &problem) {
  return !problem.norm.empty() && isLayerNorm(problem.norm.front());
}

/// The smallest bucket that holds `tokens`: 1, 8, 16, 32 or 64.
int64_t bucketOf(int64_t tokens);

/// What was chosen. Of `slices` equal parts of the columns each is worked on by
/// grid/slices blocks, which share the rows' strips evenly by steps: a step is
/// what a stage of the ring holds, `unitsPerStage` units of `tileStrips()`
/// strips.
struct Schedule {
  int grid = 1;            ///< blocks
  int slices = 1;          ///< parts of the columns; divides grid
  bool wholeTiles = false; ///< a block shares no tile with others of its slice
  int columnWarps = 8;     ///< consumer warps that take turns at units
  int rowWarps = 1;        ///< consumer warps side by side on strips
  int stripsPerWarp = 1;   ///< strips that share one read of the activations
  std::vector<int> unitsPerStage; ///< of each segment
  int stages = 4;
  int inFlight = 4;    ///< stages asked for behind one that is not there yet
  int partials = 2;    ///< buffers of partial sums on their way to the epilogue
  int blocksPerSm = 1; ///< that registers and shared memory are planned for
  std::string_view why; ///< a sentence for the report

  int tileStrips() const { return rowWarps * stripsPerWarp; }
  int consumers() const { return columnWarps * rowWarps; }
  /// Consumers, the loader's warp and, without slices, the epilogue's.
  int threads() const { return 32 * (consumers() + (slices == 1 ? 2 : 1)); }

  /// Names every number, for the IR and for reports: visit(name, member).
  template <typename Self, typename Visit>
  static void visitFields(Self &self, Visit visit) {
    visit("grid", self.grid);
    visit("slices", self.slices);
    visit("whole_tiles", self.wholeTiles);
    visit("column_warps", self.columnWarps);
    visit("row_warps", self.rowWarps);
    visit("strips_per_warp", self.stripsPerWarp);
    visit("units_per_stage", self.unitsPerStage);
    visit("stages", self.stages);
    visit("in_flight", self.inFlight);
    visit("partials", self.partials);
    visit("blocks_per_sm", self.blocksPerSm);
  }
};

/// Sizes that follow from both, for the generator, the cost and the launch.
struct Plan {
  int64_t units;                            ///< of a strip
  int64_t unitsPerSlice;                    ///< the last slice may have less
  int64_t tokenTiles;                       ///< of 8 tokens
  int64_t activationRows, activationStride; ///< of x in shared memory; bytes,
  int64_t activationUnit; ///< as those of a row's unit, with sums beside it
  int64_t activationBytes, correctionBytes, stageBytes, partialBytes;
  int64_t zeroBytes;        ///< what columns of other groups read for x
  int64_t bookBytes;        ///< of a code book's table
  int64_t startBytes;       ///< what the sums of groups start at
  int64_t correctionStride; ///< bytes of a group's sums of x: of all tokens
  int64_t normBytes;        ///< the norms' sums of each warp
  int64_t quantizeBytes;    ///< of the warps' largest values and the scale
  int64_t partFlagBytes;    ///< of the parts that slices share
  int64_t sharedBytes;      ///< of a block, everything
  int contributors;         ///< most blocks of a slice that share a tile
  int64_t slots;            ///< partial sums that a tile has in the workspace
  int64_t workspaceBytes;   ///< f32 partial sums of tiles that blocks share
  int64_t tiles;            ///< of all segments
  int64_t counters;         ///< u32, at first 0: of shared tiles, then heads
};

/// One segment's place in the plan.
struct SegmentPlan {
  int64_t strips, tiles, steps; ///< steps: of a tile in one slice
  int64_t unitBytes;
  int64_t packedOffset; ///< bytes from the start of the packed weights
  int64_t scaleOffset;  ///< of the rows' scales, likewise
  int64_t bookOffset;   ///< of the code book, likewise
  int64_t firstRow, firstTile;
  int blocks;       ///< of a slice that work on it
  int contributors; ///< most of them that share a tile
};

/// Floats from one token of a tile's partial sums to the next: 16 rows, and 4
/// so that the lanes of a warp write to different banks.
constexpr int64_t partialStride = 20;

/// Chunks of 8 elements of x's only row that each thread of the consumers holds
/// in registers where that is normalised or made codes; 0: it does not fit.
int64_t heldChunks(const Problem &problem, const Schedule &schedule);

/// Whether weights with such scales are multiplied by activations in 16 bits;
/// and by codes in int8: those in int8 with one scale a row, with sums in i32.
Status isValidWeight(const quant::Format &weight);
Status isValidForCodes(const quant::Format &weight);

/// Why a problem, or a schedule for it, cannot be built; ok if it can.
Status isValid(const Problem &problem);
Status isValid(const Problem &problem, const Schedule &schedule,
               const target::Target &target);

Plan planOf(const Problem &problem, const Schedule &schedule);
/// Most bytes of weights that are on their way to an SM at once, of this
/// launch's blocks.
int64_t bytesInFlight(const Plan &plan, const Schedule &schedule,
                      const target::Target &target);
SegmentPlan segmentPlanOf(const Problem &problem, const Schedule &schedule,
                          size_t segment);

/// `skinny_linear_<arch>_<act>_<weight>_<out>_m<tokens>[_from_<x>]
/// [_sum|_layer_sum][_norm|_layer_norm][_paired][_<gate>][_append][_<step>…]`;
/// the formats of several segments are joined by "_x_".
std::string symbolOf(const Problem &problem, const target::Target &target);

// Schedules and cost ----------------------------------------------------------

/// The schedule that the tables and the cost model choose.
StatusOr<Schedule> chooseSchedule(const Problem &problem,
                                  const target::Target &target);

using kernels::CostTerm;

/// The roof is that of the weights.
struct Cost : Estimate {
  int64_t weightBytes = 0, activationBytes = 0, outputBytes = 0,
          partialBytes = 0;
  double products = 0;              ///< flops, padding of tokens included
  double instructionsPerWeight = 0; ///< lane instructions of the main loop

  int64_t bytes() const {
    return weightBytes + activationBytes + outputBytes + partialBytes;
  }
  double flops() const { return products; }
};

Cost costOf(const Problem &problem, const Schedule &schedule,
            const target::Target &target);

} // namespace qopt::kernels::skinny_linear

#endif // QOPT_LIB_KERNELS_SKINNYLINEAR_SKINNYLINEAR_H
