// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/checks/AccessChecks.h"

#include "runtime/emulator/Cluster.h"
#include "runtime/emulator/checks/RaceCheck.h"
#include "runtime/emulator/checks/UndefinedMemory.h"
#include "runtime/emulator/checks/UndefinedValues.h"

#include <cstring>

namespace qopt::emulator {
namespace {

std::string hex(uint64_t value) {
  char text[24];
  std::snprintf(text, sizeof text, "%llx",
                static_cast<unsigned long long>(value));
  return text;
}

/// The bytes of the word at `word` that an access from `first` on touches.
unsigned bytesOfWord(uint64_t word, uint64_t first, uint64_t size) {
  uint64_t start = word * 4;
  unsigned bytes = 0;
  for (unsigned i = 0; i < 4; ++i)
    bytes |= unsigned(start + i >= first && start + i < first + size) << i;
  return bytes;
}

bool wantsPages(const Inst &inst, AccessKind kind) {
  return kind != AccessKind::Read || !(inst.aux & ReadOnly);
}

bool checkGlobalRaces(Warp &warp, const Inst &inst, uint32_t &mask,
                      unsigned bytes, AccessKind kind,
                      RaceCheck::Strength strength, const uint64_t *addresses) {
  GlobalShadow &shadow = *warp.block.grid.shadow;
  RaceCheck check(warp, inst, kind, strength);
  GlobalShadow::Page *page = nullptr;
  std::unique_lock<std::mutex> lock;
  constexpr uint64_t pageWords = GlobalShadow::pageBytes / 4;
  uint64_t pageNumber = ~uint64_t(0);
  bool make = wantsPages(inst, kind);
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    unsigned lane = unsigned(std::countr_zero(rest));
    uint64_t address = addresses[lane];
    bool whole = bytes % 4 == 0 && address % 4 == 0;
    bool raced = false;
    uint64_t end = (address + bytes + 3) / 4, count = 1;
    for (uint64_t word = address / 4; word < end; word += count) {
      uint64_t number = word / pageWords;
      if (number != pageNumber) {
        if (lock.owns_lock())
          lock.unlock();
        page = shadow.page(word * 4, make);
        pageNumber = number;
        if (page)
          lock = std::unique_lock<std::mutex>(page->mutex);
      }
      uint64_t inRun = word % GlobalShadow::runWords;
      count = whole ? std::min(end - word, GlobalShadow::runWords - inRun) : 1;
      if (!page)
        continue;
      GlobalShadow::Run &run =
          page->runs[word % pageWords / GlobalShadow::runWords];
      AccessCell *all = count == GlobalShadow::runWords ? run.whole() : nullptr;
      unsigned touched = whole ? 15 : bytesOfWord(word, address, bytes);
      if (!check.words(all ? all : run.each() + inRun, all ? 1 : count,
                       check.markOf(lane, touched), address, "global", raced))
        return false;
    }
    if (raced)
      mask &= ~(1u << lane);
  }
  return true;
}

bool checkGlobalBytes(Warp &warp, const Inst &inst, uint32_t &mask,
                      unsigned bytes, AccessKind kind,
                      const uint64_t *addresses) {
  Worker &worker = warp.block.worker;
  // What a copy reads is looked at when it lands.
  bool reads =
      kind != AccessKind::Write && !(inst.traits & uint8_t(Traits::Copies));
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    unsigned lane = unsigned(std::countr_zero(rest));
    Allocation *allocation = worker.allocationAt(addresses[lane]);
    if (!allocation || !allocation->written)
      continue;
    if (reads && !allocation->isWritten(addresses[lane], bytes)) {
      UndefinedRead read;
      read.lane = lane;
      read.bytes = bytes;
      for (unsigned i = 0; i < std::min(bytes, 64u); ++i)
        read.undefined |=
            uint64_t(!allocation->isWritten(addresses[lane] + i, 1)) << i;
      read.where = "global address 0x" + hex(addresses[lane]);
      if (!readUndefined(warp, inst, read))
        return false;
    }
    if (kind != AccessKind::Read)
      allocation->markWritten(addresses[lane], bytes);
  }
  return true;
}

/// The bytes are written, and no copy to any of them is pending.
bool areSettled(const uint8_t *state, unsigned bytes) {
  constexpr uint32_t settled = SharedShadow::Written * 0x01010101u;
  uint32_t others = 0;
  unsigned i = 0;
  for (; i + 4 <= bytes; i += 4) {
    uint32_t four;
    std::memcpy(&four, state + i, 4);
    others |= four ^ settled;
  }
  for (; i < bytes; ++i)
    others |= uint32_t(state[i]) ^ SharedShadow::Written;
  return !others;
}

/// What any of the bytes are; with `write` they become written.
uint8_t bytesState(uint8_t *state, unsigned bytes, bool write) {
  uint8_t any = 0;
  for (unsigned i = 0; i < bytes; ++i) {
    any |= state[i];
    if (write)
      state[i] = uint8_t((state[i] | SharedShadow::Written) &
                         ~SharedShadow::Undefined);
  }
  return any;
}

