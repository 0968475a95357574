// atom and red: read, modify and write of global and shared memory, one lane
// after the other, of vectors one element after the other.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/checks/AccessChecks.h"
#include "runtime/emulator/ops/AtomicOperations.h"

#include <cstring>

namespace qopt::emulator {
namespace {

/// Checks the lanes' accesses of `bytes` bytes, calls `body(lane, place)` for
/// each, and has them order what they order.
template <typename Body>
Step runAtomically(Warp &warp, const Inst &inst, uint32_t mask, unsigned bytes,
                   Body body) {
  uint64_t addresses[lanes];
  uint8_t *places[lanes];
  computeAddresses(warp, inst, 0, addresses);
  auto space = ptx::Space(inst.aux & SpaceBits);
  if (!resolve(warp, inst, space, mask, bytes, AccessKind::ReadWrite, addresses,
               places))
    return Step::Stopped;
  publish(warp, inst, mask, space, addresses);
  forLanes(mask, [&](unsigned lane) { body(lane, places[lane]); });
  observe(warp, inst, mask, space, addresses);
  ++warp.block.events;
  return Step::Next;
}

/// T: the operands' type; Bits: an unsigned integer of its size.
template <typename T, typename Bits, auto Combine>
Step runAtomic(Warp &warp, const Inst &inst, uint32_t mask) {
  // Elements of a vector; only the one of cas has a third operand.
  const unsigned count =
      inst.destinations ? inst.destinations : inst.sources - 1u;
  const unsigned third = inst.sources > 2 ? 2 : 1;
  return runAtomically(
      warp, inst, mask, sizeof(Bits) * count,
      [&](unsigned lane, uint8_t *place) {
        for (unsigned i = 0; i < count; ++i) {
          const Bits before = exchangeCombined<T, Bits, Combine>(
              place + i * sizeof(Bits),
              LaneSource<T>(warp, inst.source(1 + i))[lane],
              LaneSource<T>(warp, inst.source(third))[lane]);
          if (inst.destinations)
            reinterpret_cast<Storage<T> *>(
                warp.file + inst.destination(i))[lane] = Storage<T>(before);
        }
      });
}

struct HandlerMaker {
  using Result = Handler;
  template <typename T, typename Bits, auto Combine>
  static constexpr Handler of() {
    return &runAtomic<T, Bits, Combine>;
  }
};

using Quad = unsigned __int128;

/// Exchanges 16 bytes at once if they are `expected`; what was there.
Quad compareExchange(uint8_t *place, Quad expected, Quad desired) {
  return __sync_val_compare_and_swap(reinterpret_cast<Quad *>(place), expected,
                                     desired);
}

/// exch and cas of .b128, whose registers are two of 64 bits.
template <bool Compares>
Step runQuad(Warp &warp, const Inst &inst, uint32_t mask) {
  auto quad = [&](unsigned n, unsigned lane) {
    return Quad(warp.lanes64(inst.source(n + 1))[lane]) << 64 |
           warp.lanes64(inst.source(n))[lane];
  };
  return runAtomically(
      warp, inst, mask, 16, [&](unsigned lane, uint8_t *place) {
        const Quad first = quad(1, lane);
        Quad before = 0;
        if constexpr (Compares) {
          before = compareExchange(place, first, quad(3, lane));
        } else {
          std::memcpy(&before, place, sizeof before);
          for (Quad seen = before;; before = seen) {
            seen = compareExchange(place, before, first);
            if (seen == before)
              break;
          }
        }
        if (!inst.destinations)
          return;
        warp.lanes64(inst.destination(0))[lane] = uint64_t(before);
        warp.lanes64(inst.destination(1))[lane] = uint64_t(before >> 64);
      });
}

bool decodeQuad(Decoder &decoder, ptx::Space space) {
  const bool compares = decoder.has("cas");
  const ptx::Operand &to = decoder.operand(0);
  if (decoder.instruction().opcode != "atom" ||
      (!compares && !decoder.has("exch")))
    return decoder.unknown();
  if ((to.kind != ptx::Operand::Sink && !decoder.destinationQuad(to)) ||
      !decoder.address(decoder.operand(1), space) ||
      !decoder.sourceQuad(decoder.operand(2)) ||
      (compares && !decoder.sourceQuad(decoder.operand(3))))
    return false;
  Inst &inst = decoder.inst;
  inst.aux = uint32_t(space) | orderFlags(decoder, true);
  inst.traits = uint8_t(Traits::Address) | uint8_t(Traits::Uses);
  decoder.access.read = decoder.access.written = 16;
  return decoder.emit(compares ? &runQuad<true> : &runQuad<false>);
}

/// The vectors of PTX: adds of f32 on global memory, operations on halves; of
/// 16 bytes at most.
bool isVector(ptx::Type type, unsigned length, ptx::Space space) {
  if (space != ptx::Space::Global && space != ptx::Space::Generic)
    return false;
  const bool half = type == ptx::Type::F16 || type == ptx::Type::BF16;
  const bool pair = type == ptx::Type::F16x2 || type == ptx::Type::BF16x2;
  return (half || pair || type == ptx::Type::F32) &&
         length * sizeOf(type) <= 16;
}

bool decodeAtomic(Decoder &decoder) {
  bool reduces = decoder.instruction().opcode == "red";
  bool exchanges = decoder.has("cas");
  if (decoder.has("async"))
    return decodeAsyncReduction(decoder);
  size_t first = reduces ? 0 : 1, data = exchanges ? 2 : 1;
  // A last operand may be a cache policy.
  if (!decoder.expectOperands(first + 1 + data, first + 2 + data))
    return false;
  ptx::Type type = decoder.type();
  ptx::Space space = spaceOf(decoder);
  if (type == ptx::Type::B128)
    return decodeQuad(decoder, space);
  OperandType kind = Decoder::kindOf(type);
  if ((!reduces && !decoder.destinations(decoder.operand(0), kind)) ||
      !decoder.address(decoder.operand(first), space))
    return false;
  Inst &inst = decoder.inst;
  inst.aux = uint32_t(space) | orderFlags(decoder, true);
  inst.traits = uint8_t(Traits::Address) | uint8_t(Traits::Uses);
  unsigned length = vectorLength(decoder);
  decoder.access.read = decoder.access.written =
      uint16_t(sizeOf(type) * length);
  for (size_t i = 0; i < data; ++i)
    if (!decoder.sources(decoder.operand(first + 1 + i), kind))
      return false;
  if (!decoder.hasCounts(reduces ? 0 : length, 1 + data * length))
    return decoder.fail("expected vectors of " + std::to_string(length) +
                        " registers");
  Handler handler = length == 1 || isVector(type, length, space)
                        ? atomicOperation<HandlerMaker>(decoder, type, space)
                        : nullptr;
  return handler ? decoder.emit(handler) : decoder.unknown();
}

} // namespace

void addAtomics(FamilyTable &table) {
  table["atom"] = &decodeAtomic;
  table["red"] = &decodeAtomic;
}

} // namespace qopt::emulator
