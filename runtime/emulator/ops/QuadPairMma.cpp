// mma.m8n8k4 of f16: four products of 8 × 4 by 4 × 8 in a warp, as Volta has
// them. numerics/QuadPairs.h says where the elements are.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/Decoder.h"

#include "runtime/emulator/checks/UndefinedProducts.h"
#include "runtime/emulator/numerics/Half.h"
#include "runtime/emulator/numerics/QuadPairs.h"
#include "runtime/emulator/ops/WholeWarp.h"

#include <bit>
#include <cmath>

namespace qopt::emulator {
namespace {

using namespace numerics;

uint16_t halfAt(Warp &warp, const Inst &inst, int first, FragmentPlace place) {
  const unsigned number = unsigned(first + place.number);
  return uint16_t(warp.lanes32(inst.source(number))[place.lane] >>
                  16 * place.element);
}

/// As code for Hopper has it, in f32: products one after the other by fma, or
/// in two pairs where C and D are of halves, and c added behind them.
float productOf(const float *a, const float *b, bool inPairs) {
  if (inPairs)
    return std::fma(a[1], b[1], a[0] * b[0]) +
           std::fma(a[3], b[3], a[2] * b[2]);
  float sum = 0;
  for (int k = 0; k < quadPairDepth; ++k)
    sum = std::fma(a[k], b[k], sum);
  return sum;
}

void multiplyPair(Warp &warp, const Inst &inst, int pair, bool halfD) {
  constexpr int inB = 2, inC = 4;
  const bool halfC = inst.sources == 8;
  float a[8][quadPairDepth], b[8][quadPairDepth], sums[64];
  for (int i = 0; i < 8; ++i)
    for (int k = 0; k < quadPairDepth; ++k) {
      a[i][k] = widen<Float16>(
          halfAt(warp, inst, 0,
                 quadPairFactor(pair, i, k, inst.aux & QuadPairRowsOfA)));
      b[i][k] = widen<Float16>(
          halfAt(warp, inst, inB,
                 quadPairFactor(pair, i, k, !(inst.aux & QuadPairRowsOfB))));
    }
  for (int i = 0; i < 64; ++i) {
    const FragmentPlace place = quadPairSum(pair, i / 8, i % 8, halfC);
    const float c = halfC ? widen<Float16>(halfAt(warp, inst, inC, place))
                          : std::bit_cast<float>(warp.lanes32(inst.source(
                                unsigned(inC + place.number)))[place.lane]);
    sums[i] = canonical(productOf(a[i / 8], b[i % 8], halfC && halfD) + c);
  }
  for (int i = 0; i < 64; ++i) {
    const FragmentPlace place = quadPairSum(pair, i / 8, i % 8, halfD);
    uint32_t &word =
        warp.lanes32(inst.destination(unsigned(place.number)))[place.lane];
    word = halfD
               ? (word & 0xffff0000u >> 16 * place.element) |
                     uint32_t(fromFloat<Float16>(sums[i])) << 16 * place.element
               : std::bit_cast<uint32_t>(sums[i]);
  }
}

template <bool HalfD> Step runQuadPairs(Warp &warp, const Inst &inst) {
  for (int pair = 0; pair < quadPairs; ++pair)
    multiplyPair(warp, inst, pair, HalfD);
  return Step::Next;
}

} // namespace

/// mma.sync.aligned.m8n8k4.alayout.blayout.d.f16.f16.c
bool decodeQuadPairs(Decoder &decoder) {
  const ptx::Type d = decoder.type(0), c = decoder.type(3);
  const bool halfC = c == ptx::Type::F16, halfD = d == ptx::Type::F16;
  std::vector<std::string> layouts;
  for (const std::string &modifier : decoder.instruction().modifiers)
    if (modifier == "row" || modifier == "col")
      layouts.push_back(modifier);
  if (decoder.type(2) != ptx::Type::F16 || layouts.size() != 2 ||
      (!halfC && c != ptx::Type::F32) || (!halfD && d != ptx::Type::F32) ||
      (halfD && !halfC))
    return decoder.unknown();
  auto kindOf = [](bool halves) {
    return halves ? OperandType::Word : OperandType::Single;
  };
  if (!decoder.expectOperands(4, 4) ||
      !decoder.destinations(decoder.operand(0), kindOf(halfD)) ||
      !decoder.sources(decoder.operand(1), OperandType::Word) ||
      !decoder.sources(decoder.operand(2), OperandType::Word) ||
      !decoder.sources(decoder.operand(3), kindOf(halfC)))
    return false;
  const size_t sums = halfD ? 4 : 8, operands = halfC ? 8 : 12;
  if (!decoder.hasCounts(sums, operands))
    return decoder.fail("expected " + std::to_string(sums) +
                        " registers of results and " +
                        std::to_string(operands) + " of operands");
  decoder.inst.aux = (layouts[0] == "row" ? QuadPairRowsOfA : 0u) |
                     (layouts[1] == "row" ? QuadPairRowsOfB : 0u);
  return decoder.emit(halfD ? &onWholeWarp<runQuadPairs<true>>
                            : &onWholeWarp<runQuadPairs<false>>);
}

} // namespace qopt::emulator
