// What device code calls of the system: vprintf, behind printf, __assertfail,
// behind assert, and malloc and free, behind new and delete too.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/MemoryAccess.h"
#include "runtime/emulator/Printf.h"
#include "runtime/emulator/checks/AccessChecks.h"

#include <cstdio>
#include <cstring>

namespace qopt::emulator {
namespace {

/// Longest text that is read from the device.
constexpr size_t mostText = 1 << 16;

/// The arguments of one lane's call, read with all checks of a load.
class LaneCall {
public:
  LaneCall(Warp &warp, const Inst &inst, unsigned lane)
      : warp(warp), inst(inst), site(warp.program.calls[inst.target]),
        lane(lane) {}

  /// False after a finding.
  bool read(ptx::Space space, uint64_t address, unsigned bytes,
            uint64_t &bits) {
    uint64_t addresses[lanes] = {};
    uint8_t *places[lanes] = {};
    addresses[lane] = address;
    uint32_t mask = 1u << lane;
    if (!resolve(warp, inst, space, mask, bytes, AccessKind::Read, addresses,
                 places) ||
        !mask)
      return false;
    bits = 0;
    std::memcpy(&bits, places[lane], bytes);
    return true;
  }

  bool argument(size_t n, uint64_t &bits) {
    const ParameterCopy &place = site.arguments[n];
    return read(ptx::Space::Local, warp.group().frameBase + place.from,
                place.bytes, bits);
  }

  bool text(uint64_t address, std::string &into) {
    for (uint64_t character; into.size() < mostText; ++address) {
      if (!read(ptx::Space::Generic, address, 1, character))
        return false;
      if (!character)
        break;
      into += char(character);
    }
    return true;
  }

  bool textArgument(size_t n, std::string &into) {
    uint64_t address;
    return argument(n, address) && text(address, into);
  }

  void setResult(uint64_t value) {
    if (site.results.empty())
      return;
    const size_t bytes = std::min(site.results[0].bytes, 8u);
    size_t at = size_t(lane) * warp.localStride + warp.group().frameBase +
                site.results[0].to;
    std::memcpy(&warp.local[at], &value, bytes);
    if (!warp.localShadow.defined.empty())
      std::memset(&warp.localShadow.defined[at], 1, bytes);
  }

private:
  Warp &warp;
  const Inst &inst;
  const CallSite &site;
  unsigned lane;
};

void print(Grid &grid, const std::string &text) {
  std::lock_guard<std::mutex> lock(grid.mutex);
  if (grid.options.print)
    grid.options.print(text);
  else
    std::fwrite(text.data(), 1, text.size(), stdout);
}

/// vprintf(format, arguments): the number of arguments.
Step runPrintf(Warp &warp, const Inst &inst, uint32_t mask) {
  Grid &grid = warp.block.grid;
  for (; mask; mask &= mask - 1) {
    LaneCall call(warp, inst, unsigned(std::countr_zero(mask)));
    std::string format, written;
    uint64_t at;
    int count = 0;
    PrintfArguments arguments;
    arguments.next = [&](unsigned bytes, uint64_t &bits) {
      at = (at + bytes - 1) / bytes * bytes;
      bool good = call.read(ptx::Space::Generic, at, bytes, bits);
      at += bytes;
      return good;
    };
    arguments.text = [&](uint64_t address, std::string &text) {
      return call.text(address, text);
    };
    bool good = call.textArgument(0, format) && call.argument(1, at) &&
                formatPrintf(format, arguments, written, count);
    if (!good && grid.stopped)
      return Step::Stopped;
    print(grid, written);
    call.setResult(uint32_t(count));
  }
  return Step::Next;
}

/// malloc(bytes): null when the heap is exhausted. Who gets memory knows
/// nothing of those who had it before.
Step runMalloc(Warp &warp, const Inst &inst, uint32_t mask) {
  Grid &grid = warp.block.grid;
  for (; mask; mask &= mask - 1) {
    LaneCall call(warp, inst, unsigned(std::countr_zero(mask)));
    uint64_t bytes = 0;
    if (!call.argument(0, bytes) && grid.stopped)
      return Step::Stopped;
    const uint64_t address = grid.heap->take(bytes, inst.line);
    if (address && grid.shadow)
      grid.shadow->forget(address, (bytes + 15) & ~uint64_t(15));
    call.setResult(address);
  }
  return Step::Next;
}

/// free(address). Accesses that are not ordered before it race with it.
Step runFree(Warp &warp, const Inst &inst, uint32_t mask) {
  Grid &grid = warp.block.grid;
  for (; mask; mask &= mask - 1) {
    const auto lane = unsigned(std::countr_zero(mask));
    uint64_t address = 0;
    if (!LaneCall(warp, inst, lane).argument(0, address) && grid.stopped)
      return Step::Stopped;
    if (!address)
      continue;
    std::string wrong;
    const uint64_t bytes = grid.heap->sizeOf(address, wrong);
    if (!wrong.empty()) {
      if (!warp.report(inst, FindingKind::InvalidUse, 1u << lane, wrong))
        return Step::Stopped;
      continue;
    }
    if (bytes && grid.options.checks.any() &&
        !checkGlobalRange(warp, inst, lane, address, bytes, AccessKind::Write))
      return Step::Stopped;
    grid.heap->giveBack(address, inst.line);
  }
  return Step::Next;
}

/// __assertfail(message, file, line, function, size of a character)
Step runAssert(Warp &warp, const Inst &inst, uint32_t mask) {
  LaneCall call(warp, inst, unsigned(std::countr_zero(mask)));
  std::string message, file, function;
  uint64_t line = 0;
  if (call.textArgument(0, message) && call.textArgument(1, file) &&
      call.argument(2, line) && call.textArgument(3, function))
    warp.report(inst, FindingKind::Assertion, mask,
                "'" + message + "' at " + file + ":" + std::to_string(line) +
                    " in '" + function + "'");
  warp.block.grid.stopped = true; // as with trap
  return Step::Stopped;
}

} // namespace

Handler systemCall(const std::string &name) {
  return name == "vprintf"        ? &runPrintf
         : name == "__assertfail" ? &runAssert
         : name == "malloc"       ? &runMalloc
         : name == "free"         ? &runFree
                                  : nullptr;
}

} // namespace qopt::emulator
