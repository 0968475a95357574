// Integer instructions of PTX that C++ has no operator for: bit fields, byte
// permutation, funnel shifts, dot products of bytes, saturating sums. Operands
// are the registers' bits; the formulas are those of the PTX ISA, named by the
// instruction.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_EMULATOR_NUMERICS_INTEGER_H
#define QOPT_RUNTIME_EMULATOR_NUMERICS_INTEGER_H

#include "runtime/emulator/numerics/Conversion.h"

namespace qopt::emulator::numerics {

template <typename Int> inline constexpr unsigned widthOf = sizeof(Int) * 8;

/// mul.hi of 16, 32 and 64 bits, signed and unsigned.
template <typename Int> inline Int multiplyHigh(Int a, Int b) {
  if constexpr (sizeof(Int) == 8) {
    using Wide =
        std::conditional_t<std::is_signed_v<Int>, __int128, unsigned __int128>;
    return Int(Wide(a) * Wide(b) >> 64);
  } else {
    using Wide = std::conditional_t<std::is_signed_v<Int>, int64_t, uint64_t>;
    return Int(Wide(a) * Wide(b) >> widthOf<Int>);
  }
}

/// mul24 and mad24: the low (.lo) or the upper 32 (.hi) of 48 bits.
template <typename Int> inline Int multiply24(Int a, Int b, bool high) {
  using Wide = std::conditional_t<std::is_signed_v<Int>, int64_t, uint64_t>;
  const Wide x = Wide(uint64_t(uint32_t(a)) << 40) >> 40;
  const Wide y = Wide(uint64_t(uint32_t(b)) << 40) >> 40;
  return Int(high ? x * y >> 16 : x * y);
}

/// add.cc, addc, sub.cc, subc: the carry flag goes in and out.
template <typename Int> inline Int addWithCarry(Int a, Int b, bool &carry) {
  const Int partial = Int(a + b);
  const Int sum = Int(partial + carry);
  carry = partial < a || sum < partial;
  return sum;
}
/// a + ~b + carry, as the hardware has it: 1 comes in and goes out where
/// nothing is borrowed. PTX names the flag a borrow, but compilers add it to
/// what was subtracted before (nvcc's division in 128 bits), and ptxas does as
/// here.
template <typename Int>
inline Int subtractWithCarry(Int a, Int b, bool &carry) {
  return addWithCarry(a, Int(~b), carry);
}

/// add.sat.s32, sub.sat.s32, mad.hi.sat.s32 (with multiplyHigh).
inline int32_t addSaturating(int32_t a, int32_t b) {
  return saturateInteger<int32_t>(int64_t(a) + b);
}
inline int32_t subtractSaturating(int32_t a, int32_t b) {
  return saturateInteger<int32_t>(int64_t(a) - b);
}

/// sad: |a − b| + c, modulo 2^width.
template <typename Int> inline Int sumOfDifference(Int a, Int b, Int c) {
  using Unsigned = std::make_unsigned_t<Int>;
  const Unsigned difference = a < b ? Unsigned(Unsigned(b) - Unsigned(a))
                                    : Unsigned(Unsigned(a) - Unsigned(b));
  return Int(Unsigned(difference + Unsigned(c)));
}

/// shl and shr: amounts beyond the width give 0 or the sign.
template <typename Int> inline Int shiftLeft(Int a, uint32_t amount) {
  return amount < widthOf<Int> ? Int(std::make_unsigned_t<Int>(a) << amount)
                               : Int(0);
}
template <typename Int> inline Int shiftRight(Int a, uint32_t amount) {
  constexpr uint32_t last = widthOf<Int> - 1;
  if constexpr (std::is_signed_v<Int>)
    return Int(a >> (amount < last ? amount : last));
  else
    return amount <= last ? Int(a >> amount) : Int(0);
}

/// shf.l and shf.r on the 64 bits {high, low}; .clamp or .wrap.
inline uint32_t funnelLeft(uint32_t low, uint32_t high, uint32_t amount,
                           bool wrap) {
  const uint32_t n = wrap ? amount & 31 : (amount < 32 ? amount : 32);
  const uint64_t both = uint64_t(high) << 32 | low;
  return uint32_t(both << n >> 32);
}
inline uint32_t funnelRight(uint32_t low, uint32_t high, uint32_t amount,
                            bool wrap) {
  const uint32_t n = wrap ? amount & 31 : (amount < 32 ? amount : 32);
  const uint64_t both = uint64_t(high) << 32 | low;
  return uint32_t(both >> n);
}

/// bfe: `length` bits from `start`, the rest the field's sign (or 0).
template <typename Int>
inline Int extractField(Int a, uint32_t start, uint32_t length) {
  constexpr uint32_t width = widthOf<Int>;
  start &= 0xff;
  length &= 0xff;
  if (length == 0)
    return 0;
  // What lies beyond the register reads as its sign.
  const Int shifted = shiftRight(a, start);
  if (length >= width)
    return shifted;
  using Unsigned = std::make_unsigned_t<Int>;
  const uint32_t unused = width - length;
  return Int(Int(Unsigned(shifted) << unused) >> unused);
}

/// bfi: `length` bits of a into b at `start`.
template <typename Int>
inline Int insertField(Int a, Int b, uint32_t start, uint32_t length) {
  static_assert(std::is_unsigned_v<Int>);
  start &= 0xff;
  length &= 0xff;
  const Int ones =
      length < widthOf<Int> ? Int((Int(1) << length) - 1) : Int(~Int(0));
  const Int mask = shiftLeft(ones, start);
  return Int((b & ~mask) | (shiftLeft(a, start) & mask));
}

/// bfind: the highest bit that is no sign; ~0 where there is none. With
/// `asShift`, the left shift that brings it to the top.
template <typename Int> inline uint32_t findLeading(Int a, bool asShift) {
  using Unsigned = std::make_unsigned_t<Int>;
  const Unsigned bits = a < Int(0) ? Unsigned(~a) : Unsigned(a);
  if (!bits)
    return ~uint32_t(0);
  const uint32_t zeros = uint32_t(std::countl_zero(bits));
  return asShift ? zeros : widthOf<Int> - 1 - zeros;
}

/// brev.
template <typename Int> inline Int reverseBits(Int a) {
  static_assert(std::is_unsigned_v<Int>);
  if constexpr (sizeof(Int) == 8)
    return Int(reverseBits(uint32_t(a))) << 32 | reverseBits(uint32_t(a >> 32));
  a = (a >> 1 & 0x55555555u) | (a & 0x55555555u) << 1;
  a = (a >> 2 & 0x33333333u) | (a & 0x33333333u) << 2;
  a = (a >> 4 & 0x0f0f0f0fu) | (a & 0x0f0f0f0fu) << 4;
  a = (a >> 8 & 0x00ff00ffu) | (a & 0x00ff00ffu) << 8;
  return a >> 16 | a << 16;
}

/// fns: the offset-th set bit from `base`, upwards or downwards.
inline uint32_t findNthSet(uint32_t mask, uint32_t base, int32_t offset) {
  if (offset == 0)
    return base < 32 && (mask >> base & 1) ? base : ~uint32_t(0);
  const int64_t step = offset > 0 ? 1 : -1;
  int64_t left = offset > 0 ? int64_t(offset) : -int64_t(offset);
  for (int64_t at = base; at >= 0 && at < 32; at += step)
    if ((mask >> at & 1) && --left == 0)
      return uint32_t(at);
  return ~uint32_t(0);
}

/// lop3: bit 4a + 2b + c of the table for every bit.
inline uint32_t logic3(uint32_t a, uint32_t b, uint32_t c, uint8_t table) {
  uint32_t result = 0;
  for (unsigned i = 0; i < 8; ++i) {
    const uint32_t x = i & 4 ? a : ~a, y = i & 2 ? b : ~b, z = i & 1 ? c : ~c;
    result |= table >> i & 1 ? x & y & z : 0;
  }
  return result;
}

/// prmt: bytes of {b, a} (a holds 0…3) by the selector's nibbles; a nibble's
/// high bit copies the byte's sign.
inline uint32_t permute(uint32_t a, uint32_t b, uint32_t selector) {
  const uint64_t bytes = uint64_t(b) << 32 | a;
  uint32_t result = 0;
  for (unsigned i = 0; i < 4; ++i) {
    const uint32_t nibble = selector >> (4 * i);
    const uint32_t byte = uint32_t(bytes >> (8 * (nibble & 7))) & 0xff;
    const uint32_t sign = byte & 0x80 ? 0xffu : 0u;
    result |= (nibble & 8 ? sign : byte) << (8 * i);
  }
  return result;
}

/// The modes of prmt; each is a permutation by a selector of this table.
enum class PermuteMode : uint8_t {
  Index,
  ForwardFour,
  BackwardFour,
  ReplicateByte,
  EdgeClampLeft,
  EdgeClampRight,
  ReplicateHalf
};
inline uint32_t permute(uint32_t a, uint32_t b, uint32_t c, PermuteMode mode) {
  static constexpr uint16_t selectors[6][4] = {
      {0x3210, 0x4321, 0x5432, 0x6543}, {0x5670, 0x6701, 0x7012, 0x0123},
      {0x0000, 0x1111, 0x2222, 0x3333}, {0x3210, 0x3211, 0x3222, 0x3333},
      {0x0000, 0x1110, 0x2210, 0x3210}, {0x1010, 0x3232, 0x1010, 0x3232}};
  return mode == PermuteMode::Index
             ? permute(a, b, c)
             : permute(a, b, selectors[int(mode) - 1][c & 3]);
}

/// One byte or half of a register, as a signed or unsigned number.
template <typename Part> inline int32_t partOf(uint32_t bits, unsigned index) {
  return int32_t(Part(bits >> (index * widthOf<Part>)));
}

/// dp4a: A and B are int8_t or uint8_t.
template <typename A, typename B>
inline uint32_t dotBytes(uint32_t a, uint32_t b, uint32_t c) {
  for (unsigned i = 0; i < 4; ++i)
    c += uint32_t(partOf<A>(a, i) * partOf<B>(b, i));
  return c;
}

/// dp2a: A is int16_t or uint16_t, B int8_t or uint8_t; .hi takes b's upper
/// two bytes.
template <typename A, typename B>
inline uint32_t dotHalves(uint32_t a, uint32_t b, uint32_t c, bool high) {
  for (unsigned i = 0; i < 2; ++i)
    c += uint32_t(partOf<A>(a, i)) * uint32_t(partOf<B>(b, i + 2 * high));
  return c;
}

/// szext: the low `bits` of a, extended; .clamp or .wrap.
template <typename Int> inline Int extendFrom(Int a, uint32_t bits, bool wrap) {
  const uint32_t n = wrap ? bits & 31 : (bits < 32 ? bits : 32);
  return extractField(a, 0, n);
}

/// bmsk: `width` ones from bit `start`; .clamp or .wrap.
inline uint32_t bitMask(uint32_t start, uint32_t width, bool wrap) {
  const uint32_t from = wrap ? start & 31 : (start < 32 ? start : 32);
  const uint32_t length = wrap ? width & 31 : (width < 32 ? width : 32);
  return insertField(~uint32_t(0), uint32_t(0), from, length);
}

/// div and rem. A division by zero is undefined in PTX and gives all ones on a
/// GPU; the quotient that does not fit wraps around.
template <typename Int> inline Int quotientOf(Int a, Int b) {
  if (b == 0)
    return Int(~Int(0));
  if (std::is_signed_v<Int> && b == Int(-1))
    return Int(0 - std::make_unsigned_t<Int>(a));
  return Int(a / b);
}
template <typename Int> inline Int remainderOf(Int a, Int b) {
  if (b == 0)
    return Int(~Int(0));
  if (std::is_signed_v<Int> && b == Int(-1))
    return 0;
  return Int(a % b);
}

} // namespace qopt::emulator::numerics

#endif // QOPT_RUNTIME_EMULATOR_NUMERICS_INTEGER_H
