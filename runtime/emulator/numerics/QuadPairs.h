// Where the matrices of mma.m8n8k4 of f16 lie (PTX ISA, matrix fragments): a
// warp does four products at once, each in a quad pair, lanes 4q to 4q + 3 and
// the same + 16. Lane l of the pair's eight is 4q + l, from l = 4 on 12 more.
//
//   A, 8 × 4     by rows: lane = row, elements k; by columns: lane = k, in the
//                upper four lanes rows 4 to 7, elements rows
//   B, 4 × 8     by columns: lane = column, elements k; by rows: lane = k, in
//                the upper four lanes columns 4 to 7, elements columns
//   C, D of f16  lane = row, elements columns
//   C, D of f32  lanes l and l ^ 2 share rows: below
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_EMULATOR_NUMERICS_QUADPAIRS_H
#define QOPT_RUNTIME_EMULATOR_NUMERICS_QUADPAIRS_H

#include "runtime/emulator/numerics/Fragments.h"

namespace qopt::emulator::numerics {

inline constexpr int quadPairs = 4, quadPairDepth = 4;

/// Lane l, of 8, of a quad pair.
constexpr int quadPairLane(int pair, int l) {
  return 4 * pair + l % 4 + (l < 4 ? 0 : 16);
}
/// Element i of a lane's halves.
constexpr FragmentPlace halfPlace(int lane, int i) {
  return {i / 2, lane, i % 2};
}

/// Of A, and with row and column exchanged of B: `outer` is the row of A or the
/// column of B; `alongK`: a lane has elements of all k.
constexpr FragmentPlace quadPairFactor(int pair, int outer, int k,
                                       bool alongK) {
  return alongK ? halfPlace(quadPairLane(pair, outer), k)
                : halfPlace(quadPairLane(pair, outer / 4 * 4 + k), outer % 4);
}
constexpr FragmentPlace quadPairSum(int pair, int row, int column,
                                    bool halves) {
  if (halves)
    return halfPlace(quadPairLane(pair, row), column);
  const int l = row / 4 * 4 + (column & 2) + (row & 1);
  return {(column & 4) + (row & 2) + (column & 1), quadPairLane(pair, l), 0};
}

} // namespace qopt::emulator::numerics

#endif // QOPT_RUNTIME_EMULATOR_NUMERICS_QUADPAIRS_H