/// Whether all of the bytes have the bits `wanted` and none of them
/// `unwanted`.
bool allAre(const uint8_t *state, uint64_t bytes, uint8_t wanted,
            uint8_t unwanted) {
  uint8_t all = 0xff, any = 0;
  for (uint64_t i = 0; i < bytes; ++i) {
    all &= state[i];
    any |= state[i];
  }
  return (all & wanted) == wanted && !(any & unwanted);
}

/// Which of the bytes at a shared offset are not defined, and since when.
void findUndefined(const SharedShadow &shadow, uint32_t offset,
                   UndefinedRead &read) {
  for (unsigned i = 0; i < read.bytes; ++i) {
    uint8_t state = shadow.state[offset + i];
    if (state & SharedShadow::Written)
      continue;
    read.undefined |= uint64_t(1) << i;
    if (state & SharedShadow::Undefined && read.origin == neverWritten)
      read.origin = shadow.origins[offset + i];
  }
}

/// State of the bytes: pending copies and bytes that are not defined.
bool checkSharedBytes(Warp &warp, Block &block, const Inst &inst,
                      uint32_t &mask, unsigned bytes, AccessKind kind,
                      const uint64_t *addresses) {
  SharedShadow &shadow = *block.shadow;
  const Checks &checks = block.grid.options.checks;
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    unsigned lane = unsigned(std::countr_zero(rest));
    uint32_t offset = uint32_t(addresses[lane] - sharedBase);
    uint8_t *state = shadow.state.data() + offset;
    if (areSettled(state, bytes))
      continue;
    UndefinedRead read;
    read.lane = lane;
    read.bytes = bytes;
    if (checks.initialised && kind != AccessKind::Write)
      findUndefined(shadow, offset, read);
    uint8_t any = bytesState(state, bytes, kind != AccessKind::Read);
    bool pending = any & SharedShadow::Pending && checks.copies;
    if (!pending && !read.undefined)
      continue;
    std::string where = "shared offset " + std::to_string(offset) +
                        (&block == &warp.block ? "" : ofBlock(block));
    if (pending) {
      mask &= ~(1u << lane);
      if (!warp.report(inst, FindingKind::AsyncCopy, 1u << lane,
                       std::to_string(bytes) + " bytes at " + where +
                           " are the destination of the asynchronous copy of "
                           "line " +
                           std::to_string(shadow.pendingLine[offset / 4]) +
                           " that no wait has finished"))
        return false;
    } else {
      read.where = std::move(where);
      if (!readUndefined(warp, inst, read))
        return false;
    }
  }
  return true;
}

} // namespace

bool checkGlobal(Warp &warp, const Inst &inst, uint32_t &mask, unsigned bytes,
                 AccessKind kind, const uint64_t *addresses) {
  const Checks &checks = warp.block.grid.options.checks;
  if (checks.initialised &&
      !checkGlobalBytes(warp, inst, mask, bytes, kind, addresses))
    return false;
  return !checks.races ||
         checkGlobalRaces(warp, inst, mask, bytes, kind,
                          RaceCheck::strengthOf(inst), addresses);
}

bool checkShared(Warp &warp, Block &owner, const Inst &inst, uint32_t &mask,
                 unsigned bytes, AccessKind kind, const uint64_t *addresses) {
  if (!checkSharedBytes(warp, owner, inst, mask, bytes, kind, addresses))
    return false;
  if (!warp.block.grid.options.checks.races)
    return true;
  RaceCheck check(warp, inst, kind, RaceCheck::strengthOf(inst),
                  &owner == &warp.block ? nullptr : &owner);
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    unsigned lane = unsigned(std::countr_zero(rest));
    uint64_t offset = addresses[lane] - sharedBase;
    bool whole = bytes % 4 == 0 && offset % 4 == 0;
    bool raced = false;
    uint64_t end = (offset + bytes + 3) / 4;
    uint64_t count = whole ? end - offset / 4 : 1;
    for (uint64_t word = offset / 4; word < end; word += count) {
      unsigned touched = whole ? 15 : bytesOfWord(word, offset, bytes);
      if (!check.words(owner.shadow->cellsAt(word, count), count,
                       check.markOf(lane, touched), offset, "shared", raced))
        return false;
    }
    if (raced)
      mask &= ~(1u << lane);
  }
  return true;
}

