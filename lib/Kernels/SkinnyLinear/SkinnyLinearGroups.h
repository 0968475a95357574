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
// With more tokens and four groups a unit, all their corrections are one
// product of tf32 for a tile of tokens, k being the groups: of scale · base and
// scale · zero with Σx, where factors of more than 11 bits are the sum of two.
// It is added to the row's sum ahead of the groups' own.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_KERNELS_SKINNYLINEAR_SKINNYLINEARGROUPS_H
#define QOPT_LIB_KERNELS_SKINNYLINEAR_SKINNYLINEARGROUPS_H

#include "lib/Kernels/SkinnyLinear/SkinnyLinear.h"

namespace qopt::kernels::skinny_linear {

/// Columns whose sum the products need (zero points and unsigned codes): the
/// smallest group, at most a unit.
int64_t correctionColumns(const Problem &problem);

/// Whether the groups of a unit have columns of B of their own.
bool spreadsGroups(const Problem &problem, const quant::Format &weight);

/// Whether the corrections of a unit's groups are a product.
bool correctsByProduct(const Problem &problem, const quant::Format &weight);

} // namespace qopt::kernels::skinny_linear

#endif // QOPT_LIB_KERNELS_SKINNYLINEAR_SKINNYLINEARGROUPS_H
