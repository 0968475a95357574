// mma.m8n8k4 of f16: four products of 8 × 4 by 4 × 8 in a warp, as Volta has
// them. numerics/QuadPairs.h says where the elements are.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/Decoder.h"

#include "runtime/emulator/checks/UndefinedProducts.h"
#include "runtime/emulator/numerics/QuadPairs.h"
#include "runtime/emulator/numerics/RowMajorTiles.h"
#include "runtime/emulator/ops/WholeWarp.h"

namespace qopt::emulator {
namespace {

using namespace numerics;

uint16_t halfAt(Warp &warp, const Inst &inst, int first, FragmentPlace place) {
  const unsigned number = unsigned(first + place.number);
  return uint16_t(warp.lanes32(inst.source(number))[place.lane] >>
                  16 * place.element);
}

/// Sum: float, or uint16_t where D is of halves, too. Code for Hopper adds c of
/// f32 to the sum of the products, rounding to nearest.
template <typename Sum>
void multiplyPair(Warp &warp, const Inst &inst, int pair) {
  constexpr int depth = 4, padded = 8; // the least k of other products
  constexpr int inB = 2, inC = 4;
  uint16_t a[16 * padded] = {}, b[padded * 8] = {};
  Sum sums[16 * 8] = {};
  float added[64] = {};
  for (int i = 0; i < 8; ++i)
    for (int k = 0; k < depth; ++k) {
      a[i * padded + k] =
          halfAt(warp, inst, 0,
                 quadPairFactor(pair, i, k, inst.aux & QuadPairRowsOfA));
      b[k * 8 + i] =
          halfAt(warp, inst, inB,
                 quadPairFactor(pair, i, k, !(inst.aux & QuadPairRowsOfB)));
    }
  const bool halfC = inst.sources == 8;
  for (int i = 0; i < 64; ++i) {
    const FragmentPlace place = quadPairSum(pair, i / 8, i % 8, halfC);
    if constexpr (std::is_same_v<Sum, uint16_t>)
      sums[i] = halfAt(warp, inst, inC, place);
    else if (halfC)
      sums[i] = widen<Float16>(halfAt(warp, inst, inC, place));
    else
      added[i] = std::bit_cast<float>(
          warp.lanes32(inst.source(unsigned(inC + place.number)))[place.lane]);
  }
  multiplyTile<Float16, padded>(a, b, sums, sums);
  for (int i = 0; i < 64; ++i) {
    constexpr bool halfD = std::is_same_v<Sum, uint16_t>;
    const FragmentPlace place = quadPairSum(pair, i / 8, i % 8, halfD);
    uint32_t &word =
        warp.lanes32(inst.destination(unsigned(place.number)))[place.lane];
    if constexpr (halfD)
      word = (word & 0xffff0000u >> 16 * place.element) |
             uint32_t(sums[i]) << 16 * place.element;
    else
      word = std::bit_cast<uint32_t>(halfC ? sums[i]
                                           : canonical(sums[i] + added[i]));
  }
}

template <typename Sum> Step runQuadPairs(Warp &warp, const Inst &inst) {
  for (int pair = 0; pair < quadPairs; ++pair)
    multiplyPair<Sum>(warp, inst, pair);
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
  return decoder.emit(halfD ? &onWholeWarp<runQuadPairs<uint16_t>>
                            : &onWholeWarp<runQuadPairs<float>>);
}

} // namespace qopt::emulator
