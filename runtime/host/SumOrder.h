// The order in which a GPU kernel sums, as plain data. Sums of f32 depend on
// their order; a host kernel that is given one follows it and rounds where the
// kernel does, so that both have the same bits where the hardware leaves
// nothing open. The families of lib/Kernels make these of a problem and a
// schedule (sumOrderOf) and say in their headers why they are what they are.
//
// What the hardware leaves open: the order within one product of a tensor core
// (ProductSum.h is Hopper's; n terms differ by less than (n + 1) · 2^-23 of the
// largest elsewhere), and the last bits of rsqrt and ex2 (2 ulp).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_HOST_SUMORDER_H
#define QOPT_RUNTIME_HOST_SUMORDER_H

#include "lib/Quant/Element.h"

#include <cstdint>
#include <vector>

namespace qopt::host {

/// Of skinny_linear or gemm, for the rows of one format. Columns go by units,
/// rows by strips of 16. One warp's sum of a row goes through its units as
/// LinearSumOrder.cpp draws; then come, each in their order, the warps, the
/// blocks that share a tile, and the slices of the columns.
struct LinearSumOrder {
  static constexpr int64_t mostUnitColumns = 128;

  int64_t unitColumns = mostUnitColumns;
  int64_t mostTokens = 0; ///< of launches that have this order; 0: no limit
  bool bf16 = false;      ///< of activations; else f16

  // Who sums what.
  int64_t slices = 1;        ///< equal parts of the columns
  int64_t unitsPerSlice = 1; ///< the last slice may have less
  int64_t columnWarps = 1;   ///< warps that take turns at the units of a slice
  int64_t unitsPerStep = 1;  ///< what blocks share tiles by
  int64_t blocks = 0;        ///< that share all steps of all tiles; 0: no tile
                             ///< is shared
  int64_t tileStrips = 1;    ///< strips of a tile
  bool paired = false;       ///< strips hold 8 rows of each half of the matrix

  // How a unit is summed.
  bool twoChains = false;    ///< even and odd products in sums of their own
  bool spreadGroups = false; ///< groups of a unit in sums of their own, which
                             ///< are added behind a block's last unit

  // Weights that have their scale ahead of their products, not their sums.
  bool roundsWeights = false; ///< to the activations' type
  int64_t scaleFactor = 1; ///< f32 scales times this are sums of two halves, by
                           ///< which numbers over this are multiplied

  // What codes are unpacked to, and Σx that corrects it.
  int64_t baseUpper = 0;       ///< number = base + code, of rows 0…7 of a strip
  int64_t baseLower = 0;       ///< of rows 8…15
  int64_t zero = 0;            ///< the code of 0, of symmetric formats
  bool corrects = false;       ///< sums of a group start at −(base + zero) · Σx
  bool zerosByProduct = false; ///< at −base · Σx, or, where none corrects, at
                               ///< 0: products of tf32 have zeros, or both
  int64_t sumColumns = mostUnitColumns; ///< of one Σx; a group adds several
  bool sumsByThreads = false; ///< of 8 columns a thread, then lanes; else by
                              ///< products with ones

  bool operator==(const LinearSumOrder &) const = default;

  /// Names every number, for the IR, for plans and reports: visit(name,
  /// member).
  template <typename Self, typename Visit>
  static void visitFields(Self &self, Visit visit) {
    visit("unit_columns", self.unitColumns);
    visit("most_tokens", self.mostTokens);
    visit("bf16", self.bf16);
    visit("slices", self.slices);
    visit("units_per_slice", self.unitsPerSlice);
    visit("column_warps", self.columnWarps);
    visit("units_per_step", self.unitsPerStep);
    visit("blocks", self.blocks);
    visit("tile_strips", self.tileStrips);
    visit("paired", self.paired);
    visit("two_chains", self.twoChains);
    visit("spread_groups", self.spreadGroups);
    visit("rounds_weights", self.roundsWeights);
    visit("scale_factor", self.scaleFactor);
    visit("base_upper", self.baseUpper);
    visit("base_lower", self.baseLower);
    visit("zero", self.zero);
    visit("corrects", self.corrects);
    visit("zeros_by_product", self.zerosByProduct);
    visit("sum_columns", self.sumColumns);
    visit("sums_by_threads", self.sumsByThreads);
  }
};

/// Of a norm: each thread adds its elements, then the lanes of a warp in a
/// butterfly of falling distance, then the warps.
///
///   element of thread t, step s, place i:   (s · threads + t) · width + i
struct NormSumOrder {
  int64_t mostTokens = 0; ///< of launches that have this order; 0: no limit
  int64_t threads = 32;   ///< that share a row
  int64_t width = 1;      ///< elements side by side of a thread
  bool warpsInButterfly = false; ///< the warps' sums, too; else one by one

  bool operator==(const NormSumOrder &) const = default;

  /// As LinearSumOrder::visitFields.
  template <typename Self, typename Visit>
  static void visitFields(Self &self, Visit visit) {
    visit("most_tokens", self.mostTokens);
    visit("threads", self.threads);
    visit("width", self.width);
    visit("warps_in_butterfly", self.warpsInButterfly);
  }
};

/// Of attention over a paged cache. The rows of a key head, tokens times the
/// heads that share it, go in blocks; the positions that a block of rows sees
/// in tiles, those in splits, and the tiles of a split to its warps in turn.
/// AttentionSumOrder.cpp says what a warp does with a tile. Warps and then
/// splits are put together in their order.
struct AttentionSumOrder {
  int64_t mostTokens = 0; ///< new ones, of launches that have this order: those
                          ///< of a step less its other sequences; 0: no limit
  bool bf16 = false;      ///< of activations; else f16
  int64_t warps = 1;      ///< that take turns at tiles
  int64_t tile = 16;      ///< positions of a tile
  int64_t blockRows = 8;  ///< rows of a block
  int64_t tilesPerWarp = 1; ///< that a split has at least
  int64_t room = 1;         ///< blocks that are on the device together
  int64_t context = 0;      ///< positions that splits are planned for; 0: one
                            ///< split

  bool operator==(const AttentionSumOrder &) const = default;

  /// As LinearSumOrder::visitFields.
  template <typename Self, typename Visit>
  static void visitFields(Self &self, Visit visit) {
    visit("most_tokens", self.mostTokens);
    visit("bf16", self.bf16);
    visit("warps", self.warps);
    visit("tile", self.tile);
    visit("block_rows", self.blockRows);
    visit("tiles_per_warp", self.tilesPerWarp);
    visit("room", self.room);
    visit("context", self.context);
  }
};

/// Attention's probabilities times 2^this are still halves behind the scales of
/// values in such codes: the largest f16 scale is 65504 over the largest code.
/// Those of groups are no part of them.
constexpr int probabilityExponent(const quant::Format &value, bool bf16) {
  if (bf16)
    return 0;
  if (value.groupSize)
    return 8;
  return value.element == quant::ElementType::Int8   ? 6
         : value.element == quant::ElementType::Int4 ? 2
                                                     : 8;
}

/// The order for launches of `tokens`: the first of `orders`, which rise by
/// what they are for, that has room for them; null where none has.
template <typename Order>
const Order *orderFor(const std::vector<Order> &orders, int64_t tokens) {
  for (const Order &order : orders)
    if (!order.mostTokens || tokens <= order.mostTokens)
      return &order;
  return nullptr;
}

} // namespace qopt::host

#endif // QOPT_RUNTIME_HOST_SUMORDER_H
