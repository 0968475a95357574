// What the scales and zero points of a unit's groups cost, and how less of it
// is done than in every lane for each group:
//
//   y = Σ scale · (Σ number · x − (base + zero) · Σx)      the first sum over
//                                                          groups
//
// With one token, all eight columns of B would be the same. Instead each of the
// two or four groups of a unit has a pair of them, in which the other groups
// find zeros for x, so that one chain of products keeps the groups' sums apart
// and lane 4g+t has those of one group only:
//
//   column     0 1     2 3     4 5     6 7
//   group      0       1       2       3         of four
//   lane t     0       1       2       3         has its sum, scale and zero
//
// The row's sum of a lane is that of its group in all units, one fma a unit;
// lanes are added, distance 1 before 2, at the end of a tile.
//
// With more tokens the sums of a group start at what they are corrected by
// instead of 0, which costs no instruction of its own: −(base + zero) · Σx of
// symmetric formats lies in a table in shared memory, side by side what a lane
// has of 16 rows and 8 tokens; all strips read the same.
//
//   table[group][tile of tokens][t]:  tokens 2t, 2t+1 of rows 0…7, of rows 8…15
//
// Zero points are the row's own. With four groups a unit a group starts at
// −base · Σx, of the table, and zero points are two products of tf32 for a tile
// of tokens, k being the groups: of scale · zero with Σx, each the sum of two
// numbers of 11 bits. They are added to the row's sum ahead of the groups' own.
//
//   k (group)      0 … 3    4 … 7
//   A, both        upper    lower     of −scale · zero
//   B, one         upper    upper     of Σx
//   B, other       lower    lower
//
// Numbers of bf16 are too large by so little that it can be added to an integer
// zero point: groups start at 0, and B's registers lie behind the unit's x.
// With fewer groups the start is (−base − zero) · Σx.
//
// Groups of 16 have no sums: a product has columns of two of them, one in lanes
// t = 0 and 1, the other in 2 and 3. Their weights are scaled, and rounded, as
// gemm's are (SkinnyLinearWeights.h): the row's sum is one chain of products.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_KERNELS_SKINNYLINEAR_SKINNYLINEARGROUPS_H
#define QOPT_LIB_KERNELS_SKINNYLINEAR_SKINNYLINEARGROUPS_H

#include "lib/Kernels/SkinnyLinear/SkinnyLinear.h"
#include "lib/Quant/Storage.h"

namespace qopt::kernels::skinny_linear {

/// Whether weights are scaled and rounded ahead of their products.
bool roundsWeights(const quant::Format &weight);
/// Groups of a unit whose products have a sum of their own, which is scaled; 0
/// for rows with one scale or none, and where weights are scaled instead.
int64_t summedGroups(const quant::Format &weight);

/// Columns whose sum the products need (zero points and unsigned codes): the
/// smallest group, at most a unit.
int64_t correctionColumns(const Problem &problem);

/// Whether the groups of a unit have columns of B of their own.
bool spreadsGroups(const Problem &problem, const quant::Format &weight);

/// Whether the zero points of a unit's groups are corrected by a product; and
/// whether this product corrects what numbers are too large by, too, with sums
/// of x that lie beside it.
bool correctsByProduct(const Problem &problem, const quant::Format &weight);
bool sumsBesideX(const Problem &problem, const quant::Format &weight);
bool sumsBesideX(const Problem &problem); ///< of any of its segments
constexpr int64_t sumsBesideGroups = 4;   ///< of a unit
/// Products of scales with zero points are halves and what these lack: an error
/// where a weight of stored rows has one that no half holds.
Status checkZeroProducts(const Segment &segment, int64_t columns,
                         const quant::StoredRows &stored);
constexpr int64_t sumsBesideBytes = 16; ///< of a token and group

/// Formats, one of each kind that has a table, of which the sums of groups
/// start; and the place of the kind of `weight` among them, or −1.
std::vector<quant::Format> startFormats(const Problem &problem);
int64_t startIndex(const Problem &problem, const quant::Format &weight);

/// Bytes of a table of a slice, and of a group in it.
int64_t startBytes(const Plan &plan, const quant::Format &format);
int64_t startStride(const Plan &plan);

/// Whether products read sums of x beside the tables.
bool readsSums(const Problem &problem);

} // namespace qopt::kernels::skinny_linear

#endif // QOPT_LIB_KERNELS_SKINNYLINEAR_SKINNYLINEARGROUPS_H
