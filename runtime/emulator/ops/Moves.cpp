// mov in all its forms (registers, addresses, packing and unpacking of
// vectors, clocks), cvta and isspacep.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/Cluster.h"
#include "runtime/emulator/Decoder.h"

#include <cstring>

namespace qopt::emulator {
namespace {

/// mov.b64 d, {a, b, …} and mov.b64 {a, b, …}, d: parts of inst.aux bytes.
Step runPack(Warp &warp, const Inst &inst, uint32_t mask) {
  unsigned part = inst.aux, whole = part * inst.sources;
  forLanes(mask, [&](unsigned lane) {
    uint64_t halves[2] = {0, 0};
    for (unsigned i = 0; i < inst.sources; ++i) {
      uint64_t value = part == 8 ? warp.lanes64(inst.source(i))[lane]
                                 : warp.lanes32(inst.source(i))[lane];
      std::memcpy(reinterpret_cast<uint8_t *>(halves) + size_t(i) * part,
                  &value, part);
    }
    if (whole <= 4)
      warp.lanes32(inst.destination())[lane] = uint32_t(halves[0]);
    else
      warp.lanes64(inst.destination())[lane] = halves[0];
    if (whole == 16)
      warp.lanes64(inst.destination(1))[lane] = halves[1];
  });
  return Step::Next;
}

Step runUnpack(Warp &warp, const Inst &inst, uint32_t mask) {
  unsigned part = inst.aux, whole = part * inst.destinations;
  forLanes(mask, [&](unsigned lane) {
    uint64_t halves[2] = {whole <= 4 ? warp.lanes32(inst.source(0))[lane]
                                     : warp.lanes64(inst.source(0))[lane],
                          0};
    if (whole == 16)
      halves[1] = warp.lanes64(inst.source(1))[lane];
    for (unsigned i = 0; i < inst.destinations; ++i) {
      uint64_t value = 0;
      std::memcpy(&value,
                  reinterpret_cast<uint8_t *>(halves) + size_t(i) * part, part);
      if (part == 8)
        warp.lanes64(inst.destination(i))[lane] = value;
      else
        warp.lanes32(inst.destination(i))[lane] = uint32_t(value);
    }
  });
  return Step::Next;
}

/// The most frequent: mov.b32 {a, b}, d of 16 bits each.
Step runUnpackHalves(Warp &warp, const Inst &inst, uint32_t mask) {
  uint32_t words[lanes]; // a destination may be the source
  std::memcpy(words, warp.lanes32(inst.source(0)), sizeof words);
  uint32_t *low = warp.lanes32(inst.destination(0));
  uint32_t *high = warp.lanes32(inst.destination(1));
  if (mask == fullMask) {
    for (unsigned lane = 0; lane < lanes; ++lane)
      low[lane] = words[lane] & 0xffff;
    for (unsigned lane = 0; lane < lanes; ++lane)
      high[lane] = words[lane] >> 16;
    return Step::Next;
  }
  forLanes(mask, [&](unsigned lane) {
    low[lane] = words[lane] & 0xffff;
    high[lane] = words[lane] >> 16;
  });
  return Step::Next;
}

template <typename Word>
Step runCopy(Warp &warp, const Inst &inst, uint32_t mask) {
  auto *from = reinterpret_cast<const Word *>(warp.file + inst.source(0));
  auto *to = reinterpret_cast<Word *>(warp.file + inst.destination());
  if (mask == fullMask)
    std::memmove(to, from, sizeof(Word) * lanes);
  else
    forLanes(mask, [&](unsigned lane) { to[lane] = from[lane]; });
  return Step::Next;
}

Step runCopyQuad(Warp &warp, const Inst &inst, uint32_t mask) {
  forLanes(mask, [&](unsigned lane) {
    for (unsigned half : {0u, 1u})
      warp.lanes64(inst.destination(half))[lane] =
          warp.lanes64(inst.source(half))[lane];
  });
  return Step::Next;
}

Step runCopyPredicate(Warp &warp, const Inst &inst, uint32_t mask) {
  uint32_t &to = warp.predicate(inst.destination());
  to = (to & ~mask) | (warp.predicate(inst.source(0)) & mask);
  return Step::Next;
}

/// The address of a variable in the frame of the present call.
template <typename Word>
Step runFrameAddress(Warp &warp, const Inst &inst, uint32_t mask) {
  auto *from = reinterpret_cast<const Word *>(warp.file + inst.source(0));
  auto *to = reinterpret_cast<Word *>(warp.file + inst.destination());
  forLanes(mask, [&](unsigned lane) {
    to[lane] = from[lane] + warp.group().frameBase;
  });
  return Step::Next;
}

/// Time passes with the instructions of the block.
template <typename Word>
Step runClock(Warp &warp, const Inst &inst, uint32_t mask) {
  auto *to = reinterpret_cast<Word *>(warp.file + inst.destination());
  uint64_t now = warp.block.executed + ++warp.block.clockReads;
  forLanes(mask, [&](unsigned lane) { to[lane] = Word(now); });
  return Step::Next;
}

bool decodePacking(Decoder &decoder, const ptx::Operand &vector, bool pack) {
  unsigned whole = sizeOf(decoder.type());
  unsigned part = whole / unsigned(vector.elements.size());
  OperandType partType = part == 8 ? OperandType::LongWord : OperandType::Word;
  OperandType wholeType = whole > 4 ? OperandType::LongWord : OperandType::Word;
  decoder.inst.aux = part;
  bool quad = whole == 16;
  if (pack)
    return (quad ? decoder.destinationQuad(decoder.operand(0))
                 : decoder.destination(decoder.operand(0), wholeType)) &&
           decoder.sources(vector, partType) && decoder.emit(&runPack);
  return decoder.destinations(vector, partType) &&
         (quad ? decoder.sourceQuad(decoder.operand(1))
               : decoder.source(decoder.operand(1), wholeType)) &&
         decoder.emit(whole == 4 && part == 2 ? &runUnpackHalves : &runUnpack);
}

bool isClock(const std::string &name) {
  return name.starts_with("%clock") || name.starts_with("%globaltimer");
}

bool decodeMov(Decoder &decoder) {
  if (!decoder.expectOperands(2, 2))
    return false;
  const ptx::Operand &to = decoder.operand(0), &from = decoder.operand(1);
  if (to.kind == ptx::Operand::Vector)
    return decodePacking(decoder, to, false);
  if (from.kind == ptx::Operand::Vector)
    return decodePacking(decoder, from, true);
  ptx::Type type = decoder.type();
  OperandType kind = Decoder::kindOf(type);
  bool wide = sizeOf(type) > 4;
  if (type == ptx::Type::B128)
    return decoder.destinationQuad(to) && decoder.sourceQuad(from) &&
           decoder.emit(&runCopyQuad);
  if (!decoder.destination(to, kind))
    return false;
  if (from.kind == ptx::Operand::Special && isClock(from.name))
    return decoder.emit(wide ? &runClock<uint64_t> : &runClock<uint32_t>);
  if (from.kind == ptx::Operand::Special && wide && from.name == "%gridid") {
    decoder.constant(0, OperandType::LongWord);
    return decoder.emit(&runCopy<uint64_t>);
  }
  if (!decoder.source(from, kind))
    return false;
  if (decoder.inst.wide & FrameRelative)
    return decoder.emit(wide ? &runFrameAddress<uint64_t>
                             : &runFrameAddress<uint32_t>);
  if (kind == OperandType::Predicate)
    return decoder.emit(&runCopyPredicate);
  return decoder.emit(wide ? &runCopy<uint64_t> : &runCopy<uint32_t>);
}

/// Adds or removes the window of a space; addresses elsewhere are not touched.
template <typename From, typename To, uint64_t Window, bool ToSpace>
To translated(From address) {
  if (ToSpace)
    return To(uint64_t(address) & ~Window);
  return To(uint64_t(address) | Window);
}

template <uint64_t Window>
void addSpace(OpTable &table, const std::string &space) {
  table.add<&translated<uint64_t, uint64_t, Window, false>>("cvta." + space +
                                                            ".u64");
  table.add<[](uint64_t address) { return (address & windowMask) == Window; }>(
      "isspacep." + space);
  table.add<&translated<uint64_t, uint64_t, Window, true>>("cvta.to." + space +
                                                           ".u64");
}

bool decodeCvta(Decoder &decoder) {
  std::string name = "cvta";
  for (const std::string &modifier : decoder.instruction().modifiers)
    name += "." + modifier;
  const OpEntry *entry = OpTable::get().find(name);
  if (!entry)
    return decoder.unknown();
  if (!decoder.expectOperands(2, 2) ||
      !decoder.destination(decoder.operand(0), OperandType::LongWord) ||
      !decoder.source(decoder.operand(1), OperandType::LongWord))
    return false;
  if (decoder.inst.wide & FrameRelative)
    return decoder.fail("take the address with mov first");
  return decoder.emit(entry->run);
}

} // namespace

void addMoves(OpTable &table) {
  addSpace<sharedWindow>(table, "shared");
  addSpace<sharedWindow>(table, "shared::cta");
  addSpace<sharedWindow>(table, "shared::cluster");
  // Shared memory of other blocks is not the own, see Cluster.h.
  for (const char *own : {"isspacep.shared", "isspacep.shared::cta"})
    table.add<[](uint64_t address) {
      return (address & windowMask) == sharedWindow && !(address & rankBits);
    }>(own);
  addSpace<localWindow>(table, "local");
  addSpace<0>(table, "global");
  addSpace<0>(table, "const");
  // Parameters have their window at all times.
  table.add<[](uint64_t address) { return address; }>("cvta.param.u64");
  table.add<[](uint64_t address) { return address; }>("cvta.to.param.u64");
  table.add<[](uint64_t address) {
    return (address & windowMask) == parameterWindow;
  }>("isspacep.param");
}

void addPacking(FamilyTable &table) {
  table["mov"] = &decodeMov;
  table["cvta"] = &decodeCvta;
}

const OpTable &OpTable::get() {
  static const OpTable table = [] {
    OpTable filled;
    addIntegerOps(filled);
    addBitOps(filled);
    addCarryOps(filled);
    addFloatOps(filled);
    addHalfOps(filled);
    addConversions(filled);
    addComparisons(filled);
    addMoves(filled);
    return filled;
  }();
  return table;
}

} // namespace qopt::emulator