void checkLastAccesses(Block &block) {
  VectorClock known; // the memory is there until the last thread ends
  for (const std::unique_ptr<Warp> &warp : block.warps)
    known.join(warp->clocks.known);
  Grid &grid = block.grid;
  auto check = [&](AccessMark mark, uint32_t position, size_t word,
                   const char *verb) {
    uint32_t number = mark.warp() & ~AccessMark::engine;
    uint64_t from = number / grid.warpsPerBlock();
    if (mark.none() || from == block.number ||
        known.at(mark.warp()) >= mark.clock())
      return;
    for (const std::unique_ptr<Block> &other : block.cluster.blocks)
      if (other->number == from)
        other->warps[number % grid.warpsPerBlock()]->report(
            grid.program.code[position], FindingKind::Race, 1u << mark.lane(),
            std::string(verb) + " at shared address 0x" + hex(4 * word) +
                ofBlock(block) +
                " is not ordered before the end of that block, whose last "
                "thread does not wait for it");
  };
  size_t words = block.shadow->words;
  const AccessCell *cells = block.shadow->cellsAt(0, words);
  for (size_t word = 0; word < words && !grid.stopped; ++word) {
    check(cells[word].read, cells[word].readInst, word, "read");
    check(cells[word].write, cells[word].writeInst, word, "write");
  }
}

/// Calls `body(word, count, bytes)` for the words of a range: once for all that
/// are whole, and for each that is not. Ends where that says false.
template <typename Body>
static bool forWords(uint32_t offset, uint32_t bytes, Body body) {
  uint32_t end = (offset + bytes + 3) / 4;
  bool whole = offset % 4 == 0 && bytes % 4 == 0;
  uint32_t count = whole ? end - offset / 4 : 1;
  for (uint32_t word = offset / 4; word < end; word += count)
    if (!body(word, count, whole ? 15 : bytesOfWord(word, offset, bytes)))
      return false;
  return true;
}

bool checkSharedRange(Warp &warp, Block &block, const Inst &inst, unsigned lane,
                      uint32_t offset, uint32_t bytes, bool write,
                      AccessMark mark) {
  if (!block.shadow)
    return true;
  SharedShadow &shadow = *block.shadow;
  const Checks &checks = block.grid.options.checks;
  bool isGood =
      allAre(&shadow.state[offset], bytes,
             checks.initialised && !write ? uint8_t(SharedShadow::Written)
                                          : uint8_t(0),
             checks.copies ? uint8_t(SharedShadow::Pending) : uint8_t(0));
  for (uint32_t i = offset; i < offset + bytes && !isGood; ++i) {
    bool pending = checks.copies && shadow.state[i] & SharedShadow::Pending;
    bool unwritten = checks.initialised && !write &&
                     !(shadow.state[i] & SharedShadow::Written);
    if (!pending && !unwritten)
      continue;
    std::string where = "shared offset " + std::to_string(i) +
                        (&block == &warp.block ? "" : ofBlock(block));
    if (!pending && shadow.state[i] & SharedShadow::Undefined)
      return reportUse(warp, inst, 1u << lane, where, shadow.origins[i]);
    return warp.report(
        inst, pending ? FindingKind::AsyncCopy : FindingKind::Uninitialised,
        1u << lane,
        where + (pending
                     ? " is the destination of the asynchronous copy of line " +
                           std::to_string(shadow.pendingLine[i / 4]) +
                           " that no wait has finished"
                     : " was never written"));
  }
  if (!checks.races)
    return true;
  RaceCheck check(warp, inst, write ? AccessKind::Write : AccessKind::Read,
                  {mark.atomic(), mark.scope()},
                  &block == &warp.block ? nullptr : &block);
  bool raced = false;
  return forWords(
      offset, bytes, [&](uint32_t word, uint32_t count, unsigned touched) {
        AccessCell *cells = shadow.cellsAt(word, count);
        AccessMark now = check.markOf(lane, touched);
        if (!check.look(cells, count, now, offset, "shared", raced))
          return false;
        // What is written is remembered when it is.
        for (uint32_t i = 0; i < count && !write; ++i) {
          cells[i].read = mark.none() ? now : mark;
          cells[i].readInst = uint32_t(&inst - warp.program.code.data());
        }
        return true;
      });
}

void markSharedWrite(Block &block, uint32_t offset, uint32_t bytes,
                     AccessMark mark, uint32_t position) {
  if (!block.shadow)
    return;
  SharedShadow &shadow = *block.shadow;
  std::memset(&shadow.state[offset], SharedShadow::Written, bytes);
  if (!block.grid.options.checks.races)
    return;
  forWords(offset, bytes, [&](uint32_t word, uint32_t count, unsigned touched) {
    AccessCell cell;
    cell.write = mark.withBytes(touched);
    cell.writeInst = position;
    std::fill_n(shadow.cellsAt(word, count), count, cell);
    return true;
  });
}

bool checkGlobalRange(Warp &warp, const Inst &inst, unsigned lane,
                      uint64_t address, uint64_t bytes, AccessKind kind) {
  uint64_t addresses[lanes];
  addresses[lane] = address;
  uint32_t mask = 1u << lane;
  const Checks &checks = warp.block.grid.options.checks;
  if (checks.initialised &&
      !checkGlobalBytes(warp, inst, mask, unsigned(bytes), kind, addresses))
    return false;
  return !checks.races ||
         checkGlobalRaces(warp, inst, mask, unsigned(bytes), kind,
                          {kind == AccessKind::ReadWrite, SyncScope::Device},
                          addresses);
}

} // namespace qopt::emulator
