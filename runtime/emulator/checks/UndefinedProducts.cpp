// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/checks/UndefinedProducts.h"

#include "runtime/emulator/MatrixShape.h"
#include "runtime/emulator/numerics/QuadPairs.h"

#include <algorithm>

namespace qopt::emulator {
namespace {

void join(Undefined &into, Undefined one) {
  if (one.bits && !into.bits)
    into = one;
}

/// Adds what is undefined of one element of a result's register.
void add(Undefined &result, Undefined one, uint64_t element) {
  if (one.bits)
    result = {result.bits | element, result.bits ? result.origin : one.origin};
}

/// The n-th modifier that is a type.
ptx::Type typeOf(const ptx::Instruction &instruction, unsigned n) {
  for (const std::string &modifier : instruction.modifiers)
    if (ptx::Type type = ptx::typeNamed(modifier);
        type != ptx::Type::None && n-- == 0)
      return type;
  return ptx::Type::None;
}

bool isSparse(const ptx::Instruction &instruction) {
  return std::any_of(instruction.modifiers.begin(), instruction.modifiers.end(),
                     [](const auto &name) { return name.starts_with("sp"); });
}

} // namespace

void UndefinedProduct::ofFragments() const {
  if (matrixShapeOf(source) == MatrixShape{8, 8, 4} &&
      typeOf(source, 1) == ptx::Type::F16)
    return ofQuadPairs();
  const bool sparse = isSparse(source);
  const unsigned tall = matrixShapeOf(source).m / 8;
  const unsigned sums = inst.destinations;
  const unsigned operands = inst.sources - sums - unsigned(sparse);
  const unsigned ofB = operands / (sparse ? 2 : tall + 1);
  const unsigned ofA = operands - ofB;
  Undefined rows[16], columns[8];
  for (unsigned lane = 0; lane < lanes; ++lane) {
    for (unsigned n = 0; n < ofA; ++n)
      join(rows[lane / 4 + 8 * (n % tall)], undefined(n, lane));
    for (unsigned n = 0; n < ofB; ++n)
      join(columns[lane / 4], undefined(ofA + n, lane));
    const unsigned first = inst.aux >> metadataLaneShift;
    if (!sparse || lane % 4 < first || lane % 4 >= first + inst.target)
      continue;
    const Undefined metadata = undefined(inst.sources - 1u, lane);
    join(rows[lane / 4], metadata);
    join(rows[lane / 4 + 8], metadata);
  }
  const unsigned each = typeOf(source, 0) == ptx::Type::F16 ? 2 : 1;
  for (unsigned n = 0; n < sums; ++n)
    for (unsigned lane = 0; lane < lanes; ++lane) {
      const Undefined sum = undefined(operands + n, lane);
      Undefined result;
      for (unsigned i = 0; i < each; ++i) {
        const unsigned row = lane / 4 + 8 * (n * each / 2);
        const unsigned column = 2 * (lane % 4) + (each == 2 ? i : n % 2);
        const uint64_t element =
            each == 2 ? lowBits(16) << 16 * i : lowBits(64);
        Undefined one = {sum.bits & element, sum.origin};
        join(one, rows[row]);
        join(one, columns[column]);
        add(result, one, element);
      }
      results[n][lane] = result;
    }
}

void UndefinedProduct::ofQuadPairs() const {
  using namespace numerics;
  const bool halfD = inst.destinations == 4, halfC = inst.sources == 8;
  auto elementBits = [](FragmentPlace place, bool halves) {
    return halves ? lowBits(16) << 16 * place.element : lowBits(64);
  };
  auto at = [&](unsigned first, FragmentPlace place, bool halves) {
    Undefined one =
        undefined(first + unsigned(place.number), unsigned(place.lane));
    one.bits &= elementBits(place, halves);
    return one;
  };
  for (int pair = 0; pair < quadPairs; ++pair) {
    Undefined rows[8], columns[8];
    for (int i = 0; i < 8; ++i)
      for (int k = 0; k < 4; ++k) {
        const bool byRows[] = {bool(inst.aux & QuadPairRowsOfA),
                               bool(inst.aux & QuadPairRowsOfB)};
        join(rows[i], at(0, quadPairFactor(pair, i, k, byRows[0]), true));
        join(columns[i], at(2, quadPairFactor(pair, i, k, !byRows[1]), true));
      }
    for (int row = 0; row < 8; ++row)
      for (int column = 0; column < 8; ++column) {
        Undefined one = at(4, quadPairSum(pair, row, column, halfC), halfC);
        join(one, rows[row]);
        join(one, columns[column]);
        const FragmentPlace place = quadPairSum(pair, row, column, halfD);
        add(results[size_t(place.number)][size_t(place.lane)], one,
            elementBits(place, halfD));
      }
  }
}

void UndefinedProduct::ofRowMajor() const {
  const MatrixShape shape = matrixShapeOf(source);
  // Products of halves name the types of D and C alone.
  const bool halves = typeOf(source, 2) == ptx::Type::None;
  const unsigned bits = bitsOf(halves ? ptx::Type::F16 : typeOf(source, 1));
  const bool packed = bits < 8; // B lies by columns
  const unsigned ofA = inst.aux & 0xff, ofB = inst.aux >> 8 & 0xff;
  std::vector<Undefined> rows(shape.m), columns(shape.n);
  const unsigned each = std::max(32 / bits, 1u);
  for (unsigned n = 0; n < ofA + ofB; ++n)
    for (unsigned i = 0; i < each * lanes; ++i) {
      Undefined one = undefined(n, i / each);
      one.bits = one.bits >> bits * (i % each) & lowBits(bits);
      const unsigned element = each * lanes * (n < ofA ? n : n - ofA) + i;
      if (n < ofA)
        join(rows[element / shape.k % shape.m], one);
      else
        join(columns[packed ? element / shape.k : element % shape.n], one);
    }
  const unsigned inSum = typeOf(source, 0) == ptx::Type::F16 ? 2 : 1;
  for (unsigned n = 0; n < inst.destinations; ++n)
    for (unsigned i = 0; i < inSum * lanes; ++i) {
      const unsigned lane = i / inSum, element = n * inSum * lanes + i;
      const uint64_t part =
          inSum == 2 ? lowBits(16) << 16 * (i % 2) : lowBits(64);
      Undefined one = undefined(ofA + ofB + n, lane);
      one.bits &= part;
      join(one, rows[element / shape.n]);
      join(one, columns[element % shape.n]);
      Undefined &result = results[n][lane];
      if (i % inSum == 0)
        result = Undefined();
      add(result, one, part);
    }
}

} // namespace qopt::emulator
