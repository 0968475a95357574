// atom and red: read, modify and write of global and shared memory, one lane
// after the other. Host threads meet in global memory, so every one is an
// atomic operation of the host too.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/MemoryAccess.h"

#include "runtime/emulator/checks/AccessChecks.h"
#include "runtime/emulator/numerics/Half.h"

namespace qopt::emulator {
namespace {

using namespace numerics;

/// T: the operand's type; Bits: an unsigned integer of its size.
template <typename T, typename Bits, auto Combine>
Step runAtomic(Warp &warp, const Inst &inst, uint32_t mask) {
  uint64_t addresses[lanes];
  uint8_t *places[lanes];
  computeAddresses(warp, inst, 0, addresses);
  auto space = ptx::Space(inst.aux & SpaceBits);
  if (!resolve(warp, inst, space, mask, sizeof(Bits), AccessKind::ReadWrite,
               addresses, places))
    return Step::Stopped;
  publish(warp, inst, mask, space, addresses);
  LaneSource<T> operand(warp, inst.source(1));
  LaneSource<T> third(warp, inst.source(inst.sources > 2 ? 2 : 1));
  forLanes(mask, [&](unsigned lane) {
    auto *place = reinterpret_cast<Bits *>(places[lane]);
    Bits before = __atomic_load_n(place, __ATOMIC_SEQ_CST), after;
    do
      after = static_cast<Bits>(toStorage<T>(Combine(
          fromStorage<T>(Storage<T>(before)), operand[lane], third[lane])));
    while (!__atomic_compare_exchange_n(place, &before, after, false,
                                        __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
    if (inst.destinations)
      reinterpret_cast<Storage<T> *>(warp.file + inst.destination())[lane] =
          Storage<T>(before);
  });
  observe(warp, inst, mask, space, addresses);
  ++warp.block.events;
  return Step::Next;
}

template <typename T, typename Bits>
Handler integerHandler(const Decoder &decoder) {
  using U = std::make_unsigned_t<T>;
  if (decoder.has("add"))
    return &runAtomic<T, Bits, [](T a, T b, T) { return T(U(a) + U(b)); }>;
  if (decoder.has("min"))
    return &runAtomic<T, Bits, [](T a, T b, T) { return b < a ? b : a; }>;
  if (decoder.has("max"))
    return &runAtomic<T, Bits, [](T a, T b, T) { return a < b ? b : a; }>;
  if (decoder.has("and"))
    return &runAtomic<T, Bits, [](T a, T b, T) { return T(a & b); }>;
  if (decoder.has("or"))
    return &runAtomic<T, Bits, [](T a, T b, T) { return T(a | b); }>;
  if (decoder.has("xor"))
    return &runAtomic<T, Bits, [](T a, T b, T) { return T(a ^ b); }>;
  if (decoder.has("exch"))
    return &runAtomic<T, Bits, [](T, T b, T) { return b; }>;
  if (decoder.has("cas"))
    return &runAtomic<T, Bits, [](T a, T b, T c) { return a == b ? c : a; }>;
  if (decoder.has("inc"))
    return &runAtomic<T, Bits,
                      [](T a, T b, T) { return a >= b ? T(0) : T(a + 1); }>;
  if (decoder.has("dec"))
    return &runAtomic<T, Bits, [](T a, T b, T) {
      return a == 0 || a > b ? b : T(a - 1);
    }>;
  return nullptr;
}

float addSingles(float a, float b, float) {
  return add<Rounding::NearestEven>(a, b);
}
/// On global memory f32 sums flush subnormal numbers.
float addFlushed(float a, float b, float) {
  return add<Rounding::NearestEven, true>(a, b);
}
double addDoubles(double a, double b, double) {
  return add<Rounding::NearestEven>(a, b);
}
template <typename Format>
uint16_t addHalves(uint16_t a, uint16_t b, uint16_t) {
  return addHalf<Format>(a, b);
}
/// add, min or max of both halves.
template <auto F> uint32_t both(uint32_t a, uint32_t b, uint32_t) {
  return uint32_t(F(uint16_t(a >> 16), uint16_t(b >> 16))) << 16 |
         F(uint16_t(a), uint16_t(b));
}

template <typename Format> Handler pairHandler(const Decoder &decoder) {
  if (decoder.has("min"))
    return &runAtomic<uint32_t, uint32_t, &both<&minimumHalf<Format>>>;
  if (decoder.has("max"))
    return &runAtomic<uint32_t, uint32_t, &both<&maximumHalf<Format>>>;
  return decoder.has("add")
             ? &runAtomic<uint32_t, uint32_t, &both<&addHalf<Format>>>
             : nullptr;
}

Handler floatHandler(const Decoder &decoder, ptx::Type type, ptx::Space space) {
  if (type == ptx::Type::F16x2)
    return pairHandler<Float16>(decoder);
  if (type == ptx::Type::BF16x2)
    return pairHandler<Bfloat16>(decoder);
  if (!decoder.has("add"))
    return nullptr;
  switch (type) {
  case ptx::Type::F32:
    return space == ptx::Space::Shared || space == ptx::Space::SharedCluster
               ? &runAtomic<float, uint32_t, &addSingles>
               : &runAtomic<float, uint32_t, &addFlushed>;
  case ptx::Type::F64:
    return &runAtomic<double, uint64_t, &addDoubles>;
  case ptx::Type::F16:
    return &runAtomic<uint16_t, uint16_t, &addHalves<Float16>>;
  case ptx::Type::BF16:
    return &runAtomic<uint16_t, uint16_t, &addHalves<Bfloat16>>;
  default:
    return nullptr;
  }
}

Handler atomicHandler(const Decoder &decoder, ptx::Type type,
                      ptx::Space space) {
  if (isFloat(type))
    return floatHandler(decoder, type, space);
  switch (type) {
  case ptx::Type::S32:
    return integerHandler<int32_t, uint32_t>(decoder);
  case ptx::Type::S64:
    return integerHandler<int64_t, uint64_t>(decoder);
  case ptx::Type::B32:
  case ptx::Type::U32:
    return integerHandler<uint32_t, uint32_t>(decoder);
  case ptx::Type::B64:
  case ptx::Type::U64:
    return integerHandler<uint64_t, uint64_t>(decoder);
  case ptx::Type::B16:
    return integerHandler<uint16_t, uint16_t>(decoder);
  default:
    return nullptr;
  }
}

/// red with .v2 or .v4 and f32: one element after the other.
Step runVectorAdd(Warp &warp, const Inst &inst, uint32_t mask) {
  uint64_t addresses[lanes];
  uint8_t *places[lanes];
  computeAddresses(warp, inst, 0, addresses);
  unsigned count = inst.sources - 1u;
  auto space = ptx::Space(inst.aux & SpaceBits);
  if (!resolve(warp, inst, space, mask, 4 * count, AccessKind::ReadWrite,
               addresses, places))
    return Step::Stopped;
  publish(warp, inst, mask, space, addresses);
  for (unsigned i = 0; i < count; ++i) {
    LaneSource<float> operand(warp, inst.source(1 + i));
    forLanes(mask, [&](unsigned lane) {
      auto *place = reinterpret_cast<uint32_t *>(places[lane]) + i;
      uint32_t before = __atomic_load_n(place, __ATOMIC_SEQ_CST), after;
      do
        after = std::bit_cast<uint32_t>(
            addFlushed(std::bit_cast<float>(before), operand[lane], 0));
      while (!__atomic_compare_exchange_n(place, &before, after, false,
                                          __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
    });
  }
  ++warp.block.events;
  return Step::Next;
}

bool decodeAtomic(Decoder &decoder) {
  bool reduces = decoder.instruction().opcode == "red";
  bool exchanges = decoder.has("cas");
  if (decoder.has("async"))
    return decoder.unknown();
  size_t first = reduces ? 0 : 1, data = exchanges ? 2 : 1;
  // A last operand may be a cache policy.
  if (!decoder.expectOperands(first + 1 + data, first + 2 + data))
    return false;
  ptx::Type type = decoder.type();
  ptx::Space space = spaceOf(decoder);
  OperandType kind = Decoder::kindOf(type);
  if ((!reduces && !decoder.destination(decoder.operand(0), kind)) ||
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
  if (length > 1)
    return reduces && type == ptx::Type::F32 && decoder.has("add")
               ? decoder.emit(&runVectorAdd)
               : decoder.unknown();
  Handler handler = atomicHandler(decoder, type, space);
  return handler ? decoder.emit(handler) : decoder.unknown();
}

} // namespace

void addAtomics(FamilyTable &table) {
  table["atom"] = &decodeAtomic;
  table["red"] = &decodeAtomic;
}

} // namespace qopt::emulator
