// alloca, stacksave and stackrestore: memory of a thread that ends with the
// call of its function. It is local memory behind all frames.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/Block.h"
#include "runtime/emulator/Decoder.h"
#include "runtime/emulator/Lanes.h"

namespace qopt::emulator {
namespace {

/// aux: the alignment. What is allocated is undefined.
template <typename Word>
Step runAlloca(Warp &warp, const Inst &inst, uint32_t mask) {
  auto *sizes = reinterpret_cast<const Word *>(warp.file + inst.source(0));
  auto *to = reinterpret_cast<Word *>(warp.file + inst.destination());
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    const auto lane = unsigned(std::countr_zero(rest));
    const uint64_t at = (uint64_t(warp.stackTops[lane]) + inst.aux - 1) &
                        ~uint64_t(inst.aux - 1);
    const uint64_t size = sizes[lane];
    if (at > warp.localStride || size > warp.localStride - at) {
      warp.report(inst, FindingKind::OutOfBounds, 1u << lane,
                  "alloca of " + std::to_string(size) +
                      " bytes: a thread has " +
                      std::to_string(warp.localStride - warp.frameEnd) +
                      " bytes for it, of which " +
                      std::to_string(warp.stackTops[lane] - warp.frameEnd) +
                      " are in use");
      return Step::Stopped;
    }
    to[lane] = Word(at);
    warp.stackTops[lane] = uint32_t(at + size);
    const size_t first = size_t(lane) * warp.localStride + at;
    std::fill_n(warp.local.begin() + ptrdiff_t(first), size, uint8_t(0xcd));
    if (!warp.localShadow.defined.empty())
      std::fill_n(warp.localShadow.defined.begin() + ptrdiff_t(first), size,
                  uint8_t(0));
    if (!warp.localShadow.origins.empty())
      std::fill_n(warp.localShadow.origins.begin() + ptrdiff_t(first), size,
                  neverWritten);
  }
  return Step::Next;
}

template <typename Word>
Step runSave(Warp &warp, const Inst &inst, uint32_t mask) {
  auto *to = reinterpret_cast<Word *>(warp.file + inst.destination());
  forLanes(mask, [&](unsigned lane) { to[lane] = warp.stackTops[lane]; });
  return Step::Next;
}

template <typename Word>
Step runRestore(Warp &warp, const Inst &inst, uint32_t mask) {
  auto *from = reinterpret_cast<const Word *>(warp.file + inst.source(0));
  bool good = true;
  forLanes(mask, [&](unsigned lane) {
    const uint64_t top = from[lane];
    if (top >= warp.frameEnd && top <= warp.stackTops[lane])
      warp.stackTops[lane] = uint32_t(top);
    else
      good &= warp.report(inst, FindingKind::InvalidUse, 1u << lane,
                          "no stacksave gave this value, or the stack was "
                          "restored further back");
  });
  return good ? Step::Next : Step::Stopped;
}

/// The width of the instruction's type, that of addresses.
bool isWide(Decoder &decoder, bool &wide) {
  wide = decoder.type() == ptx::Type::U64;
  return wide || decoder.type() == ptx::Type::U32;
}

/// alloca.type p, size{, alignment}
bool decodeAlloca(Decoder &decoder) {
  bool wide;
  if (!isWide(decoder, wide))
    return decoder.unknown();
  const OperandType kind = wide ? OperandType::LongWord : OperandType::Word;
  if (!decoder.expectOperands(2, 3) ||
      !decoder.destination(decoder.operand(0), kind) ||
      !decoder.source(decoder.operand(1), kind))
    return false;
  decoder.inst.aux = 8;
  if (decoder.operands() == 3) {
    const ptx::Operand &alignment = decoder.operand(2);
    if (alignment.kind != ptx::Operand::Immediate || !alignment.bits ||
        alignment.bits > (1 << 12) || alignment.bits & (alignment.bits - 1))
      return decoder.fail("expected an alignment, a power of two up to 4096");
    decoder.inst.aux = uint32_t(alignment.bits);
  }
  decoder.inst.traits = uint8_t(Traits::Uses);
  decoder.program.usesStack = true;
  return decoder.emit(wide ? &runAlloca<uint64_t> : &runAlloca<uint32_t>);
}

bool decodeSave(Decoder &decoder) {
  bool wide;
  if (!isWide(decoder, wide))
    return decoder.unknown();
  decoder.program.usesStack = true;
  return decoder.expectOperands(1, 1) &&
         decoder.destination(decoder.operand(0), wide ? OperandType::LongWord
                                                      : OperandType::Word) &&
         decoder.emit(wide ? &runSave<uint64_t> : &runSave<uint32_t>);
}

bool decodeRestore(Decoder &decoder) {
  bool wide;
  if (!isWide(decoder, wide))
    return decoder.unknown();
  decoder.inst.traits = uint8_t(Traits::Uses);
  decoder.program.usesStack = true;
  return decoder.expectOperands(1, 1) &&
         decoder.source(decoder.operand(0),
                        wide ? OperandType::LongWord : OperandType::Word) &&
         decoder.emit(wide ? &runRestore<uint64_t> : &runRestore<uint32_t>);
}

} // namespace

void addStack(FamilyTable &table) {
  table["alloca"] = &decodeAlloca;
  table["stacksave"] = &decodeSave;
  table["stackrestore"] = &decodeRestore;
}

} // namespace qopt::emulator
