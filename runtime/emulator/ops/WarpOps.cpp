// Exchanges between the lanes of a warp: shfl, vote, match, redux, activemask,
// elect.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/MemoryAccess.h"

namespace qopt::emulator {
namespace {

/// An instruction whose source N is the member mask: `Each` is called with the
/// lanes that name the same members, and with those of them that take part.
template <unsigned N, auto Each>
Step byMembers(Warp &warp, const Inst &inst, uint32_t mask) {
  const uint32_t *wanted = warp.lanes32(inst.source(N));
  if (!warp.meet(inst, wanted, mask))
    return Step::Again;
  while (mask) {
    uint32_t members = wanted[std::countr_zero(mask)], same = 0;
    forLanes(mask, [&](unsigned lane) {
      same |= uint32_t(wanted[lane] == members) << lane;
    });
    mask &= ~same;
    members &= warp.alive;
    Each(warp, inst, same, members ? members : same);
  }
  return Step::Next;
}

enum class Shuffle : uint8_t { Up, Down, Butterfly, Index };

/// Undefined is what lanes of `mask` took of a lane from[lane] that does not
/// execute the instruction. Not asked where checks run it on other registers.
void markShuffled(Warp &warp, const Inst &inst, uint32_t mask,
                  const uint8_t *from) {
  uint32_t result = inst.destination(0);
  if (!warp.block.grid.options.checks.initialised ||
      result >= warp.program.fileBytes)
    return;
  warp.shadow.define(result, mask);
  forLanes(mask, [&](unsigned lane) {
    if (mask >> from[lane] & 1)
      return;
    auto position = uint32_t(&inst - warp.program.code.data());
    warp.block.worker.undefinedReads.try_emplace(
        position,
        "lane " + std::to_string(lane) + " of " + std::to_string(from[lane]));
    warp.shadow.put(result, 32, lane, {~uint64_t(0), position});
  });
}

/// PTX ISA, shfl.sync: the segment comes from c, the source lane from b.
template <Shuffle S>
void shuffle(Warp &warp, const Inst &inst, uint32_t mask, uint32_t) {
  const uint32_t *a = warp.lanes32(inst.source(0));
  const uint32_t *b = warp.lanes32(inst.source(1));
  const uint32_t *c = warp.lanes32(inst.source(2));
  uint32_t taken[lanes], inside = 0;
  uint8_t sources[lanes];
  for (unsigned lane = 0; lane < lanes; ++lane) {
    unsigned value = b[lane] & 31, clamp = c[lane] & 31;
    unsigned segment = c[lane] >> 8 & 31;
    unsigned last = (lane & segment) | (clamp & ~segment);
    unsigned first = lane & segment;
    unsigned from = S == Shuffle::Up          ? lane - value
                    : S == Shuffle::Down      ? lane + value
                    : S == Shuffle::Butterfly ? lane ^ value
                                              : first | (value & ~segment);
    bool within = S == Shuffle::Up ? int(from) >= int(last) : from <= last;
    from = within ? from & 31 : lane;
    taken[lane] = a[from];
    sources[lane] = uint8_t(from);
    inside |= uint32_t(within) << lane;
  }
  uint32_t *result = warp.lanes32(inst.destination());
  forLanes(mask, [&](unsigned lane) { result[lane] = taken[lane]; });
  if (inst.destinations > 1) {
    uint32_t &bits = warp.predicate(inst.destination(1));
    bits = (bits & ~mask) | (inside & mask);
  }
  markShuffled(warp, inst, mask, sources);
}

bool decodeShuffle(Decoder &decoder) {
  if (!decoder.has("sync") || !decoder.expectOperands(5, 5))
    return decoder.unknown();
  const ptx::Operand &to = decoder.operand(0);
  bool pair = to.kind == ptx::Operand::Vector;
  if (!decoder.destination(pair ? to.elements[0] : to, OperandType::Word) ||
      (pair && !decoder.destination(to.elements[1], OperandType::Predicate)))
    return false;
  for (unsigned i = 1; i < 5; ++i)
    if (!decoder.source(decoder.operand(i), OperandType::Word))
      return false;
  return decoder.emit(
      decoder.has("up")     ? &byMembers<3, &shuffle<Shuffle::Up>>
      : decoder.has("down") ? &byMembers<3, &shuffle<Shuffle::Down>>
      : decoder.has("bfly") ? &byMembers<3, &shuffle<Shuffle::Butterfly>>
                            : &byMembers<3, &shuffle<Shuffle::Index>>);
}

enum class Vote : uint8_t { All, Any, Uniform, Ballot };

/// aux: the predicate is negated.
template <Vote V>
void vote(Warp &warp, const Inst &inst, uint32_t mask, uint32_t members) {
  uint32_t bits = warp.predicate(inst.source(0));
  bits = (inst.aux ? ~bits : bits) & members;
  if constexpr (V == Vote::Ballot) {
    uint32_t *result = warp.lanes32(inst.destination());
    forLanes(mask, [&](unsigned lane) { result[lane] = bits; });
  } else {
    bool holds = V == Vote::All   ? bits == members
                 : V == Vote::Any ? bits != 0
                                  : bits == 0 || bits == members;
    uint32_t &result = warp.predicate(inst.destination());
    result = holds ? result | mask : result & ~mask;
  }
}

bool decodeVote(Decoder &decoder) {
  if (!decoder.has("sync") || !decoder.expectOperands(3, 3))
    return decoder.unknown();
  bool ballot = decoder.has("ballot");
  decoder.inst.aux = decoder.operand(1).negated;
  if (!decoder.destination(decoder.operand(0), ballot
                                                   ? OperandType::Word
                                                   : OperandType::Predicate) ||
      !decoder.source(decoder.operand(1), OperandType::Predicate) ||
      !decoder.source(decoder.operand(2), OperandType::Word))
    return false;
  return decoder.emit(ballot               ? &byMembers<1, &vote<Vote::Ballot>>
                      : decoder.has("all") ? &byMembers<1, &vote<Vote::All>>
                      : decoder.has("any")
                          ? &byMembers<1, &vote<Vote::Any>>
                          : &byMembers<1, &vote<Vote::Uniform>>);
}

/// match.any: the lanes with an equal value; match.all: all of them, or none.
template <typename T, bool All>
void match(Warp &warp, const Inst &inst, uint32_t mask, uint32_t members) {
  LaneSource<T> values(warp, inst.source(0));
  uint32_t *result = warp.lanes32(inst.destination());
  uint32_t equal[lanes] = {};
  forLanes(mask, [&](unsigned lane) {
    forLanes(members, [&](unsigned other) {
      equal[lane] |= uint32_t(values[lane] == values[other]) << other;
    });
  });
  uint32_t matching = 0;
  forLanes(mask, [&](unsigned lane) {
    bool whole = equal[lane] == members;
    matching |= uint32_t(whole) << lane;
    result[lane] = All && !whole ? 0 : equal[lane];
  });
  if (inst.destinations > 1) {
    uint32_t &bits = warp.predicate(inst.destination(1));
    bits = (bits & ~mask) | matching;
  }
}

bool decodeMatch(Decoder &decoder) {
  if (!decoder.has("sync") || !decoder.expectOperands(3, 3))
    return decoder.unknown();
  bool all = decoder.has("all"), wide = decoder.has("b64");
  const ptx::Operand &to = decoder.operand(0);
  bool pair = to.kind == ptx::Operand::Vector;
  if (!decoder.destination(pair ? to.elements[0] : to, OperandType::Word) ||
      (pair && !decoder.destination(to.elements[1], OperandType::Predicate)) ||
      !decoder.source(decoder.operand(1),
                      wide ? OperandType::LongWord : OperandType::Word) ||
      !decoder.source(decoder.operand(2), OperandType::Word))
    return false;
  if (all)
    return decoder.emit(wide ? &byMembers<1, &match<uint64_t, true>>
                             : &byMembers<1, &match<uint32_t, true>>);
  return decoder.emit(wide ? &byMembers<1, &match<uint64_t, false>>
                           : &byMembers<1, &match<uint32_t, false>>);
}

template <typename T, auto Combine>
void redux(Warp &warp, const Inst &inst, uint32_t mask, uint32_t members) {
  LaneSource<T> values(warp, inst.source(0));
  T total = values[unsigned(std::countr_zero(members))];
  forLanes(members & (members - 1),
           [&](unsigned lane) { total = Combine(total, values[lane]); });
  uint32_t *result = warp.lanes32(inst.destination());
  forLanes(mask, [&](unsigned lane) { result[lane] = toStorage<T>(total); });
}

template <typename T> Handler reduxHandler(const Decoder &decoder) {
  if (decoder.has("add"))
    return &byMembers<
        1, &redux<uint32_t, [](uint32_t a, uint32_t b) { return a + b; }>>;
  if (decoder.has("min"))
    return &byMembers<1, &redux<T, [](T a, T b) { return b < a ? b : a; }>>;
  if (decoder.has("max"))
    return &byMembers<1, &redux<T, [](T a, T b) { return a < b ? b : a; }>>;
  if (decoder.has("and"))
    return &byMembers<
        1, &redux<uint32_t, [](uint32_t a, uint32_t b) { return a & b; }>>;
  if (decoder.has("or"))
    return &byMembers<
        1, &redux<uint32_t, [](uint32_t a, uint32_t b) { return a | b; }>>;
  if (decoder.has("xor"))
    return &byMembers<
        1, &redux<uint32_t, [](uint32_t a, uint32_t b) { return a ^ b; }>>;
  return nullptr;
}

bool decodeRedux(Decoder &decoder) {
  if (!decoder.has("sync") || !decoder.expectOperands(3, 3) ||
      decoder.type() == ptx::Type::F32)
    return decoder.unknown();
  Handler handler = decoder.has("s32") ? reduxHandler<int32_t>(decoder)
                                       : reduxHandler<uint32_t>(decoder);
  if (!handler)
    return decoder.unknown();
  return decoder.destination(decoder.operand(0), OperandType::Word) &&
         decoder.source(decoder.operand(1), OperandType::Word) &&
         decoder.source(decoder.operand(2), OperandType::Word) &&
         decoder.emit(handler);
}

Step runActiveMask(Warp &warp, const Inst &inst, uint32_t mask) {
  uint32_t *result = warp.lanes32(inst.destination());
  forLanes(mask, [&](unsigned lane) { result[lane] = mask; });
  return Step::Next;
}

/// elect.sync d|p, mask: p holds for the lowest lane, d is its number.
void elect(Warp &warp, const Inst &inst, uint32_t mask, uint32_t members) {
  unsigned leader = unsigned(std::countr_zero(members));
  uint32_t *result = warp.lanes32(inst.destination(0));
  forLanes(mask, [&](unsigned lane) { result[lane] = leader; });
  uint32_t &bits = warp.predicate(inst.destination(1));
  bits = (bits & ~mask) | (mask & 1u << leader);
}

bool decodeActiveMask(Decoder &decoder) {
  return decoder.expectOperands(1, 1) &&
         decoder.destination(decoder.operand(0), OperandType::Word) &&
         decoder.emit(&runActiveMask);
}

bool decodeElect(Decoder &decoder) {
  if (!decoder.expectOperands(2, 2))
    return false;
  const ptx::Operand &to = decoder.operand(0);
  if (to.kind != ptx::Operand::Vector || to.elements.size() != 2)
    return decoder.fail("expected two destinations, d|p");
  decoder.inst.traits = uint8_t(Traits::Uses);
  return decoder.destination(to.elements[0], OperandType::Word) &&
         decoder.destination(to.elements[1], OperandType::Predicate) &&
         decoder.source(decoder.operand(1), OperandType::Word) &&
         decoder.emit(&byMembers<0, &elect>);
}

} // namespace

void addWarpOps(FamilyTable &table) {
  table["shfl"] = &decodeShuffle;
  table["vote"] = &decodeVote;
  table["match"] = &decodeMatch;
  table["redux"] = &decodeRedux;
  table["activemask"] = &decodeActiveMask;
  table["elect"] = &decodeElect;
}

} // namespace qopt::emulator
