// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/checks/UndefinedValues.h"

#include "runtime/emulator/Block.h"
#include "runtime/emulator/checks/UndefinedMemory.h"
#include "runtime/emulator/checks/UndefinedProducts.h"

#include <algorithm>

namespace qopt::emulator {
namespace {

constexpr uint32_t scratchBytes = 4 * slotBytes;

bool hasModifier(const ptx::Instruction &instruction, std::string_view name) {
  return std::find(instruction.modifiers.begin(), instruction.modifiers.end(),
                   name) != instruction.modifiers.end();
}

/// An instruction's operands with what is undefined of them, and its results.
class UndefinedRun {
public:
  UndefinedRun(Warp &warp, const Inst &inst, uint32_t mask)
      : warp(warp), inst(inst), mask(mask),
        position(uint32_t(&inst - warp.program.code.data())),
        source(warp.program.sources[position]), results(inst.destinations) {}

  Step run();

private:
  bool reportUses();
  bool reportSources();
  Step runStore();

  Step findResults();
  void anyBit();
  Step moveBits();
  void combineBits();
  void testBits(unsigned lane, bool certain);
  void carryBits();
  void splitHalves();
  void pairUp();
  Step compare();
  Step vote();
  void spread();
  UndefinedProduct product() {
    return {*source, inst,
            [this](unsigned n, unsigned lane) { return undefined(n, lane); },
            results};
  }

  unsigned sourceWidth(unsigned n) const {
    return warp.program.operandBits[position][inst.destinations + n];
  }
  unsigned resultWidth(unsigned n) const {
    return warp.program.operandBits[position][n];
  }
  /// A register that nobody had written is undefined since this instruction.
  Undefined undefined(unsigned n, unsigned lane) const {
    Undefined value = warp.shadow.at(inst.source(n), sourceWidth(n), lane);
    if (value.origin == neverWritten)
      value.origin = position;
    return value;
  }
  /// All sources' bits, and the first origin.
  Undefined joined(unsigned lane) const {
    Undefined all;
    for (unsigned n = 0; n < inst.sources; ++n) {
      Undefined one = undefined(n, lane);
      if (one.bits && !all.bits)
        all.origin = one.origin;
      all.bits |= one.bits;
    }
    return all;
  }
  uint64_t value(uint32_t slot, unsigned width, unsigned lane) const {
    return width == 1    ? warp.predicate(slot) >> lane & 1
           : width == 64 ? warp.lanes64(slot)[lane]
                         : warp.lanes32(slot)[lane];
  }
  uint64_t value(unsigned n, unsigned lane) const {
    return value(inst.source(n), sourceWidth(n), lane);
  }
  void putAll(unsigned lane, Undefined value) {
    for (auto &result : results)
      result[lane] = value;
  }

  /// The instruction with other operands: `replace(lane, n)` is the value of
  /// those sources n below `replaced`. Its results are in the scratch slots.
  template <typename Replace> Step runWith(unsigned replaced, Replace replace);
  uint32_t scratch(unsigned operand) const {
    return warp.program.fileBytes + operand * scratchBytes;
  }
  uint64_t scratchResult(unsigned n, unsigned lane) const {
    return value(scratch(n), resultWidth(n), lane);
  }
  void set(uint32_t slot, unsigned width, unsigned lane, uint64_t value);

