// mbarrier.init, inval, arrive, arrive_drop, expect_tx, complete_tx, test_wait,
// try_wait, pending_count.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/Mbarrier.h"
#include "runtime/emulator/Cluster.h"
#include "runtime/emulator/MemoryAccess.h"

#include "runtime/emulator/checks/AccessChecks.h"

#include <cstring>

namespace qopt::emulator {

MbarrierWord loadMbarrier(Block &block, uint32_t offset) {
  MbarrierWord word;
  std::memcpy(&word.bits, block.shared.data() + offset, 8);
  return word;
}

void storeMbarrier(Block &block, uint32_t offset, MbarrierWord word) {
  bool completes = word.complete();
  if (completes)
    word.nextPhase();
  std::memcpy(block.shared.data() + offset, &word.bits, 8);
  ++block.events;
  if (!completes)
    return;
  MbarrierState &state = block.mbarriers[offset];
  state.complete.join(state.arriving);
  state.arriving.clear();
  state.clusterComplete.join(state.clusterArriving);
  state.clusterArriving.clear();
  block.wakeMbarrier(offset);
}

void completeTransactions(Block &block, uint32_t offset, uint32_t bytes,
                          const VectorClock &clock) {
  MbarrierWord word = loadMbarrier(block, offset);
  if (block.grid.options.checks.races)
    block.mbarriers[offset].arriving.join(clock);
  word.setTransactions(word.transactions() - bytes);
  storeMbarrier(block, offset, word);
}

namespace {

/// Inst::aux beside the flags of the access.
enum : uint32_t {
  Expects = 1u << 16, ///< .expect_tx: the count is one of bytes
  Drops = 1u << 17,
  Parity = 1u << 18,
  Tries = 1u << 19,
  OfCluster = 1u << 20, ///< .cluster: orders threads of several blocks
  OwnOnly = 1u << 21,   ///< not on an mbarrier of another block
};

/// The mbarrier of one lane.
struct Object {
  unsigned lane = 0;
  Block *block = nullptr;
  uint32_t offset = 0;

