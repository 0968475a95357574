// cp.async with its groups and mbarriers. A copy lands as late as the program
// allows: at the wait, or when the copy engine gets to it; until then its
// destination is poisoned and guarded.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/Mbarrier.h"
#include "runtime/emulator/ops/AsyncCopies.h"

namespace qopt::emulator {
namespace {

/// The offset in the block's shared memory of an address in any of its spaces.
uint32_t sharedOffset(Block &block, uint64_t address) {
  return uint32_t(block.cluster.ownAddress(block, address & ~windowMask)) -
         sharedBase;
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
        !checkEnds(warp, inst, lane, ends, {size, bytes, size, true}, stops))
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
