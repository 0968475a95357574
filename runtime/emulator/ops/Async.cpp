// Asynchronous copies: cp.async with its groups, and cp.async.bulk. A copy
// lands as late as the program allows: at the wait, or when the copy engine
// gets to it; until then its destination is poisoned and guarded.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/Cluster.h"
#include "runtime/emulator/Mbarrier.h"
#include "runtime/emulator/MemoryAccess.h"

#include "runtime/emulator/checks/AccessChecks.h"
#include "runtime/emulator/checks/UndefinedMemory.h"

#include <cstring>

namespace qopt::emulator {
namespace {

/// What a destination holds while its copy is under way.
constexpr uint8_t poison = 0xff;

/// Longest time that the copy engine takes, in warp instructions of the
/// cluster.
constexpr uint32_t longestFlight = 2000;

AccessMark engineMark(const Warp &warp, unsigned lane, uint32_t tick) {
  return AccessMark::make(warp.clocks.warp | AccessMark::engine, tick, lane, 15,
                          false, SyncScope::Device);
}

/// The clock of an asynchronous operation that begins now, with a tick of its
/// own; empty without the race check.
VectorClock departure(Warp &warp, uint32_t tick) {
  VectorClock clock;
  if (warp.block.grid.options.checks.races) {
    clock = warp.clocks.known;
    clock.raise(warp.clocks.warp | AccessMark::engine, tick);
    warp.clocks.advance();
  }
  return clock;
}

/// Guards [offset, offset + bytes) until the copy lands.
void guard(Block &block, uint32_t offset, uint32_t bytes, uint32_t line) {
  if (!block.shadow || !block.grid.options.checks.copies)
    return;
  std::memset(block.shared.data() + offset, poison, bytes);
  std::memset(&block.shadow->state[offset], SharedShadow::Pending, bytes);
  std::fill(&block.shadow->pendingLine[offset / 4],
            &block.shadow->pendingLine[(offset + bytes + 3) / 4], line);
}

void landCopy(Block &block, const PendingCopy &copy, AccessMark mark) {
  uint8_t *to = block.shared.data() + copy.shared;
  std::memcpy(to, reinterpret_cast<const void *>(copy.global), copy.sourceSize);
  std::memset(to + copy.sourceSize, 0, copy.size - copy.sourceSize);
  markSharedWrite(block, copy.shared, copy.size, mark, copy.position);
  copyUndefined(block, copy.shared, copy.global, copy.sourceSize,
                copy.position);
}

/// Both ends of a copy by one lane: within bounds, aligned, and free to be
/// used. False when the lane must not copy; `stops`: nor the launch go on.
struct Ends {
  Block *block = nullptr; ///< whose shared memory it is
  uint32_t shared = 0;    ///< offset
  uint64_t global = 0;
};
bool checkEnds(Warp &warp, const Inst &inst, unsigned lane, Ends ends,
               uint32_t sharedBytes, uint32_t globalBytes, uint32_t alignment,
               bool toShared, bool &stops) {
  Block &block = *ends.block;
  auto fail = [&](FindingKind kind, const std::string &detail) {
    stops = !warp.report(inst, kind, 1u << lane, detail);
    return false;
  };
  if ((ends.shared | ends.global) & (alignment - 1))
    return fail(FindingKind::Misaligned,
                "copy between shared offset " + std::to_string(ends.shared) +
                    " and global address " + std::to_string(ends.global) +
                    "; both must be multiples of " + std::to_string(alignment));
  if (!block.holdsShared(ends.shared, sharedBytes))
    return fail(FindingKind::OutOfBounds,
                "copy of " + std::to_string(sharedBytes) +
                    " bytes at shared offset " + std::to_string(ends.shared) +
                    ": the block has " + std::to_string(block.shared.size()) +
                    " bytes");
  Allocation *allocation =
      globalBytes ? block.worker.allocationAt(ends.global) : nullptr;
  if (globalBytes &&
      (!allocation || !allocation->holds(ends.global, globalBytes)))
    return fail(FindingKind::OutOfBounds,
                "copy of " + std::to_string(globalBytes) +
                    " bytes at global address " + std::to_string(ends.global) +
                    (allocation
                         ? ": it ends behind the allocation of " +
                               std::to_string(allocation->bytes) + " bytes"
                         : ": no allocation is there"));
  if (!checkSharedRange(warp, block, inst, lane, ends.shared, sharedBytes,
                        toShared, AccessMark()) ||
      (block.grid.options.checks.any() && globalBytes &&
       !checkGlobalRange(warp, inst, lane, ends.global, globalBytes,
                         !toShared))) {
    stops = true;
    return false;
  }
  if (block.grid.options.countMemory)
    block.worker.countRange(ends.global, globalBytes, !toShared);
  return true;
}

/// The offset in the block's shared memory of an address in any of its spaces.
uint32_t sharedOffset(Block &block, uint64_t address) {
  return uint32_t(block.cluster.ownAddress(block, address & ~windowMask)) -
         sharedBase;
}

/// Second address of an instruction: source 1, offset2.
void secondAddresses(Warp &warp, const Inst &inst, uint64_t *addresses) {
  Inst second = inst;
  second.offset = inst.offset2;
  second.wide = inst.wide2;
  computeAddresses(warp, second, 1, addresses);
}

/// cp.async: aux is the size; source 2, if any, the bytes to read (the rest is
/// zero) or a predicate that says to read none.
enum : uint32_t { SizeBits = 0xff, HasSourceSize = 1 << 8, HasIgnore = 1 << 9 };

Step runCopy(Warp &warp, const Inst &inst, uint32_t mask) {
  uint64_t to[lanes], from[lanes];
  computeAddresses(warp, inst, 0, to);
  secondAddresses(warp, inst, from);
  Block &block = warp.block;
  uint32_t size = inst.aux & SizeBits;
  bool stops = false;
  auto copyOne = [&](unsigned lane) {
    uint32_t bytes = size;
    if (inst.aux & HasSourceSize)
      bytes = std::min(size, warp.lanes32(inst.source(2))[lane]);
    if (inst.aux & HasIgnore && warp.predicate(inst.source(2)) >> lane & 1)
      bytes = 0;
    Ends ends{&block, sharedOffset(block, to[lane]), from[lane]};
    if (bytes == 0)
      ends.global &= ~uint64_t(15); // not read: any address is good
    if (stops ||
        !checkEnds(warp, inst, lane, ends, size, bytes, size, true, stops))
      return;
    PendingCopy copy;
    copy.lane = uint8_t(lane);
    copy.size = uint8_t(size);
    copy.sourceSize = uint8_t(bytes);
    copy.position = uint32_t(&inst - warp.program.code.data());
    copy.group = warp.committed[lane];
    copy.shared = ends.shared;
    copy.global = ends.global;
    warp.copies.push_back(copy);
    block.worker.asyncRead += bytes;
    guard(block, ends.shared, size, inst.line);
  };
  forLanes(mask, copyOne);
  return stops ? Step::Stopped : Step::Next;
}

Step runCommit(Warp &warp, const Inst &, uint32_t mask) {
  forLanes(mask, [&](unsigned lane) { ++warp.committed[lane]; });
  return Step::Next;
}

/// Lands the copies of the lanes but those of the newest `inst.aux` groups.
Step runWaitGroup(Warp &warp, const Inst &inst, uint32_t mask) {
  AccessMark mark;
  std::erase_if(warp.copies, [&](const PendingCopy &copy) {
    uint32_t committed = warp.committed[copy.lane];
    bool due = inst.offset < 0 ||
               int64_t(copy.group) < int64_t(committed) - inst.offset;
    if (!(mask >> copy.lane & 1) || !due)
      return false;
    mark = AccessMark::make(warp.clocks.warp, warp.clocks.tick, copy.lane, 15,
                            false, SyncScope::Device);
    landCopy(warp.block, copy, mark);
    return true;
  });
  ++warp.block.events;
  return Step::Next;
}

/// cp.async.mbarrier.arrive without .noinc: the arrival is one more.
constexpr uint32_t increments = 1u << 16;

/// cp.async.mbarrier.arrive: an arrival when the lane's copies so far are in.
Step runCopyArrive(Warp &warp, const Inst &inst, uint32_t mask) {
  uint64_t addresses[lanes];
  uint8_t *places[lanes];
  computeAddresses(warp, inst, 0, addresses);
  if (!resolve(warp, inst, ptx::Space(inst.aux & SpaceBits), mask, 8,
               AccessKind::ReadWrite, addresses, places))
    return Step::Stopped;
  Block &block = warp.block;
  bool good = true;
  forLanes(mask, [&](unsigned lane) {
    if (block.cluster.holderOf(places[lane]) == &block)
      return;
    mask &= ~(1u << lane);
    good &= warp.report(inst, FindingKind::InvalidUse, 1u << lane,
                        "the mbarrier is not in the block's shared memory");
  });
  std::vector<PendingCopy> awaited[lanes];
  std::erase_if(warp.copies, [&](const PendingCopy &copy) {
    if (!(mask >> copy.lane & 1))
      return false;
    awaited[copy.lane].push_back(copy);
    return true;
  });
  forLanes(mask, [&](unsigned lane) {
    BulkCopy arrival;
    arrival.kind = BulkCopy::Arrive;
    arrival.due = block.executed + block.worker.random.below(longestFlight);
    arrival.mbarrier = uint32_t(places[lane] - block.shared.data());
    arrival.warp = &warp;
    arrival.lane = lane;
    arrival.tick = ++warp.clocks.engineTick;
    arrival.clock = departure(warp, arrival.tick);
    arrival.copies = std::move(awaited[lane]);
    if (inst.aux & increments) {
      MbarrierWord word = loadMbarrier(block, arrival.mbarrier);
      word.setMissing(word.missing() + 1);
      storeMbarrier(block, arrival.mbarrier, word);
    }
    block.send(std::move(arrival));
  });
  return good ? Step::Next : Step::Stopped;
}

/// Inst::aux of cp.async.bulk; above the low byte the offset of the mbarrier.
enum : uint32_t { WideBarrier = 1, Multicast = 2 };

/// The mbarrier of a bulk copy: source 3, whose form is in aux.
uint64_t barrierAddress(Warp &warp, const Inst &inst, unsigned lane) {
  uint64_t base = inst.aux & WideBarrier ? warp.lanes64(inst.source(3))[lane]
                                         : warp.lanes32(inst.source(3))[lane];
  return base + (inst.aux >> 8);
}

/// One copy by the bulk engine.
struct BulkRequest {
  Ends ends;
  uint32_t bytes = 0;
  uint32_t globalBytes = 0; ///< 0 when they were looked at before
  uint64_t mbarrier = 0;    ///< address in shared::cluster
};

/// What is wrong with the mbarrier of a copy to shared memory; "" if nothing.
std::string wrongBarrier(Warp &warp, const BulkRequest &request,
                         uint32_t offset) {
  Block *target = request.ends.block;
  Block *owner = warp.block.cluster.blockOf(warp.block, request.mbarrier);
  std::string where = target == &warp.block
                          ? ""
                          : " of block " + std::to_string(target->number);
  if (owner != target)
    return "the mbarrier must be in the shared memory" +
           (where.empty() ? " of the own block" : where) +
           ", where the copy goes";
  return target->mbarriers.count(offset)
             ? ""
             : "no mbarrier was initialised at shared offset " +
                   std::to_string(offset) + where;
}

/// Starts a copy by the bulk engine; it lands in the block that has the shared
/// memory.
template <bool ToShared>
void startBulk(Warp &warp, const Inst &inst, unsigned lane,
               const BulkRequest &request, bool &stops) {
  const Ends &ends = request.ends;
  Block &block = *ends.block;
  if (block.ended()) {
    stops = !warp.report(inst, FindingKind::InvalidUse, 1u << lane,
                         "block " + std::to_string(block.number) +
                             " has ended and its shared memory with it");
    return;
  }
  BulkCopy copy;
  copy.kind = ToShared ? BulkCopy::GlobalToShared : BulkCopy::SharedToGlobal;
  copy.position = uint32_t(&inst - warp.program.code.data());
  copy.tick = ++warp.clocks.engineTick;
  if (!checkEnds(warp, inst, lane, ends, request.bytes, request.globalBytes, 16,
                 ToShared, stops))
    return;
  if (ToShared) {
    copy.mbarrier = (uint32_t(request.mbarrier) & ~rankBits) - sharedBase;
    std::string wrong = wrongBarrier(warp, request, copy.mbarrier);
    if (!wrong.empty()) {
      stops = !warp.report(inst, FindingKind::InvalidUse, 1u << lane, wrong);
      return;
    }
  } else {
    stops =
        !checkSharedRange(warp, block, inst, lane, ends.shared, request.bytes,
                          false, engineMark(warp, lane, copy.tick));
  }
  Worker &worker = block.worker;
  copy.due = block.executed + worker.random.below(longestFlight);
  copy.shared = ends.shared;
  copy.global = ends.global;
  copy.bytes = request.bytes;
  copy.warp = &warp;
  copy.lane = lane;
  copy.group = warp.bulkGroups[lane];
  copy.clock = departure(warp, copy.tick);
  if (ToShared)
    guard(block, ends.shared, request.bytes, inst.line);
  (ToShared ? worker.bulkRead : worker.bulkWritten) += request.globalBytes;
  block.send(std::move(copy));
}

/// Copies to the same place in all blocks whose ranks are in source 4.
void startMulticast(Warp &warp, const Inst &inst, unsigned lane,
                    BulkRequest request, bool &stops) {
  Cluster &cluster = warp.block.cluster;
  uint32_t ranks = warp.lanes32(inst.source(4))[lane] & 0xffff;
  if (ranks >> cluster.size()) {
    stops = !warp.report(inst, FindingKind::OutOfBounds, 1u << lane,
                         "the mask of ranks " + std::to_string(ranks) +
                             " has ranks beyond the cluster of " +
                             std::to_string(cluster.size()) +
                             (cluster.size() > 1 ? " blocks" : " block"));
    return;
  }
  uint64_t place = request.mbarrier & ~uint64_t(rankBits);
  for (uint32_t rank = 0; rank < cluster.size() && !stops; ++rank) {
    if (!(ranks >> rank & 1))
      continue;
    request.ends.block = cluster.blocks[rank].get();
    request.mbarrier = place | uint64_t(rank + 1) << rankShift;
    startBulk<true>(warp, inst, lane, request, stops);
    request.globalBytes = 0;
  }
}

/// cp.async.bulk in both directions: source 2 is the size, source 3 the
/// mbarrier of a copy to shared memory.
template <bool ToShared>
Step runBulk(Warp &warp, const Inst &inst, uint32_t mask) {
  uint64_t to[lanes], from[lanes];
  computeAddresses(warp, inst, 0, to);
  secondAddresses(warp, inst, from);
  bool stops = false;
  auto copyOne = [&](unsigned lane) {
    if (stops)
      return;
    uint64_t shared = (ToShared ? to[lane] : from[lane]) & ~windowMask;
    BulkRequest request;
    request.ends = {warp.block.cluster.blockOf(warp.block, shared),
                    (uint32_t(shared) & ~rankBits) - sharedBase,
                    ToShared ? from[lane] : to[lane]};
    request.bytes = request.globalBytes = warp.lanes32(inst.source(2))[lane];
    Block *block = request.ends.block;
    if (!block || (!ToShared && block != &warp.block)) {
      stops = !warp.report(inst, FindingKind::OutOfBounds, 1u << lane,
                           block ? "the copy's source is in another block"
                                 : "the shared address is in no block of the "
                                   "cluster");
      return;
    }
    if (request.bytes % 16) {
      stops = !warp.report(inst, FindingKind::Misaligned, 1u << lane,
                           "the size " + std::to_string(request.bytes) +
                               " is no multiple of 16");
      return;
    }
    if (ToShared)
      request.mbarrier = barrierAddress(warp, inst, lane) & ~windowMask;
    if (ToShared && inst.aux & Multicast)
      startMulticast(warp, inst, lane, request, stops);
    else
      startBulk<ToShared>(warp, inst, lane, request, stops);
  };
  forLanes(mask, copyOne);
  return stops ? Step::Stopped : Step::Next;
}

Step runPrefetch(Warp &, const Inst &, uint32_t) { return Step::Next; }

Step runBulkCommit(Warp &warp, const Inst &, uint32_t mask) {
  forLanes(mask, [&](unsigned lane) { ++warp.bulkGroups[lane]; });
  return Step::Next;
}

/// The lanes' copies from shared memory but the newest groups: they land now.
Step runBulkWait(Warp &warp, const Inst &inst, uint32_t mask) {
  Block &block = warp.block;
  for (size_t i = 0; i < block.bulk.size();) {
    BulkCopy &copy = block.bulk[i];
    bool mine =
        copy.kind == BulkCopy::SharedToGlobal && copy.warp == &warp &&
        mask >> copy.lane & 1 &&
        int64_t(copy.group) < int64_t(warp.bulkGroups[copy.lane]) - inst.offset;
    if (!mine) {
      ++i;
      continue;
    }
    BulkCopy landing = std::move(copy);
    block.bulk.erase(block.bulk.begin() + ptrdiff_t(i));
    landBulkCopy(block, landing);
  }
  if (block.grid.options.checks.races)
    warp.clocks.known.raise(warp.clocks.warp | AccessMark::engine,
                            warp.clocks.engineTick);
  return Step::Next;
}

} // namespace

void landBulkCopy(Block &block, BulkCopy &copy) {
  AccessMark mark = engineMark(*copy.warp, copy.lane, copy.tick);
  switch (copy.kind) {
  case BulkCopy::GlobalToShared:
    std::memcpy(block.shared.data() + copy.shared,
                reinterpret_cast<const void *>(copy.global), copy.bytes);
    markSharedWrite(block, copy.shared, copy.bytes, mark, copy.position);
    copyUndefined(block, copy.shared, copy.global, copy.bytes, copy.position);
    completeTransactions(block, copy.mbarrier, copy.bytes, copy.clock);
    break;
  case BulkCopy::SharedToGlobal:
    std::memcpy(reinterpret_cast<void *>(copy.global),
                block.shared.data() + copy.shared, copy.bytes);
    break;
  case BulkCopy::Arrive: {
    for (const PendingCopy &pending : copy.copies)
      landCopy(block, pending, mark);
    MbarrierWord word = loadMbarrier(block, copy.mbarrier);
    word.setMissing(word.missing() - std::min(word.missing(), 1u));
    if (block.grid.options.checks.races)
      block.mbarriers[copy.mbarrier].arriving.join(copy.clock);
    storeMbarrier(block, copy.mbarrier, word);
    break;
  }
  }
}

namespace {

/// The first two operands are addresses, the destination first.
bool twoAddresses(Decoder &decoder, ptx::Space first, ptx::Space second) {
  Inst &inst = decoder.inst;
  if (!decoder.address(decoder.operand(0), first))
    return false;
  int64_t offset = std::exchange(inst.offset, 0);
  uint8_t wide = std::exchange(inst.wide, uint8_t(0));
  if (!decoder.address(decoder.operand(1), second))
    return false;
  inst.offset2 = std::exchange(inst.offset, offset);
  inst.wide2 = std::exchange(inst.wide, wide);
  inst.traits = uint8_t(Traits::Address) | uint8_t(Traits::Uses) |
                uint8_t(Traits::Copies);
  return true;
}

/// A literal count, as of wait_group.
bool literalOperand(Decoder &decoder, size_t n, int64_t &value) {
  if (n >= decoder.operands() ||
      decoder.operand(n).kind != ptx::Operand::Immediate)
    return decoder.fail("expected a number");
  value = int64_t(decoder.operand(n).bits);
  return true;
}

bool decodeCopy(Decoder &decoder) {
  int64_t size;
  if (!decoder.expectOperands(3, 5) ||
      !twoAddresses(decoder, ptx::Space::Shared, ptx::Space::Global) ||
      !literalOperand(decoder, 2, size))
    return false;
  if (size != 4 && size != 8 && size != 16)
    return decoder.fail("the size must be 4, 8 or 16");
  Inst &inst = decoder.inst;
  inst.aux = uint32_t(size);
  decoder.access.read = uint16_t(size);
  if (decoder.operands() > 3) {
    const ptx::Operand &fourth = decoder.operand(3);
    if (decoder.kindOf(fourth, OperandType::Word) == OperandType::Predicate) {
      inst.aux |= HasIgnore;
      if (!decoder.source(fourth, OperandType::Predicate))
        return false;
    } else if (decoder.registerBytes(fourth) != 8) { // else a cache policy
      inst.aux |= HasSourceSize;
      if (!decoder.source(fourth, OperandType::Word))
        return false;
    }
  }
  return decoder.emit(&runCopy);
}

bool decodeBulk(Decoder &decoder) {
  if (decoder.has("tensor"))
    return decoder.unknown();
  if (decoder.has("prefetch"))
    return decoder.emit(&runPrefetch);
  if (decoder.has("commit_group"))
    return decoder.emit(&runBulkCommit);
  if (decoder.has("wait_group"))
    return literalOperand(decoder, 0, decoder.inst.offset) &&
           decoder.emit(&runBulkWait);
  bool toShared = decoder.instruction().modifiers.size() > 2 &&
                  decoder.instruction().modifiers[2].starts_with("shared") &&
                  decoder.has("global");
  bool toGlobal = decoder.instruction().modifiers.size() > 2 &&
                  decoder.instruction().modifiers[2] == "global";
  if (!toShared && !toGlobal)
    return decoder.unknown();
  bool multicast = toShared && decoder.has("multicast::cluster");
  size_t least = multicast ? 5 : toShared ? 4 : 3; // then a cache policy
  if (!decoder.expectOperands(least, least + 1) ||
      !twoAddresses(decoder, toShared ? ptx::Space::Shared : ptx::Space::Global,
                    toShared ? ptx::Space::Global : ptx::Space::Shared) ||
      !decoder.source(decoder.operand(2), OperandType::Word))
    return false;
  if (!toShared)
    return decoder.emit(&runBulk<false>);
  // The mbarrier's offset and the width of its base go to aux.
  Inst kept = decoder.inst;
  decoder.inst.wide = Narrow;
  ptx::Space space = ptx::Space::Shared;
  if (!decoder.address(decoder.operand(3), space))
    return false;
  kept.aux = uint32_t(decoder.inst.offset) << 8 |
             (decoder.inst.wide & Wide ? uint32_t(WideBarrier) : 0) |
             (multicast ? uint32_t(Multicast) : 0);
  decoder.inst = kept;
  if (multicast && !decoder.source(decoder.operand(4), OperandType::Word))
    return false;
  return decoder.emit(&runBulk<true>);
}

bool decodeCp(Decoder &decoder) {
  if (!decoder.has("async"))
    return decoder.unknown();
  if (decoder.has("bulk"))
    return decodeBulk(decoder);
  if (decoder.has("commit_group"))
    return decoder.emit(&runCommit);
  if (decoder.has("wait_all")) {
    decoder.inst.offset = -1;
    return decoder.emit(&runWaitGroup);
  }
  if (decoder.has("wait_group"))
    return literalOperand(decoder, 0, decoder.inst.offset) &&
           decoder.emit(&runWaitGroup);
  if (!decoder.has("mbarrier"))
    return decodeCopy(decoder);
  ptx::Space space = spaceOf(decoder);
  if (!decoder.expectOperands(1, 1) ||
      !decoder.address(decoder.operand(0), space))
    return false;
  decoder.inst.aux = uint32_t(space) | Strong | BlockScope |
                     (decoder.has("noinc") ? 0u : increments);
  return decoder.emit(&runCopyArrive);
}

} // namespace

void addAsync(FamilyTable &table) { table["cp"] = &decodeCp; }

} // namespace qopt::emulator