  MbarrierWord load() const { return loadMbarrier(*block, offset); }
  void store(MbarrierWord word) const { storeMbarrier(*block, offset, word); }
  MbarrierState &state() const { return block->mbarriers[offset]; }
};

/// The object at a place; its block stays null after a finding. False when the
/// launch stops.
bool findObject(Warp &warp, const Inst &inst, unsigned lane,
                const uint8_t *place, Object &object) {
  Block *owner = warp.block.cluster.holderOf(place);
  if (!owner || (owner != &warp.block && inst.aux & OwnOnly))
    return warp.report(inst, FindingKind::InvalidUse, 1u << lane,
                       owner ? "the mbarrier is in block " +
                                   std::to_string(owner->number) +
                                   "; it must be in the thread's own"
                             : "the mbarrier is not in shared memory");
  object = {lane, owner, uint32_t(place - owner->shared.data())};
  return true;
}

/// Runs `body(object)` for lanes whose address is an initialised mbarrier;
/// false when the launch stops.
template <typename Body>
bool forMbarriers(Warp &warp, const Inst &inst, uint32_t mask, AccessKind kind,
                  Body body) {
  uint64_t addresses[lanes];
  uint8_t *places[lanes];
  computeAddresses(warp, inst, 0, addresses);
  if (!resolve(warp, inst, ptx::Space(inst.aux & SpaceBits), mask, 8, kind,
               addresses, places))
    return false;
  Object object;
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    unsigned lane = unsigned(std::countr_zero(rest));
    // Lanes mostly agree on one.
    if (!object.block || places[lane] != places[object.lane]) {
      object = Object();
      if (!findObject(warp, inst, lane, places[lane], object))
        return false;
    }
    object.lane = lane;
    if (!object.block)
      continue;
    if (object.block->mbarriers.count(object.offset)) {
      if (!body(object))
        return false;
      continue;
    }
    std::string where =
        object.block == &warp.block
            ? ""
            : " of block " + std::to_string(object.block->number);
    if (!warp.report(inst, FindingKind::InvalidUse, 1u << lane,
                     "no mbarrier was initialised at shared offset " +
                         std::to_string(object.offset) + where))
      return false;
  }
  return true;
}

/// What the warp knows is for those who wait: in its own block, and with
/// .cluster in others.
void joinArrival(Warp &warp, const Inst &inst, const Object &object) {
  if (!warp.block.grid.options.checks.races)
    return;
  MbarrierState &state = object.state();
  if (object.block == &warp.block)
    state.arriving.join(warp.clocks.known);
  if (inst.aux & OfCluster)
    state.clusterArriving.join(warp.clocks.known);
}

Step runInit(Warp &warp, const Inst &inst, uint32_t mask) {
  uint64_t addresses[lanes];
  uint8_t *places[lanes];
  computeAddresses(warp, inst, 0, addresses);
  if (!resolve(warp, inst, ptx::Space(inst.aux & SpaceBits), mask, 8,
               AccessKind::Write, addresses, places))
    return Step::Stopped;
  const uint32_t *counts = warp.lanes32(inst.source(1));
  bool good = true;
  forLanes(mask, [&](unsigned lane) {
    Object object;
    good = good && findObject(warp, inst, lane, places[lane], object);
    if (!object.block)
      return;
    if (counts[lane] == 0 || counts[lane] > MbarrierWord::mostCount) {
      good &= warp.report(inst, FindingKind::InvalidUse, 1u << lane,
                          "the count " + std::to_string(counts[lane]) +
                              " is not within 1 and 1048575");
      return;
    }
    object.state() = MbarrierState();
    object.store(MbarrierWord::initial(counts[lane]));
  });
  return good ? Step::Next : Step::Stopped;
}

Step runInvalidate(Warp &warp, const Inst &inst, uint32_t mask) {
  bool good = forMbarriers(warp, inst, mask, AccessKind::Write,
                           [&](const Object &object) {
                             object.block->mbarriers.erase(object.offset);
                             return true;
                           });
  return good ? Step::Next : Step::Stopped;
}

/// arrive, arrive.expect_tx, arrive_drop and both: source 1 is a count of
/// arrivals or of bytes.
Step runArrive(Warp &warp, const Inst &inst, uint32_t mask) {
  const uint32_t *counts = warp.lanes32(inst.source(1));
  // All lanes of a phase pass on the same.
  Object told;
  auto arrive = [&](const Object &object) {
    unsigned lane = object.lane;
    MbarrierWord word = object.load();
    uint64_t before = word.bits;
    bool expects = inst.aux & Expects;
    uint32_t arrivals = expects ? 1 : counts[lane];
    if (arrivals > word.missing() &&
        !warp.report(inst, FindingKind::InvalidUse, 1u << lane,
                     "arrives " + std::to_string(arrivals) +
                         " times, but the phase waits for " +
                         std::to_string(word.missing()) + " of " +
                         std::to_string(word.expected()) + " arrivals"))
      return false;
    if (expects)
      word.setTransactions(word.transactions() + counts[lane]);
    word.setMissing(word.missing() - std::min(arrivals, word.missing()));
    if (inst.aux & Drops)
      word.setExpected(word.expected() - std::min(arrivals, word.expected()));
    if (told.block != object.block || told.offset != object.offset)
      joinArrival(warp, inst, object);
    told = word.complete() ? Object() : object;
    object.store(word);
    if (inst.destinations)
      warp.lanes64(inst.destination())[lane] = before;
    return true;
  };
  if (!forMbarriers(warp, inst, mask, AccessKind::ReadWrite, arrive))
    return Step::Stopped;
  if (warp.block.grid.options.checks.races)
    warp.clocks.advance();
  return Step::Next;
}

/// expect_tx and complete_tx: bytes more or fewer to come, no arrival.
template <int Sign>
Step runTransactions(Warp &warp, const Inst &inst, uint32_t mask) {
  const uint32_t *counts = warp.lanes32(inst.source(1));
  bool good = forMbarriers(
      warp, inst, mask, AccessKind::ReadWrite, [&](const Object &object) {
        MbarrierWord word = object.load();
        word.setTransactions(word.transactions() +
                             Sign * int64_t(counts[object.lane]));
        object.store(word);
        return true;
      });
  return good ? Step::Next : Step::Stopped;
}

/// test_wait and try_wait: source 1 is a state, or the parity of a phase.
Step runWait(Warp &warp, const Inst &inst, uint32_t mask) {
  uint32_t done = 0;
  uint32_t waitsFor = ~0u;
  const MbarrierState *learnt = nullptr;
  auto test = [&](const Object &object) {
    unsigned lane = object.lane;
    MbarrierWord word = object.load();
    bool phase;
    if (inst.aux & Parity)
      phase = warp.lanes32(inst.source(1))[lane] & 1;
    else
      phase = MbarrierWord{warp.lanes64(inst.source(1))[lane]}.phase();
    // Complete when the present phase is another one.
    if (word.phase() != phase) {
      done |= 1u << lane;
      if (warp.block.grid.options.checks.races && learnt != &object.state()) {
        learnt = &object.state();
        warp.clocks.known.join(learnt->complete);
        if (inst.aux & OfCluster)
          warp.clocks.known.join(learnt->clusterComplete);
      }
    } else {
      waitsFor = object.offset;
    }
    return true;
  };
  if (!forMbarriers(warp, inst, mask, AccessKind::Read, test))
    return Step::Stopped;
  uint32_t &result = warp.predicate(inst.destination());
  Group &group = warp.group();
  bool timedOut = std::exchange(group.timedOut, false);
  if (!done && inst.aux & Tries && !timedOut && waitsFor != ~0u) {
    group.state = Group::AtMbarrier;
    group.barrier = waitsFor;
    return Step::Again;
  }
  result = (result & ~mask) | (done & mask);
  return done ? Step::Next : Step::Yield;
}

Step runPending(Warp &warp, const Inst &inst, uint32_t mask) {
  forLanes(mask, [&](unsigned lane) {
    MbarrierWord word{warp.lanes64(inst.source(0))[lane]};
    warp.lanes32(inst.destination())[lane] = word.missing();
  });
  return Step::Next;
}

bool barrierAddress(Decoder &decoder, size_t n) {
  ptx::Space space = spaceOf(decoder);
  if (n >= decoder.operands() || !decoder.address(decoder.operand(n), space))
    return decoder.fail("expected the address of an mbarrier");
  bool several = decoder.program.hasClusters();
  // The object itself is atomic for all who reach it.
  decoder.inst.aux |=
      uint32_t(space) | Strong | uint32_t(several ? ClusterScope : BlockScope);
  if (several && decoder.has("cluster"))
    decoder.inst.aux |= OfCluster;
  decoder.inst.traits = uint8_t(Traits::Address) | uint8_t(Traits::Uses);
  return true;
}

bool decodeArrive(Decoder &decoder) {
  size_t at = 0;
  Inst &inst = decoder.inst;
  inst.aux = (decoder.has("expect_tx") ? uint32_t(Expects) : 0) |
             (decoder.has("arrive_drop") ? uint32_t(Drops) : 0);
  if (decoder.operand(0).kind != ptx::Operand::Address &&
      !decoder.destination(decoder.operand(at++), OperandType::LongWord))
    return false;
  if (!barrierAddress(decoder, at++))
    return false;
  if (at < decoder.operands()) {
    if (!decoder.source(decoder.operand(at), OperandType::Word))
      return false;
  } else {
    decoder.constant(1, OperandType::Word);
  }
  return decoder.emit(&runArrive);
}

bool decodeWait(Decoder &decoder) {
  bool parity = decoder.has("parity");
  decoder.inst.aux = (parity ? uint32_t(Parity) : 0) |
                     (decoder.has("try_wait") ? uint32_t(Tries) : 0) | OwnOnly;
  // A last operand may be the time limit.
  return decoder.expectOperands(3, 4) &&
         decoder.destination(decoder.operand(0), OperandType::Predicate) &&
         barrierAddress(decoder, 1) &&
         decoder.source(decoder.operand(2),
                        parity ? OperandType::Word : OperandType::LongWord) &&
         decoder.emit(&runWait);
}

bool decodeMbarrier(Decoder &decoder) {
  if (decoder.has("arrive") || decoder.has("arrive_drop"))
    return decodeArrive(decoder);
  if (decoder.has("test_wait") || decoder.has("try_wait"))
    return decodeWait(decoder);
  if (decoder.has("pending_count"))
    return decoder.expectOperands(2, 2) &&
           decoder.destination(decoder.operand(0), OperandType::Word) &&
           decoder.source(decoder.operand(1), OperandType::LongWord) &&
           decoder.emit(&runPending);
  if (!barrierAddress(decoder, 0))
    return false;
  if (decoder.has("inval")) {
    decoder.inst.aux |= OwnOnly;
    return decoder.emit(&runInvalidate);
  }
  if (!decoder.expectOperands(2, 2) ||
      !decoder.source(decoder.operand(1), OperandType::Word))
    return false;
  if (decoder.has("init")) {
    decoder.inst.aux &= ~uint32_t(Strong | BlockScope | ClusterScope);
    decoder.inst.aux |= OwnOnly;
    if (ptx::Space(decoder.inst.aux & SpaceBits) == ptx::Space::SharedCluster)
      return decoder.unknown();
    return decoder.emit(&runInit);
  }
  if (decoder.has("expect_tx"))
    return decoder.emit(&runTransactions<1>);
  return decoder.has("complete_tx") ? decoder.emit(&runTransactions<-1>)
                                    : decoder.unknown();
}

} // namespace

void addMbarriers(FamilyTable &table) { table["mbarrier"] = &decodeMbarrier; }

} // namespace qopt::emulator
