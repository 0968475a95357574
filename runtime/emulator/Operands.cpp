// The decoder's operands: what slots registers, literals, special registers,
// symbols and vectors have.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/Decoder.h"

#include "runtime/emulator/Warp.h"
#include "runtime/emulator/ptx/Lexer.h"

#include <bit>

namespace qopt::emulator {

bool Decoder::has(std::string_view modifier) const {
  for (const std::string &known : current->modifiers)
    if (known == modifier)
      return true;
  return false;
}

ptx::Type Decoder::type() const {
  for (size_t i = current->modifiers.size(); i-- > 0;)
    if (ptx::Type type = ptx::typeNamed(current->modifiers[i]);
        type != ptx::Type::None)
      return type;
  return ptx::Type::None;
}

ptx::Type Decoder::type(unsigned n) const {
  for (const std::string &modifier : current->modifiers)
    if (ptx::Type type = ptx::typeNamed(modifier);
        type != ptx::Type::None && n-- == 0)
      return type;
  return ptx::Type::None;
}

bool Decoder::expectOperands(size_t least, size_t most) {
  if (operands() >= least && operands() <= most)
    return true;
  return fail("expected " + std::to_string(least) +
              (most > least ? " to " + std::to_string(most) : "") +
              " operands, got " + std::to_string(operands()));
}

OperandType Decoder::kindOf(ptx::Type type) {
  if (type == ptx::Type::Pred)
    return OperandType::Predicate;
  if (type == ptx::Type::F32)
    return OperandType::Single;
  if (type == ptx::Type::F64)
    return OperandType::Double;
  return sizeOf(type) > 4 ? OperandType::LongWord : OperandType::Word;
}

OperandType Decoder::kindOf(const ptx::Operand &operand,
                            OperandType otherwise) const {
  if (operand.kind != ptx::Operand::Register)
    return otherwise;
  return kindOf(currentFunction->registers[operand.index]);
}

unsigned Decoder::registerBytes(const ptx::Operand &operand) const {
  if (operand.kind != ptx::Operand::Register)
    return 0;
  return sizeOf(currentFunction->registers[operand.index]);
}

bool Decoder::literalBits(const ptx::Operand &operand, OperandType type,
                          uint64_t &bits) {
  bits = operand.bits;
  auto kind = ptx::Literal::Kind(operand.literal);
  if (type == OperandType::Predicate) {
    bits = bits ? fullMask : 0;
  } else if (type == OperandType::Single) {
    if (kind == ptx::Literal::Double)
      bits = std::bit_cast<uint32_t>(float(std::bit_cast<double>(bits)));
  } else if (type == OperandType::Double) {
    if (kind == ptx::Literal::Single)
      bits =
          std::bit_cast<uint64_t>(double(std::bit_cast<float>(uint32_t(bits))));
  } else if (kind == ptx::Literal::Double && type == OperandType::Word) {
    bits = std::bit_cast<uint32_t>(float(std::bit_cast<double>(bits)));
  }
  if (type != OperandType::Double && type != OperandType::LongWord)
    bits &= 0xffffffffu;
  return true;
}

void Decoder::constant(uint64_t bits, OperandType type) {
  bool wide = type == OperandType::Double || type == OperandType::LongWord;
  sourceSlots.push_back(
      {constantSlot(bits, wide), type == OperandType::Predicate ? uint8_t(1)
                                 : wide                         ? uint8_t(64)
                                                                : uint8_t(32)});
}

bool Decoder::source(const ptx::Operand &operand, OperandType type) {
  bool wide = type == OperandType::Double || type == OperandType::LongWord;
  if (!operand.selector.empty())
    return fail("the selector '." + operand.selector + "' does not fit here");
  switch (operand.kind) {
  case ptx::Operand::Register: {
    ptx::Type declared = currentFunction->registers[operand.index];
    bool predicate = declared == ptx::Type::Pred;
    if (predicate != (type == OperandType::Predicate) ||
        (!predicate && (sizeOf(declared) > 4) != wide))
      return fail("register '" + operand.name + "' of type ." +
                  std::string(nameOf(declared)) + " does not fit here");
    sourceSlots.push_back(
        {registerSlots[currentIndex][operand.index],
         predicate ? uint8_t(1) : uint8_t(8 * std::min(sizeOf(declared), 8u))});
    return true;
  }
  case ptx::Operand::Immediate: {
    uint64_t bits;
    if (!literalBits(operand, type, bits))
      return false;
    constant(bits, type);
    return true;
  }
  case ptx::Operand::Special: {
    uint32_t slot;
    if (!specialSlot(operand.name, slot) || wide) {
      unsupported = true;
      return fail("the emulator has no special register '" + operand.name +
                  "' here");
    }
    sourceSlots.push_back(
        {slot, uint8_t(type == OperandType::Predicate ? 1 : 32)});
    return true;
  }
  case ptx::Operand::Variable: {
    auto place = places.find(operand.index);
    uint64_t value = place != places.end() ? place->second.address
                                           : addresses[operand.index];
    if (place != places.end() && place->second.inFrame)
      inst.wide |= FrameRelative;
    constant(value + uint64_t(operand.offset), type);
    return true;
  }
  case ptx::Operand::Function:
    if (!wide)
      return fail("the address of '" + operand.name + "' has 64 bits");
    constant(functionAddress(operand.index), type);
    return true;
  default:
    return fail("operand '" + operand.name + "' does not fit here");
  }
}

bool Decoder::sourceQuad(const ptx::Operand &operand) {
  if (!source(operand, OperandType::LongWord))
    return false;
  sourceSlots.push_back({sourceSlots.back().place + 2 * slotBytes, 64});
  return true;
}

bool Decoder::destinationQuad(const ptx::Operand &operand) {
  if (!destination(operand, OperandType::LongWord))
    return false;
  destinationSlots.push_back(
      {destinationSlots.back().place + 2 * slotBytes, 64});
  return true;
}

bool Decoder::kernelParameter(const ptx::Operand &operand,
                              uint64_t &place) const {
  if (operand.kind != ptx::Operand::Address || operand.elements.empty() ||
      operand.elements[0].kind != ptx::Operand::Variable)
    return false;
  auto found = places.find(operand.elements[0].index);
  if (found == places.end() || found->second.space != ptx::Space::Param)
    return false;
  place = (found->second.address & ~windowMask) +
          uint64_t(operand.elements[0].offset + operand.offset);
  return true;
}

bool Decoder::destination(const ptx::Operand &operand, OperandType type) {
  if (operand.kind == ptx::Operand::Sink) {
    // Nobody reads it: registers for it are made as they are needed.
    destinationSlots.push_back({0x80000000u | registerBytesUsed, 64});
    registerBytesUsed += 2 * slotBytes;
    return true;
  }
  if (operand.kind != ptx::Operand::Register)
    return fail("operand '" + operand.name + "' is not a register");
  if (!source(operand, type))
    return false;
  destinationSlots.push_back(sourceSlots.back());
  sourceSlots.pop_back();
  return true;
}

bool Decoder::sources(const ptx::Operand &operand, OperandType type) {
  if (operand.kind != ptx::Operand::Vector)
    return source(operand, type);
  for (const ptx::Operand &element : operand.elements)
    if (!source(element, type))
      return false;
  return true;
}

bool Decoder::destinations(const ptx::Operand &operand, OperandType type) {
  if (operand.kind != ptx::Operand::Vector)
    return destination(operand, type);
  for (const ptx::Operand &element : operand.elements)
    if (!destination(element, type))
      return false;
  return true;
}

bool Decoder::address(const ptx::Operand &operand, ptx::Space &space) {
  if (operand.kind != ptx::Operand::Address)
    return fail("expected an address in brackets");
  inst.offset = operand.offset;
  if (operand.elements.empty()) {
    inst.wide |= Wide;
    constant(0, OperandType::LongWord);
    return true;
  }
  const ptx::Operand &base = operand.elements[0];
  if (base.kind == ptx::Operand::Variable) {
    auto place = places.find(base.index);
    if (place != places.end())
      space = place->second.space;
    else if (space == ptx::Space::Generic || space == ptx::Space::Const)
      space = ptx::Space::Global;
    inst.wide |= Wide;
    return source(base, OperandType::LongWord);
  }
  if (base.kind != ptx::Operand::Register)
    return fail("'" + base.name + "' is no base of an address");
  bool wide = registerBytes(base) == 8;
  inst.wide |= wide ? Wide : Narrow;
  if (space == ptx::Space::Const)
    space = ptx::Space::Global; // constant memory has global addresses
  return source(base, wide ? OperandType::LongWord : OperandType::Word);
}

} // namespace qopt::emulator
