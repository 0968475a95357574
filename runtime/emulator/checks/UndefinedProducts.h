// Undefined values in the products of tensor cores: an element of D is
// undefined if one of its row of A, of its column of B, or the element of C is.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_EMULATOR_CHECKS_UNDEFINEDPRODUCTS_H
#define QOPT_RUNTIME_EMULATOR_CHECKS_UNDEFINEDPRODUCTS_H

#include "runtime/emulator/checks/RegisterShadow.h"

#include <array>
#include <functional>
#include <vector>

namespace qopt::emulator {

/// In Inst::aux of mma.sp, above these bits: the first of each four lanes whose
/// metadata counts. Inst::target: how many they are.
constexpr unsigned metadataLaneShift = 8;

/// Inst::aux of mma.m8n8k4 of f16: the matrices that lie by rows.
constexpr uint32_t QuadPairRowsOfA = 1, QuadPairRowsOfB = 2;

/// A product's sources, what is undefined of them, and of its results.
struct UndefinedProduct {
  const ptx::Instruction &source;
  const Inst &inst;
  std::function<Undefined(unsigned n, unsigned lane)> undefined;
  std::vector<std::array<Undefined, lanes>> &results; ///< by destination

  /// mma and mma.sp: numerics/Fragments.h draws where elements are.
  void ofFragments() const;
  /// mma.m8n8k4 of f16: numerics/QuadPairs.h.
  void ofQuadPairs() const;
  /// wmma.mma: fragments as ops/Wmma.h has them, matrices row by row in lane
  /// 0's, lane 1's, … first registers, then the second ones.
  void ofRowMajor() const;
};

} // namespace qopt::emulator

#endif // QOPT_RUNTIME_EMULATOR_CHECKS_UNDEFINEDPRODUCTS_H
