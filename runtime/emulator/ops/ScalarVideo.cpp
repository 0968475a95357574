// Scalar video instructions: a byte, a half or a whole register of each
// operand, extended to 33 bits; the result may be saturated, joined with a
// third operand or put into a part of it (PTX ISA, scalar video instructions).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/ops/VideoOperations.h"

#include <bit>

namespace qopt::emulator {
namespace {

/// Intermediate results: a product of two words and a third one, or a word
/// shifted by 32.
using Wide = __int128;

/// Bits [shift, shift + width) of a register.
struct RegisterPart {
  uint8_t shift = 0, width = 32;
  uint32_t ones() const { return uint32_t((uint64_t(1) << width) - 1); }
};

/// "b2", "h1", or "" for the whole register.
bool readPart(Decoder &decoder, const std::string &selector,
              RegisterPart &part) {
  if (selector.empty())
    return true;
  const int digit = selector.size() == 2 ? selector[1] - '0' : -1;
  if (selector[0] == 'b' && digit >= 0 && digit < 4)
    part = {uint8_t(8 * digit), 8};
  else if (selector[0] == 'h' && digit >= 0 && digit < 2)
    part = {uint8_t(16 * digit), 16};
  else
    return decoder.fail("the selector '." + selector +
                        "' names no byte or half of a register");
  return true;
}

Wide valueOf(RegisterPart part, bool isSigned, uint32_t word) {
  const uint32_t bits = word >> part.shift & part.ones();
  return isSigned
             ? Wide(int32_t(bits << (32 - part.width)) >> (32 - part.width))
             : Wide(bits);
}

Wide saturate(Wide value, bool isSigned, unsigned width) {
  const Wide most = (Wide(1) << (isSigned ? width - 1 : width)) - 1;
  return std::clamp(value, isSigned ? -most - 1 : Wide(0), most);
}

enum class SecondOperation : uint8_t { None, Add, Minimum, Maximum };

/// What an instruction does with its operands, kept in Inst::offset.
struct Scalar {
  VideoOperation operation = VideoOperation::Add;
  SecondOperation second = SecondOperation::None;
  bool signedResult : 1 = false, signedA : 1 = false, signedB : 1 = false;
  bool saturates : 1 = false;
  bool wraps : 1 = false; ///< amounts of shifts, which else are at most 32
  uint8_t unused[5] = {};
};
static_assert(sizeof(Scalar) == sizeof(int64_t));

/// Of d, a and b, kept in Inst::offset2.
struct Parts {
  RegisterPart d, a, b;
  RegisterPart unused;
};
static_assert(sizeof(Parts) == sizeof(int64_t));

uint32_t computeLane(const Scalar &scalar, const Parts &parts,
                     const uint32_t (&words)[3]) {
  const Wide a = valueOf(parts.a, scalar.signedA, words[0]);
  Wide b = valueOf(parts.b, scalar.signedB, words[1]);
  if (scalar.operation == VideoOperation::ShiftLeft ||
      scalar.operation == VideoOperation::ShiftRight)
    b = scalar.wraps ? b & 31 : std::min<Wide>(b, 32);
  Wide result = computeVideo(scalar.operation, a, b);
  if (scalar.saturates)
    result = saturate(result, scalar.signedResult, parts.d.width);
  const Wide c = valueOf({}, scalar.signedResult, words[2]);
  switch (scalar.second) {
  case SecondOperation::None:
    break;
  case SecondOperation::Add:
    result += c;
    break;
  case SecondOperation::Minimum:
    result = std::min(result, c);
    break;
  case SecondOperation::Maximum:
    result = std::max(result, c);
    break;
  }
  const uint32_t place = parts.d.ones() << parts.d.shift;
  return (uint32_t(result) << parts.d.shift & place) | (words[2] & ~place);
}

/// vmad: how the sum is made, kept in Inst::offset.
struct MultiplyAdd {
  bool signedA = false, signedB = false;
  bool negatedProduct = false, negatedC = false, plusOne = false;
  bool saturates = false;
  uint8_t scale = 0; ///< bits to the right
  uint8_t unused = 0;

