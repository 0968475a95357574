// cp.async.bulk and cp.reduce.async.bulk: copies by the bulk engine between
// global memory and shared memory, and between the blocks of a cluster.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/Mbarrier.h"
#include "runtime/emulator/ops/AsyncCopies.h"

#include "runtime/emulator/checks/AccessChecks.h"
#include "runtime/emulator/checks/UndefinedMemory.h"
#include "runtime/emulator/ops/AtomicOperations.h"

#include <cstring>

namespace qopt::emulator {
namespace {

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

/// What a reduction does with elements; of a copy, nothing.
Reduction reductionOf(const Warp &warp, const Inst &inst) {
  return inst.target ? warp.program.reductions[inst.target - 1] : Reduction();
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
                         endedBlock(block));
    return;
  }
  BulkCopy copy;
  copy.kind = ToShared ? BulkCopy::GlobalToShared : BulkCopy::SharedToGlobal;
  copy.position = uint32_t(&inst - warp.program.code.data());
  copy.tick = ++warp.clocks.engineTick;
  copy.reduction = reductionOf(warp, inst);
  const Extents extents = {request.bytes, request.globalBytes, 16, ToShared,
                           copy.reduction.combine != nullptr};
  if (!checkEnds(warp, inst, lane, ends, extents, stops))
    return;
  if (ToShared) {
    copy.mbarrier = (uint32_t(request.mbarrier) & ~rankBits) - sharedBase;
    std::string wrong =
        wrongBarrier(warp, &block, request.mbarrier, copy.mbarrier);
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

/// From the block's shared memory to that of any block of the cluster.
void startBetweenBlocks(Warp &warp, const Inst &inst, unsigned lane,
                        SharedTarget target, uint32_t source, bool &stops) {
  Block &own = warp.block;
  Block &block = *target.block;
  BulkCopy copy;
  copy.kind = BulkCopy::SharedToShared;
  copy.reduction = reductionOf(warp, inst);
  const uint64_t mbarrier = barrierAddress(warp, inst, lane) & ~windowMask;
  copy.mbarrier = (uint32_t(mbarrier) & ~rankBits) - sharedBase;
  const bool within = block.holdsShared(target.offset, target.bytes) &&
                      own.holdsShared(source, target.bytes);
  std::string wrong =
      block.ended() ? endedBlock(block)
      : (target.offset | source) % 16
          ? "copy from shared offset " + std::to_string(source) + " to " +
                std::to_string(target.offset) + "; both must be multiples of 16"
      : !within
          ? "copy of " + std::to_string(target.bytes) +
                " bytes from shared offset " + std::to_string(source) + " to " +
                std::to_string(target.offset) + ": a block has " +
                std::to_string(own.shared.size()) + " bytes"
          : wrongBarrier(warp, &block, mbarrier, copy.mbarrier);
  if (!wrong.empty()) {
    const FindingKind kind = block.ended() ? FindingKind::InvalidUse
                             : (target.offset | source) % 16
                                 ? FindingKind::Misaligned
                             : !within ? FindingKind::OutOfBounds
                                       : FindingKind::InvalidUse;
    stops = !warp.report(inst, kind, 1u << lane, wrong);
    return;
  }
  copy.tick = target.tick = ++warp.clocks.engineTick;
  target.reduces = copy.reduction.combine != nullptr;
  stops = !checkSharedRange(warp, own, inst, lane, source, target.bytes, false,
                            engineMark(warp, lane, copy.tick)) ||
          !prepareTarget(warp, inst, lane, target);
  copy.position = uint32_t(&inst - warp.program.code.data());
  copy.due = block.executed + block.worker.random.below(longestFlight);
  copy.shared = target.offset;
  copy.from = &own;
  copy.source = source;
  copy.bytes = target.bytes;
  copy.warp = &warp;
  copy.lane = lane;
  copy.clock = departure(warp, copy.tick);
  block.send(std::move(copy));
}

Step runBetweenBlocks(Warp &warp, const Inst &inst, uint32_t mask) {
  uint64_t to[lanes], from[lanes];
  computeAddresses(warp, inst, 0, to);
  secondAddresses(warp, inst, from);
  Cluster &cluster = warp.block.cluster;
  bool stops = false;
  forLanes(mask, [&](unsigned lane) {
    if (stops)
      return;
    const uint64_t target = to[lane] & ~windowMask;
    const uint64_t source = from[lane] & ~windowMask;
    const uint32_t bytes = warp.lanes32(inst.source(2))[lane];
    Block *block = cluster.blockOf(warp.block, target);
    const bool own = cluster.blockOf(warp.block, source) == &warp.block;
    if (!block || !own)
      stops = !warp.report(inst, FindingKind::OutOfBounds, 1u << lane,
                           own ? "the shared address is in no block of the "
                                 "cluster"
                               : "the copy's source is in another block");
    else if (bytes % 16)
      stops = !warp.report(inst, FindingKind::Misaligned, 1u << lane,
                           "the size " + std::to_string(bytes) +
                               " is no multiple of 16");
    else
      startBetweenBlocks(
          warp, inst, lane,
          {block, (uint32_t(target) & ~rankBits) - sharedBase, bytes},
          (uint32_t(source) & ~rankBits) - sharedBase, stops);
  });
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

void reduce(const BulkCopy &copy, uint8_t *to, const uint8_t *from) {
  const Reduction &reduction = copy.reduction;
  for (uint32_t at = 0; reduction.combine && at < copy.bytes;
       at += reduction.bytes)
    reduction.combine(to + at, from + at);
}

/// Puts bytes into the block's shared memory, or combines them with what is
/// there.
void arrive(Block &block, const BulkCopy &copy, const uint8_t *from,
            AccessMark mark) {
  uint8_t *to = block.shared.data() + copy.shared;
  if (!copy.reduction.combine) {
    std::memcpy(to, from, copy.bytes);
    markSharedWrite(block, copy.shared, copy.bytes, mark, copy.position);
  }
  reduce(copy, to, from);
  completeTransactions(block, copy.mbarrier, copy.bytes, copy.clock);
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
  case BulkCopy::SharedToGlobal: {
    auto *to = reinterpret_cast<uint8_t *>(copy.global);
    const uint8_t *from = block.shared.data() + copy.shared;
    if (!copy.reduction.combine)
      std::memcpy(to, from, copy.bytes);
    reduce(copy, to, from);
    break;
  }
  case BulkCopy::SharedToShared:
    arrive(block, copy, copy.from->shared.data() + copy.source, mark);
    break;
  case BulkCopy::Store:
    arrive(block, copy, copy.data.data(), mark);
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

/// The mbarrier of a copy: its offset and the width of its base go to aux.
bool decodeBarrier(Decoder &decoder, bool multicast) {
  Inst kept = decoder.inst;
  decoder.inst.wide = Narrow;
  ptx::Space space = ptx::Space::Shared;
  if (!decoder.address(decoder.operand(3), space))
    return false;
  kept.aux = uint32_t(decoder.inst.offset) << 8 |
             (decoder.inst.wide & Wide ? uint32_t(WideBarrier) : 0) |
             (multicast ? uint32_t(Multicast) : 0);
  decoder.inst = kept;
  return true;
}

/// The operation of cp.reduce; false where there is none such.
bool decodeReduction(Decoder &decoder, ptx::Space space) {
  const ptx::Type type = decoder.type();
  Reducer reducer = atomicOperation<ReducerMaker>(decoder, type, space);
  if (!reducer)
    return decoder.unknown();
  decoder.program.reductions.push_back({reducer, sizeOf(type)});
  decoder.inst.target = uint32_t(decoder.program.reductions.size());
  // What is in the destination is read when the instruction begins.
  decoder.inst.traits &= uint8_t(~uint8_t(Traits::Copies));
  return true;
}

} // namespace

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
  // cp.async.bulk.to.from or cp.reduce.async.bulk.to.from
  const std::vector<std::string> &words = decoder.instruction().modifiers;
  const bool reduces = decoder.has("reduce");
  const size_t at = reduces ? 3 : 2;
  if (words.size() < at + 2)
    return decoder.unknown();
  const bool toShared = words[at].starts_with("shared");
  const bool toGlobal = words[at] == "global";
  const bool fromShared = words[at + 1].starts_with("shared");
  if ((!toShared && !toGlobal) || fromShared == (words[at + 1] == "global") ||
      (toGlobal && !fromShared) || (reduces && !fromShared))
    return decoder.unknown();
  const bool multicast = toShared && decoder.has("multicast::cluster");
  size_t least = multicast ? 5 : toShared ? 4 : 3; // then a cache policy
  const ptx::Space to = toShared ? ptx::Space::Shared : ptx::Space::Global;
  if (!decoder.expectOperands(least, least + 1) ||
      !twoAddresses(decoder, to,
                    fromShared ? ptx::Space::Shared : ptx::Space::Global) ||
      !decoder.source(decoder.operand(2), OperandType::Word) ||
      (toShared && !decodeBarrier(decoder, multicast)) ||
      (multicast && !decoder.source(decoder.operand(4), OperandType::Word)) ||
      (reduces && !decodeReduction(decoder, to)))
    return false;
  return decoder.emit(!toShared    ? &runBulk<false>
                      : fromShared ? &runBetweenBlocks
                                   : &runBulk<true>);
}

} // namespace qopt::emulator
