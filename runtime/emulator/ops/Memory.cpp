// ld and st of every space, width and vector length.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/MemoryAccess.h"

#include "runtime/emulator/checks/AccessChecks.h"

#include <cstring>

namespace qopt::emulator {
namespace {

/// M: the type in memory; R: of the register's lanes. A signed M is extended
/// by its sign.
template <typename M, typename R>
Step runLoad(Warp &warp, const Inst &inst, uint32_t mask) {
  uint64_t addresses[lanes];
  uint8_t *places[lanes];
  computeAddresses(warp, inst, 0, addresses);
  auto space = ptx::Space(inst.aux & SpaceBits);
  unsigned bytes = unsigned(sizeof(M)) * inst.destinations;
  uint32_t good = mask;
  if (!resolve(warp, inst, space, good, bytes, AccessKind::Read, addresses,
               places))
    return Step::Stopped;
  for (unsigned i = 0; i < inst.destinations; ++i) {
    auto *to = reinterpret_cast<R *>(warp.file + inst.destination(i));
    auto load = [&](unsigned lane) {
      M value;
      std::memcpy(&value, places[lane] + i * sizeof(M), sizeof(M));
      // The sign of a signed byte is wanted.
      to[lane] = static_cast<R>(value); // NOLINT(bugprone-signed-char-misuse)
    };
    if (good == fullMask)
      for (unsigned lane = 0; lane < lanes; ++lane)
        load(lane);
    else
      forLanes(good, load);
  }
  if (inst.aux & Strong)
    observe(warp, inst, good, space, addresses);
  return Step::Next;
}

/// Of lanes that store different values to one place, one stays: which, is not
/// defined. A lane's own value is no longer there then. What other threads
/// store in between is a race that the accesses tell.
template <typename M, typename R>
bool checkStored(Warp &warp, const Inst &inst, uint32_t mask, unsigned count,
                 uint8_t *const *places) {
  uint32_t lost = 0;
  for (unsigned i = 0; i < count; ++i) {
    auto *from = reinterpret_cast<const R *>(warp.file + inst.source(1 + i));
    forLanes(mask, [&](unsigned lane) {
      M value = static_cast<M>(from[lane]);
      bool same =
          std::memcmp(places[lane] + i * sizeof(M), &value, sizeof(M)) == 0;
      lost |= uint32_t(!same) << lane;
    });
  }
  return !lost ||
         warp.report(inst, FindingKind::Race, lost,
                     "another lane of the same instruction stores a different "
                     "value to the same address; which stays is not defined");
}

template <typename M, typename R>
Step runStore(Warp &warp, const Inst &inst, uint32_t mask) {
  uint64_t addresses[lanes];
  uint8_t *places[lanes];
  computeAddresses(warp, inst, 0, addresses);
  auto space = ptx::Space(inst.aux & SpaceBits);
  unsigned count = inst.sources - 1u;
  if (!resolve(warp, inst, space, mask, unsigned(sizeof(M)) * count,
               AccessKind::Write, addresses, places))
    return Step::Stopped;
  if (inst.aux & Strong)
    publish(warp, inst, mask, space, addresses);
  for (unsigned i = 0; i < count; ++i) {
    auto *from = reinterpret_cast<const R *>(warp.file + inst.source(1 + i));
    auto store = [&](unsigned lane) {
      M value = static_cast<M>(from[lane]);
      std::memcpy(places[lane] + i * sizeof(M), &value, sizeof(M));
    };
    if (mask == fullMask)
      for (unsigned lane = 0; lane < lanes; ++lane)
        store(lane);
    else
      forLanes(mask, store);
  }
  ++warp.block.events;
  if (warp.block.grid.options.checks.races && !(inst.aux & Strong) &&
      !checkStored<M, R>(warp, inst, mask, count, places))
    return Step::Stopped;
  return Step::Next;
}

/// The kernel's parameters by name: one value for all lanes.
template <typename M, typename R>
Step runLoadParameter(Warp &warp, const Inst &inst, uint32_t mask) {
  const uint8_t *from = warp.block.grid.arguments.data() + inst.offset;
  for (unsigned i = 0; i < inst.destinations; ++i) {
    M value;
    std::memcpy(&value, from + i * sizeof(M), sizeof(M));
    auto *to = reinterpret_cast<R *>(warp.file + inst.destination(i));
    auto wide = static_cast<R>(value); // NOLINT(bugprone-signed-char-misuse)
    forLanes(mask, [&](unsigned lane) { to[lane] = wide; });
  }
  return Step::Next;
}

struct Handlers {
  Handler load, store, parameter;
};

template <typename M, typename R> constexpr Handlers handlersOf() {
  return {&runLoad<M, R>, &runStore<std::make_unsigned_t<M>, R>,
          &runLoadParameter<M, R>};
}

template <typename R> Handlers handlersFor(ptx::Type type) {
  bool sign = isSigned(type);
  switch (sizeOf(type)) {
  case 1:
    return sign ? handlersOf<int8_t, R>() : handlersOf<uint8_t, R>();
  case 2:
    return sign ? handlersOf<int16_t, R>() : handlersOf<uint16_t, R>();
  case 4:
    return sign ? handlersOf<int32_t, R>() : handlersOf<uint32_t, R>();
  default:
    return handlersOf<int64_t, R>();
  }
}

/// .b128 is two registers of 64 bits; the second follows the first.
bool splitQuad(Decoder &decoder, const ptx::Operand &operand, bool load) {
  if (decoder.registerBytes(operand) != 16)
    return decoder.fail("expected a .b128 register");
  return load ? decoder.destinationQuad(operand) : decoder.sourceQuad(operand);
}

/// Data registers of a load or store; `wide`: they are 64-bit.
bool dataOperands(Decoder &decoder, const ptx::Operand &data, bool load,
                  bool &wide) {
  ptx::Type type = decoder.type();
  if (type == ptx::Type::B128) {
    wide = true;
    return splitQuad(decoder, data, load);
  }
  const ptx::Operand *first = &data;
  if (data.kind == ptx::Operand::Vector)
    for (const ptx::Operand &element : data.elements)
      if (element.kind == ptx::Operand::Register) {
        first = &element;
        break;
      }
  unsigned bytes = decoder.registerBytes(*first);
  wide = bytes ? bytes == 8 : sizeOf(type) == 8;
  OperandType kind = wide ? OperandType::LongWord : OperandType::Word;
  if (!wide && type == ptx::Type::F32)
    kind = OperandType::Single;
  if (wide && type == ptx::Type::F64)
    kind = OperandType::Double;
  return load ? decoder.destinations(data, kind) : decoder.sources(data, kind);
}

bool checkLength(Decoder &decoder, const ptx::Operand &data) {
  size_t length =
      data.kind == ptx::Operand::Vector ? data.elements.size() : size_t(1);
  if (length == vectorLength(decoder))
    return true;
  return decoder.fail("the vector has " + std::to_string(length) +
                      " elements, expected " +
                      std::to_string(vectorLength(decoder)));
}

bool decodeLoad(Decoder &decoder) {
  // A last operand may be a cache policy, which changes nothing.
  if (!decoder.expectOperands(2, 3) ||
      !checkLength(decoder, decoder.operand(0)))
    return false;
  if (decoder.type() == ptx::Type::None)
    return decoder.unknown();
  ptx::Space space = spaceOf(decoder);
  bool wide = false;
  if (!dataOperands(decoder, decoder.operand(0), true, wide) ||
      !decoder.address(decoder.operand(1), space))
    return false;
  Handlers handlers = wide ? handlersFor<uint64_t>(decoder.type())
                           : handlersFor<uint32_t>(decoder.type());
  Inst &inst = decoder.inst;
  decoder.access.read =
      uint16_t(sizeOf(decoder.type()) * vectorLength(decoder));
  inst.traits = uint8_t(Traits::Address) | uint8_t(Traits::Loads);
  inst.aux = uint32_t(space) | orderFlags(decoder, false);
  uint64_t parameter;
  if (decoder.kernelParameter(decoder.operand(1), parameter)) {
    inst.offset = int64_t(parameter);
    if (parameter + decoder.access.read > decoder.program.parameterBytes)
      return decoder.fail("the read ends behind the parameters");
    return decoder.emit(handlers.parameter);
  }
  return decoder.emit(handlers.load);
}

bool decodeStore(Decoder &decoder) {
  if (decoder.has("async"))
    return decodeAsyncStore(decoder);
  if (!decoder.expectOperands(2, 3) ||
      !checkLength(decoder, decoder.operand(1)))
    return false;
  if (decoder.type() == ptx::Type::None)
    return decoder.unknown();
  ptx::Space space = spaceOf(decoder);
  bool wide = false;
  if (!decoder.address(decoder.operand(0), space) ||
      !dataOperands(decoder, decoder.operand(1), false, wide))
    return false;
  Handlers handlers = wide ? handlersFor<uint64_t>(decoder.type())
                           : handlersFor<uint32_t>(decoder.type());
  Inst &inst = decoder.inst;
  decoder.access.written =
      uint16_t(sizeOf(decoder.type()) * vectorLength(decoder));
  inst.traits = uint8_t(Traits::Address) | uint8_t(Traits::Stores);
  inst.aux = uint32_t(space) | orderFlags(decoder, false);
  return decoder.emit(handlers.store);
}

} // namespace

void addMemory(FamilyTable &table) {
  table["ld"] = &decodeLoad;
  table["ldu"] = &decodeLoad;
  table["st"] = &decodeStore;
}

} // namespace qopt::emulator
