// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/ops/AsyncCopies.h"

#include "runtime/emulator/checks/AccessChecks.h"
#include "runtime/emulator/checks/UndefinedMemory.h"

#include <cstring>

namespace qopt::emulator {
namespace {

/// What a destination holds while its copy is under way.
constexpr uint8_t poison = 0xff;

} // namespace

AccessMark engineMark(const Warp &warp, unsigned lane, uint32_t tick,
                      bool atomic) {
  return AccessMark::make(warp.clocks.warp | AccessMark::engine, tick, lane, 15,
                          atomic, SyncScope::Device);
}

VectorClock departure(Warp &warp, uint32_t tick) {
  VectorClock clock;
  if (warp.block.grid.options.checks.races) {
    clock = warp.clocks.known;
    clock.raise(warp.clocks.warp | AccessMark::engine, tick);
    warp.clocks.advance();
  }
  return clock;
}

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

bool checkEnds(Warp &warp, const Inst &inst, unsigned lane, Ends ends,
               Extents extents, bool &stops) {
  Block &block = *ends.block;
  const auto [sharedBytes, globalBytes, alignment, toShared, reduces] = extents;
  const AccessKind kind = toShared  ? AccessKind::Read
                          : reduces ? AccessKind::ReadWrite
                                    : AccessKind::Write;
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
      (!allocation || !allocation->holds(ends.global, globalBytes) ||
       (allocation->heap &&
        !allocation->heap->holds(ends.global, globalBytes))))
    return fail(FindingKind::OutOfBounds,
                "copy of " + std::to_string(globalBytes) +
                    " bytes at global address " + std::to_string(ends.global) +
                    (allocation && allocation->heap
                         ? allocation->heap->describe(ends.global)
                     : allocation
                         ? ": it ends behind the allocation of " +
                               std::to_string(allocation->bytes) + " bytes"
                         : ": no allocation is there"));
  if (!checkSharedRange(warp, block, inst, lane, ends.shared, sharedBytes,
                        toShared, AccessMark()) ||
      (block.grid.options.checks.any() && globalBytes &&
       !checkGlobalRange(warp, inst, lane, ends.global, globalBytes, kind))) {
    stops = true;
    return false;
  }
  if (block.grid.options.countMemory)
    block.worker.countRange(ends.global, globalBytes, !toShared);
  return true;
}

std::string wrongBarrier(Warp &warp, Block *target, uint64_t address,
                         uint32_t offset) {
  Block *owner = warp.block.cluster.blockOf(warp.block, address);
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

std::string endedBlock(const Block &block) {
  return "block " + std::to_string(block.number) +
         " has ended and its shared memory with it";
}

bool prepareTarget(Warp &warp, const Inst &inst, unsigned lane,
                   const SharedTarget &target) {
  Block &block = *target.block;
  const AccessMark mark =
      target.reduces ? engineMark(warp, lane, target.tick, true) : AccessMark();
  if (target.reduces &&
      !checkSharedRange(warp, block, inst, lane, target.offset, target.bytes,
                        false, mark))
    return false;
  if (!checkSharedRange(warp, block, inst, lane, target.offset, target.bytes,
                        true, mark))
    return false;
  if (target.reduces)
    markSharedWrite(block, target.offset, target.bytes, mark,
                    uint32_t(&inst - warp.program.code.data()));
  else
    guard(block, target.offset, target.bytes, inst.line);
  return true;
}

void secondAddresses(Warp &warp, const Inst &inst, uint64_t *addresses) {
  Inst second = inst;
  second.offset = inst.offset2;
  second.wide = inst.wide2;
  computeAddresses(warp, second, 1, addresses);
}

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

bool literalOperand(Decoder &decoder, size_t n, int64_t &value) {
  if (n >= decoder.operands() ||
      decoder.operand(n).kind != ptx::Operand::Immediate)
    return decoder.fail("expected a number");
  value = int64_t(decoder.operand(n).bits);
  return true;
}

} // namespace qopt::emulator
