// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/MemoryAccess.h"

#include "runtime/emulator/Cluster.h"
#include "runtime/emulator/checks/AccessChecks.h"
#include "runtime/emulator/checks/UndefinedMemory.h"

#include <algorithm>

namespace qopt::emulator {
namespace {

std::string hex(uint64_t value) {
  char text[24];
  std::snprintf(text, sizeof text, "0x%llx",
                static_cast<unsigned long long>(value));
  return text;
}

std::string describe(AccessKind kind, unsigned bytes, const char *space,
                     uint64_t address) {
  const char *verb = kind == AccessKind::Read    ? "read of "
                     : kind == AccessKind::Write ? "write of "
                                                 : "atomic of ";
  return verb + std::to_string(bytes) + " bytes at " + space +
         (*space ? " address " : "address ") + hex(address);
}

/// "" for one lane, else how many others of the warp do the same, and which.
std::string others(uint32_t lanesToo) {
  uint32_t rest = lanesToo & (lanesToo - 1);
  if (!rest)
    return "";
  std::string text = "; so do " + std::to_string(std::popcount(rest)) +
                     " more lanes of the warp: ";
  for (const char *between = ""; rest; between = ", ") {
    auto first = unsigned(std::countr_zero(rest));
    auto count = unsigned(std::countr_one(rest >> first));
    text += between + std::to_string(first);
    if (count > 1)
      text += " to " + std::to_string(first + count - 1);
    rest &= ~uint32_t(((uint64_t(1) << count) - 1) << first);
  }
  return text;
}

/// One finding for all the lanes of an access that are wrong in one way; they
/// leave `mask`. `detail` is the first one's. False when the launch stops.
bool reportLanes(Warp &warp, const Inst &inst, FindingKind kind, uint32_t wrong,
                 uint32_t &mask, const std::string &detail) {
  mask &= ~wrong;
  return warp.report(inst, kind, wrong, detail + others(wrong));
}

/// "'arg0', 708 bytes at 0x…": an argument or variable by its name, what the
/// device gave out by its size.
std::string describe(const Allocation &allocation) {
  std::string size =
      std::to_string(allocation.bytes) + " bytes at " + hex(allocation.base);
  return allocation.name.empty() ? "the allocation of " + size
                                 : "'" + allocation.name + "', " + size;
}

/// Bytes from an allocation to an address before or behind it.
uint64_t distance(const Allocation &allocation, uint64_t address) {
  uint64_t end = allocation.base + allocation.bytes;
  return address < allocation.base ? allocation.base - address
         : address >= end          ? address - end
                                   : 0;
}

/// Where an access lies that is not within one allocation, from the nearest.
std::string nearest(const Grid &grid, uint64_t address) {
  auto closer = [address](const Allocation *a, const Allocation *b) {
    return distance(*a, address) < distance(*b, address);
  };
  auto best = std::ranges::min_element(grid.allocations, closer);
  if (best == grid.allocations.end())
    return ": the device has no memory";
  const Allocation &found = **best;
  uint64_t end = found.base + found.bytes;
  if (address >= found.base && address < end)
    return ": it begins " + std::to_string(end - address) +
           " bytes before the end of " + describe(found);
  return ": " + std::to_string(distance(found, address)) + " bytes " +
         (address < found.base ? "before " : "behind the end of ") +
         describe(found);
}

/// One lane's place in global memory, or null.
Allocation *globalPlace(Warp &warp, uint64_t address, unsigned bytes,
                        AccessKind kind) {
  Allocation *allocation = warp.block.worker.allocationAt(address);
  if (!allocation || !allocation->holds(address, bytes) ||
      (allocation->heap && !allocation->heap->holds(address, bytes)))
    return nullptr;
  return kind != AccessKind::Read && allocation->readOnly ? nullptr
                                                          : allocation;
}

/// What is wrong with an address that is not in global memory.
std::string beyondGlobal(Warp &warp, unsigned bytes, AccessKind kind,
                         uint64_t address) {
  Allocation *allocation = warp.block.worker.allocationAt(address);
  if (allocation && allocation->heap)
    return allocation->heap->describe(address);
  bool isConstant = allocation && allocation->readOnly &&
                    kind != AccessKind::Read &&
                    allocation->holds(address, bytes);
  return isConstant ? ": this is constant memory"
                    : nearest(warp.block.grid, address);
}

bool resolveGlobal(Warp &warp, const Inst &inst, uint32_t &mask, unsigned bytes,
                   AccessKind kind, const uint64_t *addresses,
                   uint8_t **places) {
  Allocation *found = nullptr;
  uint32_t wrong = 0;
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    unsigned lane = unsigned(std::countr_zero(rest));
    uint64_t address = addresses[lane];
    places[lane] = reinterpret_cast<uint8_t *>(address);
    if (found && found->holds(address, bytes))
      continue;
    found = globalPlace(warp, address, bytes, kind);
    wrong |= uint32_t(!found) << lane;
    if (found && found->heap)
      found = nullptr; // one lane's place says nothing of the next
  }
  if (wrong) {
    uint64_t address = addresses[std::countr_zero(wrong)];
    if (!reportLanes(warp, inst, FindingKind::OutOfBounds, wrong, mask,
                     describe(kind, bytes, "global", address) +
                         beyondGlobal(warp, bytes, kind, address)))
      return false;
  }
  Worker &worker = warp.block.worker;
  if (worker.grid.options.countMemory && mask)
    worker.countGlobal(addresses, mask, bytes, kind != AccessKind::Read);
  return !warp.block.grid.options.checks.any() ||
         checkGlobal(warp, inst, mask, bytes, kind, addresses);
}

/// What is wrong with an address that is not in the block's shared memory.
std::string beyondShared(const Warp &warp, const Block &block,
                         uint64_t address) {
  if (address >> rankShift && address >> rankShift <= warp.block.cluster.size())
    return ": this is an address of shared::cluster";
  return (&block == &warp.block ? std::string(": the block")
                                : ": block " + std::to_string(block.number)) +
         " has " + std::to_string(block.shared.size()) + " bytes";
}

/// `block`: whose memory it is. Inline, for most accesses of a kernel are here.
[[gnu::always_inline]] inline bool
resolveShared(Warp &warp, Block &block, const Inst &inst, uint32_t &mask,
              unsigned bytes, AccessKind kind, const uint64_t *addresses,
              uint8_t **places) {
  uint8_t *base = block.shared.data();
  uint64_t size = block.shared.size();
  uint64_t last = size >= bytes ? size - bytes : 0;
  uint32_t wrong = 0;
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    unsigned lane = unsigned(std::countr_zero(rest));
    uint64_t offset = addresses[lane] - sharedBase;
    places[lane] = base + offset;
    wrong |= uint32_t(offset > last || bytes > size) << lane;
  }
  if (wrong) {
    uint64_t address = addresses[std::countr_zero(wrong)];
    if (!reportLanes(warp, inst, FindingKind::OutOfBounds, wrong, mask,
                     describe(kind, bytes, "shared", address - sharedBase) +
                         beyondShared(warp, block, address)))
      return false;
  }
  if (block.grid.options.countMemory && mask)
    block.worker.countShared(inst, addresses, mask, bytes);
  return !block.shadow ||
         checkShared(warp, block, inst, mask, bytes, kind, addresses);
}

