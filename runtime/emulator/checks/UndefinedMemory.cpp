// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/checks/UndefinedMemory.h"

#include "runtime/emulator/Cluster.h"
#include "runtime/emulator/checks/UndefinedValues.h"

#include <algorithm>

namespace qopt::emulator {
namespace {

uint32_t positionOf(const Warp &warp, const Inst &inst) {
  return uint32_t(&inst - warp.program.code.data());
}

/// The bits of the bytes among `bytes`, from `first` on, that are in a
/// register.
uint64_t bitsOfBytes(uint64_t bytes, unsigned first, unsigned count) {
  uint64_t bits = 0;
  for (unsigned i = 0; i < count; ++i)
    if (bytes >> (first + i) & 1)
      bits |= uint64_t(0xff) << 8 * i;
  return bits;
}

void loadUndefined(Warp &warp, const Inst &inst, const UndefinedRead &read,
                   Origin origin) {
  const ptx::Instruction &source =
      *warp.program.sources[positionOf(warp, inst)];
  bool sign = false;
  for (const std::string &modifier : source.modifiers)
    sign |= isSigned(ptx::typeNamed(modifier));
  unsigned each = read.bytes / inst.destinations;
  const std::vector<uint8_t> &widths =
      warp.program.operandBits[positionOf(warp, inst)];
  for (unsigned i = 0; i < inst.destinations; ++i) {
    uint64_t bits = bitsOfBytes(read.undefined, i * each, each);
    if (sign && bits >> (8 * each - 1) & 1)
      bits |= ~lowBits(8 * each);
    if (bits)
      warp.shadow.put(inst.destination(i), widths[i], read.lane,
                      {bits, origin});
  }
}

/// wmma.load reads one element after the other.
void loadUndefinedElement(Warp &warp, const Inst &inst,
                          const UndefinedRead &read, Origin origin) {
  uint32_t slot = inst.destination(warp.fragment.result);
  uint64_t bits = bitsOfBytes(read.undefined, 0, read.bytes)
                  << 8 * warp.fragment.byte;
  const unsigned width = std::max(8 * read.bytes, 32u);
  Undefined before = warp.shadow.at(slot, width, read.lane);
  warp.shadow.put(slot, width, read.lane, {before.bits | bits, origin});
}

/// An 8 × 8 matrix of halves, whose elements are two by two in the lanes:
/// `body(lane, bit, row, byte)` for each byte of its rows.
template <typename Body> void forBytesOfRows(bool transposed, Body body) {
  for (unsigned lane = 0; lane < lanes; ++lane)
    for (unsigned byte = 0; byte < 4; ++byte) {
      unsigned row = lane / 4, column = 2 * (lane % 4) + byte / 2;
      if (transposed)
        std::swap(row, column);
      body(lane, 8 * byte, row, 2 * column + byte % 2);
    }
}

bool isTransposed(const ptx::Instruction &instruction) {
  return std::find(instruction.modifiers.begin(), instruction.modifiers.end(),
                   "trans") != instruction.modifiers.end();
}

/// The lane has read a row of one of the matrices of ldmatrix.
void loadUndefinedRow(Warp &warp, const Inst &inst, const UndefinedRead &read,
                      Origin origin) {
  const ptx::Instruction &source =
      *warp.program.sources[positionOf(warp, inst)];
  uint32_t slot = inst.destination(read.lane / 8);
  forBytesOfRows(isTransposed(source), [&](unsigned lane, unsigned bit,
                                           unsigned row, unsigned byte) {
    if (row != read.lane % 8 || !(read.undefined >> byte & 1))
      return;
    Undefined before = warp.shadow.at(slot, 32, lane);
    warp.shadow.put(slot, 32, lane,
                    {before.bits | uint64_t(0xff) << bit, origin});
  });
}

std::string describe(const UndefinedRead &read) {
  return std::to_string(read.bytes) + " bytes at " + read.where;
}

/// Of the undefined bytes of one lane's local memory.
UndefinedRead readOfLocal(const Warp &warp, unsigned lane, uint64_t offset,
                          unsigned bytes) {
  UndefinedRead read;
  read.lane = lane;
  read.bytes = bytes;
  size_t first = size_t(lane) * warp.localStride + offset;
  const LocalShadow &shadow = warp.localShadow;
  for (unsigned i = 0; i < bytes; ++i) {
    if (shadow.defined[first + i])
      continue;
    read.undefined |= uint64_t(1) << i;
    if (!shadow.origins.empty() && read.origin == neverWritten)
      read.origin = shadow.origins[first + i];
  }
  return read;
}

void storeToShared(Warp &warp, uint64_t address, unsigned byte, Origin origin) {
  Block *owner = warp.block.cluster.blockOf(warp.block, address);
  uint64_t offset = (address & ~uint64_t(rankBits)) - sharedBase + byte;
  if (!owner || !owner->shadow || !owner->holdsShared(offset, 1))
    return;
  SharedShadow &shadow = *owner->shadow;
  if (shadow.origins.empty())
    shadow.origins.assign(shadow.state.size(), neverWritten);
  shadow.state[offset] = SharedShadow::Undefined;
  shadow.origins[offset] = origin;
}

void storeToLocal(Warp &warp, unsigned lane, uint64_t address, unsigned byte,
                  Origin origin) {
  uint64_t offset = (address & ~windowMask) + byte;
  if (offset >= warp.localStride)
    return;
  LocalShadow &shadow = warp.localShadow;
  if (shadow.origins.empty())
    shadow.origins.assign(shadow.defined.size(), neverWritten);
  size_t place = size_t(lane) * warp.localStride + offset;
  shadow.defined[place] = 0;
  shadow.origins[place] = origin;
}

} // namespace

bool readUndefined(Warp &warp, const Inst &inst, const UndefinedRead &read) {
  uint32_t position = positionOf(warp, inst);
  Origin origin = read.origin == neverWritten ? position : read.origin;
  if (!(inst.traits & uint8_t(Traits::Loads))) {
    if (read.origin != neverWritten)
      return reportUse(warp, inst, 1u << read.lane, describe(read), origin);
    return warp.report(inst, FindingKind::Uninitialised, 1u << read.lane,
                       describe(read) + " were never written");
  }
  if (read.origin == neverWritten)
    warp.block.worker.undefinedReads.try_emplace(position, describe(read));
  const std::string &opcode = warp.program.sources[position]->opcode;
  if (opcode == "ldmatrix")
    loadUndefinedRow(warp, inst, read, origin);
  else if (opcode == "wmma")
    loadUndefinedElement(warp, inst, read, origin);
  else
    loadUndefined(warp, inst, read, origin);
  return true;
}

ptx::Space spaceOfLane(const Inst &inst, uint64_t address) {
  auto space = ptx::Space(inst.aux & SpaceBits);
  if (space != ptx::Space::Generic)
    return space;
  uint64_t window = address & windowMask;
  return window == sharedWindow      ? ptx::Space::SharedCluster
         : window == localWindow     ? ptx::Space::Local
         : window == parameterWindow ? ptx::Space::Param
                                     : ptx::Space::Global;
}

bool storeUndefined(Warp &warp, const Inst &inst, uint32_t mask,
                    const uint64_t *addresses, const UndefinedStore &store) {
  uint32_t slot = inst.source(store.source);
  uint32_t position = positionOf(warp, inst), global = 0;
  Origin used = neverWritten;
  forLanes(mask & ~warp.shadow.lanesDefined(slot), [&](unsigned lane) {
    Undefined value = warp.shadow.at(
        slot,
        warp.program.operandBits[position][inst.destinations + store.source],
        lane);
    Origin origin = value.origin == neverWritten ? position : value.origin;
    uint64_t bits =
        value.bits >> 8 * store.firstByte & lowBits(8 * store.bytes);
    ptx::Space space = spaceOfLane(inst, addresses[lane]);
    if (bits && (space == ptx::Space::Global || space == ptx::Space::Const)) {
      used = global ? used : origin;
      global |= 1u << lane;
    }
    for (unsigned byte = 0; byte < store.bytes; ++byte) {
      if (!(bits >> 8 * byte & 0xff))
        continue;
      if (space == ptx::Space::Shared || space == ptx::Space::SharedCluster)
        storeToShared(warp, addresses[lane] & ~windowMask, byte, origin);
      else if (space == ptx::Space::Local || space == ptx::Space::Param)
        storeToLocal(warp, lane, addresses[lane], byte, origin);
    }
  });
  return !global || reportUse(warp, inst, global, "the stored value", used);
}

void storeUndefinedRows(Warp &warp, const Inst &inst,
                        const uint64_t *addresses) {
  uint32_t position = positionOf(warp, inst);
  bool transposed = isTransposed(*warp.program.sources[position]);
  for (unsigned matrix = 0; matrix + 1u < inst.sources; ++matrix)
    forBytesOfRows(transposed, [&](unsigned lane, unsigned bit, unsigned row,
                                   unsigned byte) {
      Undefined value = warp.shadow.at(inst.source(1 + matrix), 32, lane);
      if (value.bits >> bit & 0xff)
        storeToShared(warp, addresses[8 * matrix + row] & ~windowMask, byte,
                      value.origin == neverWritten ? position : value.origin);
    });
}

bool checkLocal(Warp &warp, const Inst &inst, uint32_t mask, unsigned bytes,
                AccessKind kind, const uint64_t *addresses) {
  for (; mask; mask &= mask - 1) {
    unsigned lane = unsigned(std::countr_zero(mask));
    uint64_t offset = addresses[lane] & ~windowMask;
    if (kind != AccessKind::Write) {
      UndefinedRead read = readOfLocal(warp, lane, offset, bytes);
      read.where = "local offset " + std::to_string(offset);
      if (read.undefined && !readUndefined(warp, inst, read))
        return false;
    }
    if (kind == AccessKind::Read)
      continue;
    size_t first = size_t(lane) * warp.localStride + offset;
    std::fill_n(warp.localShadow.defined.begin() + ptrdiff_t(first), bytes,
                uint8_t(1));
    if (!warp.localShadow.origins.empty())
      std::fill_n(warp.localShadow.origins.begin() + ptrdiff_t(first), bytes,
                  neverWritten);
  }
  return true;
}

void copyUndefined(Block &block, uint32_t offset, uint64_t global,
                   uint32_t bytes, uint32_t position) {
  if (!block.shadow || !block.grid.options.checks.initialised || bytes == 0)
    return;
  const Allocation *allocation = block.worker.allocationAt(global);
  if (!allocation || allocation->isWritten(global, bytes))
    return;
  SharedShadow &shadow = *block.shadow;
  if (shadow.origins.empty())
    shadow.origins.assign(shadow.state.size(), neverWritten);
  char text[64];
  for (uint32_t i = 0; i < bytes; ++i) {
    if (allocation->isWritten(global + i, 1))
      continue;
    std::snprintf(text, sizeof text, "the byte at global address 0x%llx",
                  static_cast<unsigned long long>(global + i));
    block.worker.undefinedReads.try_emplace(position, text);
    shadow.state[offset + i] = SharedShadow::Undefined;
    shadow.origins[offset + i] = position;
  }
}

} // namespace qopt::emulator