  bool signedProduct() const { return signedA || signedB || negatedProduct; }
};
static_assert(sizeof(MultiplyAdd) == sizeof(int64_t));

uint32_t multiplyAdd(const MultiplyAdd &mad, const Parts &parts,
                     const uint32_t (&words)[3]) {
  const bool isSigned = mad.signedProduct() || mad.negatedC;
  const Wide product = valueOf(parts.a, mad.signedA, words[0]) *
                       valueOf(parts.b, mad.signedB, words[1]);
  const Wide c = valueOf({}, mad.signedProduct(), words[2]);
  Wide sum = (mad.negatedProduct ? -product : product) +
             (mad.negatedC ? -c : c) + Wide(mad.plusOne);
  sum >>= mad.scale;
  return uint32_t(mad.saturates ? saturate(sum, isSigned, 32) : sum);
}

/// Each lane's result from its words of a, b and c.
template <typename What, uint32_t (*Compute)(const What &, const Parts &,
                                             const uint32_t (&)[3])>
Step runScalar(Warp &warp, const Inst &inst, uint32_t mask) {
  const auto what = std::bit_cast<What>(inst.offset);
  const auto parts = std::bit_cast<Parts>(inst.offset2);
  eachVideoLane(warp, inst, mask, [&](uint32_t a, uint32_t b, uint32_t c) {
    return Compute(what, parts, {a, b, c});
  });
  return Step::Next;
}

/// The operands d, a, b, c without selectors and signs, which `parts` and
/// `negated` get. A third operand that is not there is 0.
bool readOperands(Decoder &decoder, size_t least, Parts &parts,
                  bool (&negated)[4]) {
  if (!decoder.expectOperands(least, 4))
    return false;
  RegisterPart *selected[] = {&parts.d, &parts.a, &parts.b};
  for (size_t i = 0; i < decoder.operands(); ++i) {
    ptx::Operand plain = decoder.operand(i);
    const std::string selector = std::exchange(plain.selector, "");
    negated[i] = std::exchange(plain.negated, false);
    if (i == 3 && !selector.empty())
      return decoder.fail("the last operand has no selector");
    if ((i < 3 && !readPart(decoder, selector, *selected[i])) ||
        !(i ? decoder.source(plain, OperandType::Word)
            : decoder.destination(plain, OperandType::Word)))
      return false;
  }
  if (decoder.operands() < 4)
    decoder.constant(0, OperandType::Word);
  return true;
}

bool isWord(ptx::Type type) {
  return type == ptx::Type::S32 || type == ptx::Type::U32;
}

/// v….dtype.atype.btype{.sat}{.second} d{.part}, a{.part}, b{.part}{, c}; vset
/// has no type of d, whose and c's is u32.
bool decodeScalar(Decoder &decoder) {
  Scalar scalar;
  Parts parts;
  const std::string &opcode = decoder.instruction().opcode;
  const bool isSet = opcode == "vset", isShift = opcode.starts_with("vsh");
  const unsigned first = isSet ? 0 : 1;
  const ptx::Type ofA = decoder.type(first), ofB = decoder.type(first + 1);
  if (!findVideoOperation(decoder, opcode, scalar.operation) ||
      !isWord(decoder.type(0)) || !isWord(ofA) || !isWord(ofB) ||
      (isShift && ofB != ptx::Type::U32))
    return decoder.unknown();
  scalar.signedResult = !isSet && isSigned(decoder.type(0));
  scalar.signedA = isSigned(ofA);
  scalar.signedB = isSigned(ofB);
  scalar.saturates = decoder.has("sat");
  scalar.wraps = decoder.has("wrap");
  if (isShift && scalar.wraps == decoder.has("clamp"))
    return decoder.fail("expected '.clamp' or '.wrap'");
  scalar.second = decoder.has("add")   ? SecondOperation::Add
                  : decoder.has("min") ? SecondOperation::Minimum
                  : decoder.has("max") ? SecondOperation::Maximum
                                       : SecondOperation::None;
  const bool joins = scalar.second != SecondOperation::None;
  const bool merges = !decoder.operand(0).selector.empty();
  if (joins && merges)
    return decoder.fail("a second operation and a part of the result do not "
                        "go together");
  bool negated[4] = {};
  if (!readOperands(decoder, joins || merges ? 4 : 3, parts, negated))
    return false;
  if (std::ranges::count(negated, true))
    return decoder.fail("no operand may be negated");
  decoder.inst.offset = std::bit_cast<int64_t>(scalar);
  decoder.inst.offset2 = std::bit_cast<int64_t>(parts);
  return decoder.emit(&runScalar<Scalar, computeLane>);
}

/// vmad.dtype.atype.btype{.po}{.sat}{.shr7} d, {-}a{.part}, {-}b{.part}, {-}c;
/// what is signed follows from a, b and the signs.
bool decodeMultiplyAdd(Decoder &decoder) {
  MultiplyAdd mad;
  Parts parts;
  for (unsigned n : {0u, 1u, 2u})
    if (!isWord(decoder.type(n)))
      return decoder.unknown();
  mad.signedA = isSigned(decoder.type(1));
  mad.signedB = isSigned(decoder.type(2));
  mad.plusOne = decoder.has("po");
  mad.saturates = decoder.has("sat");
  mad.scale = decoder.has("shr7") ? 7 : decoder.has("shr15") ? 15 : 0;
  bool negated[4] = {};
  if (!readOperands(decoder, 4, parts, negated))
    return false;
  mad.negatedProduct = negated[1] != negated[2];
  mad.negatedC = negated[3];
  if (mad.negatedProduct + mad.negatedC + mad.plusOne > 1)
    return decoder.fail("expected at most one of a negated product, a negated "
                        "last operand and '.po'");
  if (parts.d.width != 32)
    return decoder.fail("the result has no selector");
  decoder.inst.offset = std::bit_cast<int64_t>(mad);
  decoder.inst.offset2 = std::bit_cast<int64_t>(parts);
  return decoder.emit(&runScalar<MultiplyAdd, multiplyAdd>);
}

} // namespace

void addScalarVideo(FamilyTable &table) {
  for (const char *name :
       {"vadd", "vsub", "vabsdiff", "vmin", "vmax", "vshl", "vshr", "vset"})
    table[name] = &decodeScalar;
  table["vmad"] = &decodeMultiplyAdd;
}

} // namespace qopt::emulator