/// Why the memory of another block cannot be reached; "" when it can.
std::string unreachable(const Block &from, const Block *owner,
                        uint64_t address) {
  uint32_t size = from.cluster.size();
  if (!owner)
    return " has rank " + std::to_string((address >> rankShift) - 1) +
           ", but the cluster has " + std::to_string(size) +
           (size > 1 ? " blocks" : " block");
  if (owner->ended())
    return " is in block " + std::to_string(owner->number) +
           ", which has ended and its shared memory with it";
  return "";
}

/// Lanes by the block that their shared::cluster addresses are in.
bool resolveCluster(Warp &warp, const Inst &inst, uint32_t &mask,
                    unsigned bytes, AccessKind kind, const uint64_t *addresses,
                    uint8_t **places) {
  uint64_t tags = 0;
  forLanes(mask, [&](unsigned lane) { tags |= addresses[lane] >> rankShift; });
  if (!tags)
    return resolveShared(warp, warp.block, inst, mask, bytes, kind, addresses,
                         places);
  uint64_t offsets[lanes];
  for (unsigned lane = 0; lane < lanes; ++lane)
    offsets[lane] = addresses[lane] & ~uint64_t(rankBits);
  uint32_t good = 0;
  for (uint32_t rest = mask; rest;) {
    uint64_t address = addresses[std::countr_zero(rest)];
    uint32_t same = 0;
    forLanes(rest, [&](unsigned lane) {
      same |= uint32_t(addresses[lane] >> rankShift == address >> rankShift)
              << lane;
    });
    rest &= ~same;
    Block *owner = warp.block.cluster.blockOf(warp.block, address);
    std::string reason = unreachable(warp.block, owner, address);
    if (!reason.empty()) {
      if (!warp.report(
              inst, owner ? FindingKind::InvalidUse : FindingKind::OutOfBounds,
              same,
              describe(kind, bytes, "shared::cluster", address) +
                  ": the address" + reason + others(same)))
        return false;
      continue;
    }
    if (!resolveShared(warp, *owner, inst, same, bytes, kind, offsets, places))
      return false;
    good |= same;
  }
  mask = good;
  return true;
}