  Warp &warp;
  const Inst &inst;
  uint32_t mask;
  uint32_t position;
  const ptx::Instruction *source; ///< null for the decoder's own
  std::vector<std::array<Undefined, lanes>> results; ///< by destination
};

void UndefinedRun::set(uint32_t slot, unsigned width, unsigned lane,
                       uint64_t bits) {
  if (width == 64)
    warp.lanes64(slot)[lane] = bits;
  else if (width != 1)
    warp.lanes32(slot)[lane] = uint32_t(bits);
  else
    warp.predicate(slot) =
        (warp.predicate(slot) & ~(1u << lane)) | uint32_t(bits & 1) << lane;
}

template <typename Replace>
Step UndefinedRun::runWith(unsigned replaced, Replace replace) {
  std::vector<uint32_t> slots;
  for (unsigned n = 0; n < inst.destinations; ++n) {
    slots.push_back(scratch(n));
    std::fill_n(warp.file + scratch(n), scratchBytes, uint8_t(0));
  }
  for (unsigned n = 0; n < inst.sources; ++n) {
    if (n >= replaced) {
      slots.push_back(inst.source(n));
      continue;
    }
    uint32_t slot = scratch(inst.destinations + n);
    for (unsigned lane = 0; lane < lanes; ++lane)
      set(slot, sourceWidth(n), lane, replace(lane, n));
    slots.push_back(slot);
  }
  Inst other = inst;
  other.slots = slots.data();
  return inst.run(warp, other, mask);
}

bool UndefinedRun::reportSources() {
  for (unsigned n = 0; n < inst.sources; ++n)
    if (uint32_t uses = mask & ~warp.shadow.lanesDefined(inst.source(n)))
      return reportUse(warp, inst, uses, "an operand",
                       undefined(n, unsigned(std::countr_zero(uses))).origin);
  return true;
}

bool UndefinedRun::reportUses() {
  if (inst.guard) {
    uint32_t uses = warp.group().mask & ~warp.shadow.lanesDefined(inst.guard);
    if (uses &&
        !reportUse(
            warp, inst, uses, "the guard",
            warp.shadow.at(inst.guard, 1, unsigned(std::countr_zero(uses)))
                .origin))
      return false;
  }
  if (inst.traits & uint8_t(Traits::Address)) {
    uint32_t uses = mask & ~warp.shadow.lanesDefined(inst.source(0));
    if (uses &&
        !reportUse(warp, inst, uses, "the address",
                   undefined(0, unsigned(std::countr_zero(uses))).origin))
      return false;
  }
  bool isUse =
      inst.traits & uint8_t(Traits::Uses) ||
      (inst.destinations == 0 && !(inst.traits & uint8_t(Traits::Stores)));
  return !isUse || reportSources();
}

/// Memory gets what is undefined when it has got the data.
Step UndefinedRun::runStore() {
  if (source->opcode == "wmma") // does so itself, element by element
    return inst.run(warp, inst, mask);
  uint64_t addresses[lanes];
  computeAddresses(warp, inst, 0, addresses);
  Step step = inst.run(warp, inst, mask);
  if (step != Step::Next)
    return step;
  if (source->opcode == "stmatrix") {
    storeUndefinedRows(warp, inst, addresses);
    return step;
  }
  UndefinedStore store;
  store.bytes = warp.program.accesses[position].written / (inst.sources - 1u);
  for (store.source = 1; store.source < inst.sources; ++store.source) {
    if (!storeUndefined(warp, inst, mask, addresses, store))
      return Step::Stopped;
    for (uint64_t &address : addresses)
      address += store.bytes;
  }
  return step;
}

Step UndefinedRun::run() {
  if (!reportUses())
    return Step::Stopped;
  if (!mask)
    return Step::Next;
  if (inst.traits & uint8_t(Traits::Stores))
    return runStore();
  uint8_t noFlow = uint8_t(Traits::Uses) | uint8_t(Traits::Loads);
  if (inst.traits & noFlow || inst.destinations == 0) {
    for (unsigned n = 0; n < inst.destinations; ++n)
      warp.shadow.define(inst.destination(n), mask);
    return inst.run(warp, inst, mask);
  }
  Step step = findResults();
  if (step == Step::Next)
    step = inst.run(warp, inst, mask);
  if (step != Step::Next)
    return step; // is executed again, or never
  bool shuffles = source && source->opcode == "shfl";
  forLanes(mask, [&](unsigned lane) {
    if (shuffles) // marks itself what came from lanes that do not execute it
      if (Undefined own = warp.shadow.at(inst.destination(0), 32, lane);
          own.bits)
        results[0][lane] = own;
    for (unsigned n = 0; n < inst.destinations; ++n)
      warp.shadow.put(inst.destination(n), resultWidth(n), lane,
                      results[n][lane]);
  });
  return step;
}

Step UndefinedRun::findResults() {
  anyBit();
  switch (warp.program.flows[position].flow) {
  case Flow::Any:
    break;
  case Flow::Moves:
    return moveBits();
  case Flow::Logic:
    combineBits();
    break;
  case Flow::Carries:
    carryBits();
    break;
  case Flow::Halves:
    splitHalves();
    break;
  case Flow::Pair:
    pairUp();
    break;
  case Flow::Compare:
    return compare();
  case Flow::Vote:
    return vote();
  case Flow::WholeWarp:
    spread();
    break;
  case Flow::Product:
    product().ofFragments();
    break;
  case Flow::Fragments:
    product().ofRowMajor();
    break;
  }
  return Step::Next;
}

void UndefinedRun::anyBit() {
  forLanes(mask, [&](unsigned lane) {
    Undefined all = joined(lane);
    putAll(lane, {all.bits ? ~uint64_t(0) : 0, all.origin});
  });
}

/// The instruction itself, executed on the undefined bits, says where they go.
Step UndefinedRun::moveBits() {
  unsigned data = std::min(warp.program.flows[position].data, inst.sources);
  Step step = runWith(
      data, [&](unsigned lane, unsigned n) { return undefined(n, lane).bits; });
  if (step != Step::Next)
    return step;
  bool selects = source->opcode == "selp";
  forLanes(mask, [&](unsigned lane) {
    for (unsigned n = data; n < inst.sources; ++n)
      if (undefined(n, lane).bits)
        return; // nobody knows where they go
    Origin origin = selects ? undefined(value(2, lane) ? 0 : 1, lane).origin
                            : joined(lane).origin;
    for (unsigned n = 0; n < inst.destinations; ++n) {
      // shfl d|p: whether a lane was in range is no data.
      bool isData = resultWidth(n) != 1 || sourceWidth(0) == 1;
      results[n][lane] = {isData ? scratchResult(n, lane) : 0, origin};
    }
  });
  if (source->opcode == "movmatrix") {
    // Whatever is undefined comes from some lane.
    Origin origin = neverWritten;
    for (unsigned lane = 0; lane < lanes; ++lane)
      if (Undefined one = undefined(0, lane);
          one.bits && origin == neverWritten)
        origin = one.origin;
    for (Undefined &result : results[0])
      result.origin = origin;
  }
  if (source->opcode != "shfl")
    return step;
  // Origins come from the lanes that the values come from.
  step = runWith(
      1, [&](unsigned lane, unsigned) { return undefined(0, lane).origin; });
  forLanes(mask, [&](unsigned lane) {
    if (joined(lane).bits == undefined(0, lane).bits)
      results[0][lane].origin = Origin(scratchResult(0, lane));
  });
  return step;
}

/// An output bit is undefined if the undefined input bits can make it both 0
/// and 1. The truth table is that of lop3.
void UndefinedRun::combineBits() {
  const std::string &opcode = source->opcode;
  unsigned inputs = opcode == "not" ? 1 : opcode == "lop3" ? 3 : 2;
  forLanes(mask, [&](unsigned lane) {
    uint32_t table = opcode == "not"   ? 0x0f
                     : opcode == "and" ? 0xc0
                     : opcode == "or"  ? 0xfc
                     : opcode == "xor" ? 0x3c
                                       : uint32_t(value(3, lane));
    uint64_t canBe[2] = {0, 0};
    for (unsigned row = 0; row < 8; ++row) {
      uint64_t possible = ~uint64_t(0);
      for (unsigned n = 0; n < 3; ++n) {
        uint64_t bits = n < inputs ? value(n, lane) : 0;
        uint64_t open = n < inputs ? undefined(n, lane).bits : 0;
        possible &= open | (row >> (2 - n) & 1 ? bits : ~bits);
      }
      canBe[table >> row & 1] |= possible;
    }
    putAll(lane, {canBe[0] & canBe[1], joined(lane).origin});
    if (inst.destinations > 1)
      testBits(lane, (canBe[1] & ~canBe[0] & lowBits(32)) != 0);
  });
}

/// The predicate of lop3: a bit that is one for certain decides whether there
/// are any; and so may the other predicate.
void UndefinedRun::testBits(unsigned lane, bool certain) {
  Undefined &result = results[1][lane];
  const bool open = !certain && results[0][lane].bits & lowBits(32);
  const bool any = certain; // where it is not open
  const bool otherOpen = undefined(4, lane).bits;
  const bool other = (value(4, lane) & 1) != source->operands[5].negated;
  const bool decides = hasModifier(*source, "or");
  const bool decided =
      (!open && any == decides) || (!otherOpen && other == decides);
  result.bits = !decided && (open || otherOpen);
}

/// Sums and products of integers: from the lowest undefined bit upwards.
void UndefinedRun::carryBits() {
  forLanes(mask, [&](unsigned lane) {
    Undefined all = joined(lane);
    putAll(lane, {all.bits | (0 - all.bits), all.origin});
  });
}

void UndefinedRun::splitHalves() {
  forLanes(mask, [&](unsigned lane) {
    Undefined all = joined(lane);
    uint64_t low = all.bits & 0xffff ? 0xffff : 0;
    uint64_t high = all.bits >> 16 ? 0xffff0000 : 0;
    putAll(lane, {low | high, all.origin});
  });
}

void UndefinedRun::pairUp() {
  if (inst.sources != 2)
    return;
  unsigned part = resultWidth(0) / 2;
  forLanes(mask, [&](unsigned lane) {
    uint64_t upper = undefined(0, lane).bits ? lowBits(part) << part : 0;
    uint64_t lower = undefined(1, lane).bits ? lowBits(part) : 0;
    putAll(lane, {upper | lower, joined(lane).origin});
  });
}

/// setp: bits that differ decide between equal and not, and so may the other
/// predicate of an and or an or.
Step UndefinedRun::compare() {
  bool combines = inst.sources > 2;
  bool ands = hasModifier(*source, "and"), ors = hasModifier(*source, "or");
  bool equality = hasModifier(*source, "eq") || hasModifier(*source, "ne");
  for (const std::string &modifier : source->modifiers)
    equality &= !isFloat(ptx::typeNamed(modifier));
  uint32_t compared = 0; // lanes whose comparison is undefined
  forLanes(mask, [&](unsigned lane) {
    uint64_t open = undefined(0, lane).bits | undefined(1, lane).bits;
    uint64_t differ = (value(0, lane) ^ value(1, lane)) & ~open &
                      lowBits(std::min(sourceWidth(0), sourceWidth(1)));
    bool known = !open || (equality && differ);
    compared |= uint32_t(!known) << lane;
    if (known && !combines)
      putAll(lane, {});
    if (known || !combines || undefined(2, lane).bits)
      return;
    bool other = (value(2, lane) & 1) != source->operands[3].negated;
    if ((ands && !other) || (ors && other))
      putAll(lane, {});
  });
  if (!combines)
    return Step::Next;
  // The other predicate with either value, where the comparison is defined.
  std::vector<std::array<uint64_t, lanes>> first(inst.destinations);
  auto runFor = [&](uint64_t predicate) {
    return runWith(3, [&](unsigned lane, unsigned n) {
      return n == 2 && undefined(2, lane).bits ? predicate : value(n, lane);
    });
  };
  runFor(0);
  for (unsigned n = 0; n < inst.destinations; ++n)
    for (unsigned lane = 0; lane < lanes; ++lane)
      first[n][lane] = scratchResult(n, lane);
  runFor(1);
  forLanes(mask & ~compared, [&](unsigned lane) {
    for (unsigned n = 0; n < inst.destinations; ++n)
      results[n][lane].bits = first[n][lane] ^ scratchResult(n, lane);
  });
  return Step::Next;
}

/// With all undefined predicates false, then true: what differs is undefined.
Step UndefinedRun::vote() {
  if (hasModifier(*source, "uni")) {
    spread();
    return Step::Next;
  }
  auto runFor = [&](uint64_t predicate) {
    return runWith(1, [&](unsigned lane, unsigned n) {
      return undefined(n, lane).bits ? predicate : value(n, lane);
    });
  };
  spread();
  Step step = runFor(0);
  if (step != Step::Next)
    return step;
  std::array<uint64_t, lanes> first;
  for (unsigned lane = 0; lane < lanes; ++lane)
    first[lane] = scratchResult(0, lane);
  runFor(1);
  forLanes(mask, [&](unsigned lane) {
    if (!undefined(1, lane).bits)
      results[0][lane].bits = first[lane] ^ scratchResult(0, lane);
  });
  return step;
}

void UndefinedRun::spread() {
  Undefined all;
  forLanes(mask, [&](unsigned lane) {
    if (!all.bits)
      all = joined(lane);
  });
  forLanes(mask, [&](unsigned lane) {
    putAll(lane, {all.bits ? ~uint64_t(0) : 0, all.origin});
  });
}

} // namespace

Step runUndefined(Warp &warp, const Inst &inst, uint32_t mask) {
  return UndefinedRun(warp, inst, mask).run();
}

bool reportUse(Warp &warp, const Inst &inst, uint32_t mask,
               const std::string &what, Origin origin) {
  const Program &program = warp.program;
  auto position = uint32_t(&inst - program.code.data());
  if (origin == position || origin == neverWritten)
    return warp.report(inst, FindingKind::Uninitialised, mask,
                       what + " is a register that was never written");
  const Inst &from = program.code[origin];
  bool bytes = from.traits & (uint8_t(Traits::Loads) | uint8_t(Traits::Copies));
  const auto &reads = warp.block.worker.undefinedReads;
  auto read = reads.find(origin);
  bool shuffled = !bytes && read != reads.end();
  std::string detail =
      what + " depends on " +
      (bytes      ? "bytes that were never written, loaded"
       : shuffled ? "the register of a lane that does not "
                    "execute the shfl, read"
                  : "a register that was never written, read") +
      " at ptx line " + std::to_string(from.line) + " (" +
      program.textOf(from) + ")" +
      (read == reads.end() ? "" : ": first " + read->second);
  return warp.report(inst, FindingKind::Uninitialised, mask, detail, from.line);
}

} // namespace qopt::emulator
