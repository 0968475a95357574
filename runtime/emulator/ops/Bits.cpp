// Bits: logic, shifts, fields, permutations, counts; lop3 with its predicate.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/Decoder.h"
#include "runtime/emulator/numerics/Integer.h"

namespace qopt::emulator {
namespace {

using namespace numerics;

template <typename T> void addLogic(OpTable &table, const std::string &t) {
  table.add<[](T a, T b) { return T(a & b); }>("and." + t);
  table.add<[](T a, T b) { return T(a | b); }>("or." + t);
  table.add<[](T a, T b) { return T(a ^ b); }>("xor." + t);
  table.add<[](T a) { return T(~a); }>("not." + t);
  table.add<[](T a) { return T(a == 0); }>("cnot." + t);
  table.add<[](T a, uint32_t n) { return shiftLeft(a, n); }>("shl." + t);
  table.add<[](T a, uint32_t n) { return shiftRight(a, n); }>("shr." + t);
}

template <typename T> void addShift(OpTable &table, const std::string &t) {
  table.add<[](T a, uint32_t n) { return shiftRight(a, n); }>("shr." + t);
}

template <typename T> void addCounts(OpTable &table, const std::string &t) {
  table.add<[](T a) { return uint32_t(std::popcount(a)); }>("popc." + t);
  table.add<[](T a) { return uint32_t(std::countl_zero(a)); }>("clz." + t);
  table.add<&reverseBits<T>>("brev." + t);
  table.add<&insertField<T>>("bfi." + t);
}

template <typename T> void addFields(OpTable &table, const std::string &t) {
  table.add<&extractField<T>>("bfe." + t);
  table.add<[](T a) { return findLeading(a, false); }>("bfind." + t);
  table.add<[](T a) { return findLeading(a, true); }>("bfind.shiftamt." + t);
}

template <bool Wrap> void addFunnels(OpTable &table, const std::string &mode) {
  table.add<[](uint32_t a, uint32_t b, uint32_t n) {
    return funnelLeft(a, b, n, Wrap);
  }>("shf.l." + mode + ".b32");
  table.add<[](uint32_t a, uint32_t b, uint32_t n) {
    return funnelRight(a, b, n, Wrap);
  }>("shf.r." + mode + ".b32");
  table.add<[](uint32_t a, uint32_t n) { return extendFrom(a, n, Wrap); }>(
      "szext." + mode + ".u32");
  table.add<[](int32_t a, uint32_t n) { return extendFrom(a, n, Wrap); }>(
      "szext." + mode + ".s32");
  table.add<[](uint32_t a, uint32_t b) { return bitMask(a, b, Wrap); }>(
      "bmsk." + mode + ".b32");
}

template <PermuteMode Mode>
void addPermute(OpTable &table, const std::string &name) {
  table.add<[](uint32_t a, uint32_t b, uint32_t c) {
    return permute(a, b, c, Mode);
  }>(name);
}

/// lop3.b32 d, a, b, c, table: the table is a literal, the same in all lanes.
Step runLogic3(Warp &warp, const Inst &inst, uint32_t mask) {
  const uint32_t *a = warp.lanes32(inst.source(0));
  const uint32_t *b = warp.lanes32(inst.source(1));
  const uint32_t *c = warp.lanes32(inst.source(2));
  uint32_t logic = *warp.lanes32(inst.source(3));
  uint32_t *result = warp.lanes32(inst.destination());
  // The table as eight masks: no branch within the lanes' loop.
  uint32_t terms[8];
  for (unsigned i = 0; i < 8; ++i)
    terms[i] = logic >> i & 1 ? ~0u : 0;
  auto value = [&](unsigned lane) {
    uint32_t x = a[lane], y = b[lane], z = c[lane];
    uint32_t notZ0 = (terms[0] & ~z) | (terms[1] & z);
    uint32_t notZ1 = (terms[2] & ~z) | (terms[3] & z);
    uint32_t notZ2 = (terms[4] & ~z) | (terms[5] & z);
    uint32_t notZ3 = (terms[6] & ~z) | (terms[7] & z);
    return (~x & ((~y & notZ0) | (y & notZ1))) |
           (x & ((~y & notZ2) | (y & notZ3)));
  };
  if (mask == fullMask) {
#pragma clang loop vectorize(assume_safety)
    for (unsigned lane = 0; lane < lanes; ++lane)
      result[lane] = value(lane);
  } else {
    forLanes(mask, [&](unsigned lane) { result[lane] = value(lane); });
  }
  return Step::Next;
}

/// lop3.or.b32 d|p, a, b, c, table, q and .and: p is whether d has bits, or or
/// and q. aux: what is flipped of q.
template <bool Or>
Step runLogic3Predicate(Warp &warp, const Inst &inst, uint32_t mask) {
  uint32_t other = warp.predicate(inst.source(4)) ^ inst.aux;
  runLogic3(warp, inst, mask);
  const uint32_t *result = warp.lanes32(inst.destination());
  uint32_t any = 0;
  for (unsigned lane = 0; lane < lanes; ++lane)
    any |= uint32_t(result[lane] != 0) << lane;
  uint32_t &predicate = warp.predicate(inst.destination(1));
  predicate = (predicate & ~mask) | ((Or ? any | other : any & other) & mask);
  return Step::Next;
}

bool decodeLogic3(Decoder &decoder) {
  const bool either = decoder.has("or"), both = decoder.has("and");
  const bool tests = either || both;
  if (decoder.type() != ptx::Type::B32 || (either && both) ||
      decoder.instruction().modifiers.size() != (tests ? 2 : 1))
    return decoder.unknown();
  if (!decoder.expectOperands(tests ? 6 : 5, tests ? 6 : 5))
    return false;
  const ptx::Operand &to = decoder.operand(0);
  if (tests && (to.kind != ptx::Operand::Vector || to.elements.size() != 2))
    return decoder.fail("expected a register and a predicate, d|p");
  if (!decoder.destination(tests ? to.elements[0] : to, OperandType::Word) ||
      (tests && !decoder.destination(to.elements[1], OperandType::Predicate)))
    return false;
  for (unsigned i = 1; i < 5; ++i)
    if (!decoder.source(decoder.operand(i), OperandType::Word))
      return false;
  if (!tests)
    return decoder.emit(&runLogic3);
  decoder.inst.aux = decoder.operand(5).negated ? fullMask : 0;
  return decoder.source(decoder.operand(5), OperandType::Predicate) &&
         decoder.emit(either ? &runLogic3Predicate<true>
                             : &runLogic3Predicate<false>);
}

} // namespace

void addBitOps(OpTable &table) {
  addLogic<uint16_t>(table, "b16");
  addLogic<uint32_t>(table, "b32");
  addLogic<uint64_t>(table, "b64");
  addShift<uint16_t>(table, "u16");
  addShift<uint32_t>(table, "u32");
  addShift<uint64_t>(table, "u64");
  addShift<int16_t>(table, "s16");
  addShift<int32_t>(table, "s32");
  addShift<int64_t>(table, "s64");
  table.add<[](bool a, bool b) { return a && b; }>("and.pred");
  table.add<[](bool a, bool b) { return a || b; }>("or.pred");
  table.add<[](bool a, bool b) { return a != b; }>("xor.pred");
  table.add<[](bool a) { return !a; }>("not.pred");
  addCounts<uint32_t>(table, "b32");
  addCounts<uint64_t>(table, "b64");
  addFields<uint32_t>(table, "u32");
  addFields<uint64_t>(table, "u64");
  addFields<int32_t>(table, "s32");
  addFields<int64_t>(table, "s64");
  addFunnels<false>(table, "clamp");
  addFunnels<true>(table, "wrap");
  table.add<&findNthSet>("fns.b32");
  addPermute<PermuteMode::Index>(table, "prmt.b32");
  addPermute<PermuteMode::ForwardFour>(table, "prmt.b32.f4e");
  addPermute<PermuteMode::BackwardFour>(table, "prmt.b32.b4e");
  addPermute<PermuteMode::ReplicateByte>(table, "prmt.b32.rc8");
  addPermute<PermuteMode::EdgeClampLeft>(table, "prmt.b32.ecl");
  addPermute<PermuteMode::EdgeClampRight>(table, "prmt.b32.ecr");
  addPermute<PermuteMode::ReplicateHalf>(table, "prmt.b32.rc16");
}

void addLogic3(FamilyTable &table) { table["lop3"] = &decodeLogic3; }

} // namespace qopt::emulator