/// Where a lane's local memory ends now.
uint32_t localEnd(const Warp &warp, unsigned lane) {
  return warp.stackTops.empty() ? warp.localStride : warp.stackTops[lane];
}

bool resolveLocal(Warp &warp, const Inst &inst, uint32_t &mask, unsigned bytes,
                  AccessKind kind, const uint64_t *addresses,
                  uint8_t **places) {
  uint32_t wrong = 0;
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    unsigned lane = unsigned(std::countr_zero(rest));
    uint64_t address = addresses[lane] & ~windowMask;
    uint64_t end = localEnd(warp, lane);
    if (address <= end && bytes <= end - address)
      places[lane] =
          warp.local.data() + size_t(lane) * warp.localStride + address;
    else
      wrong |= 1u << lane;
  }
  uint64_t address =
      wrong ? addresses[std::countr_zero(wrong)] & ~windowMask : 0;
  if (wrong && !reportLanes(warp, inst, FindingKind::OutOfBounds, wrong, mask,
                            describe(kind, bytes, "local", address) +
                                ": the thread has " +
                                std::to_string(localEnd(
                                    warp, unsigned(std::countr_zero(wrong)))) +
                                " bytes"))
    return false;
  return !warp.block.grid.options.checks.initialised ||
         checkLocal(warp, inst, mask, bytes, kind, addresses);
}

bool resolveParameters(Warp &warp, const Inst &inst, uint32_t &mask,
                       unsigned bytes, AccessKind kind,
                       const uint64_t *addresses, uint8_t **places) {
  std::span<const uint8_t> arguments = warp.block.grid.arguments;
  uint32_t wrong = 0;
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    unsigned lane = unsigned(std::countr_zero(rest));
    uint64_t address = addresses[lane] & ~windowMask;
    if (kind == AccessKind::Read && address <= arguments.size() &&
        bytes <= arguments.size() - address)
      places[lane] = const_cast<uint8_t *>(arguments.data()) + address;
    else
      wrong |= 1u << lane;
  }
  if (!wrong)
    return true;
  uint64_t address = addresses[std::countr_zero(wrong)] & ~windowMask;
  return reportLanes(warp, inst, FindingKind::OutOfBounds, wrong, mask,
                     describe(kind, bytes, "parameter", address) +
                         ": the kernel has " +
                         std::to_string(arguments.size()) +
                         " bytes of parameters, which are read only");
}

/// Each lane by the window of its address.
bool resolveGeneric(Warp &warp, const Inst &inst, uint32_t &mask,
                    unsigned bytes, AccessKind kind, const uint64_t *addresses,
                    uint8_t **places) {
  uint32_t bySpace[4] = {};
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    unsigned lane = unsigned(std::countr_zero(rest));
    uint64_t window = addresses[lane] & windowMask;
    bySpace[window == sharedWindow      ? 1
            : window == localWindow     ? 2
            : window == parameterWindow ? 3
                                        : 0] |= 1u << lane;
  }
  mask = 0;
  constexpr ptx::Space spaces[4] = {ptx::Space::Global,
                                    ptx::Space::SharedCluster,
                                    ptx::Space::Local, ptx::Space::Param};
  uint64_t offsets[lanes];
  for (unsigned i = 0; i < lanes; ++i)
    offsets[i] = addresses[i] & ~windowMask;
  for (unsigned i = 0; i < 4; ++i) {
    if (!bySpace[i])
      continue;
    if (!resolve(warp, inst, spaces[i], bySpace[i], bytes, kind,
                 i ? offsets : addresses, places))
      return false;
    mask |= bySpace[i];
  }
  return true;
}

} // namespace

void computeAddresses(Warp &warp, const Inst &inst, unsigned n,
                      uint64_t *addresses) {
  uint64_t offset = uint64_t(inst.offset);
  if (inst.wide & FrameRelative)
    offset += warp.group().frameBase;
  if (inst.wide & Wide) {
    const uint64_t *base = warp.lanes64(inst.source(n));
    for (unsigned lane = 0; lane < lanes; ++lane)
      addresses[lane] = base[lane] + offset;
  } else {
    const uint32_t *base = warp.lanes32(inst.source(n));
    for (unsigned lane = 0; lane < lanes; ++lane)
      addresses[lane] = uint32_t(base[lane] + uint32_t(offset));
  }
}

bool resolve(Warp &warp, const Inst &inst, ptx::Space space, uint32_t &mask,
             unsigned bytes, AccessKind kind, const uint64_t *addresses,
             uint8_t **places) {
  if (warp.block.grid.options.checks.alignment && bytes > 1) {
    uint64_t low = 0;
    for (uint32_t rest = mask; rest; rest &= rest - 1)
      low |= addresses[std::countr_zero(rest)];
    if (low & (bytes - 1)) {
      uint32_t wrong = 0;
      forLanes(mask, [&](unsigned lane) {
        wrong |= uint32_t((addresses[lane] & (bytes - 1)) != 0) << lane;
      });
      if (!reportLanes(
              warp, inst, FindingKind::Misaligned, wrong, mask,
              describe(kind, bytes, "", addresses[std::countr_zero(wrong)])))
        return false;
    }
  }
  switch (space) {
  case ptx::Space::Global:
  case ptx::Space::Const:
    return resolveGlobal(warp, inst, mask, bytes, kind, addresses, places);
  case ptx::Space::Shared:
    return resolveShared(warp, warp.block, inst, mask, bytes, kind, addresses,
                         places);
  case ptx::Space::SharedCluster:
    return resolveCluster(warp, inst, mask, bytes, kind, addresses, places);
  case ptx::Space::Local:
    return resolveLocal(warp, inst, mask, bytes, kind, addresses, places);
  case ptx::Space::Param:
    return resolveParameters(warp, inst, mask, bytes, kind, addresses, places);
  case ptx::Space::Generic:
    return resolveGeneric(warp, inst, mask, bytes, kind, addresses, places);
  }
  return false;
}

uint32_t orderFlags(const Decoder &decoder, bool atomic) {
  uint32_t flags = atomic ? uint32_t(Strong) : 0;
  for (const std::string &modifier : decoder.instruction().modifiers) {
    if (modifier == "relaxed" || modifier == "volatile" || modifier == "mmio")
      flags |= Strong;
    else if (modifier == "acquire")
      flags |= Strong | Acquire;
    else if (modifier == "release")
      flags |= Strong | Release;
    else if (modifier == "acq_rel")
      flags |= Strong | Acquire | Release;
    else if (modifier == "nc")
      flags |= ReadOnly;
  }
  return flags | scopeFlag(decoder);
}

uint32_t scopeFlag(const Decoder &decoder) {
  if (decoder.has("cta"))
    return BlockScope;
  if (decoder.has("cluster"))
    return decoder.program.hasClusters() ? ClusterScope : BlockScope;
  return 0;
}

ptx::Space spaceOf(const Decoder &decoder) {
  for (const std::string &modifier : decoder.instruction().modifiers) {
    if (modifier == "global")
      return ptx::Space::Global;
    if (modifier == "shared::cluster")
      return ptx::Space::SharedCluster;
    if (modifier.starts_with("shared"))
      return ptx::Space::Shared;
    if (modifier == "local")
      return ptx::Space::Local;
    if (modifier == "const")
      return ptx::Space::Const;
    if (modifier.starts_with("param"))
      return ptx::Space::Param;
  }
  return ptx::Space::Generic;
}

unsigned vectorLength(const Decoder &decoder) {
  return decoder.has("v2")   ? 2
         : decoder.has("v4") ? 4
         : decoder.has("v8") ? 8
                             : 1;
}

} // namespace qopt::emulator
