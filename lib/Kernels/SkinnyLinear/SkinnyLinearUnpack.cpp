// From packed codes to the registers of a product, on the device; the layout is
// drawn in SkinnyLinear.h, the host's side is SkinnyLinearPack.cpp.
//
// An integer code becomes a half by being written into the mantissa of a number
// in which its last bit is worth one: one lop3 or prmt for two codes. What the
// number is then too large by is the same for all codes of a row, so that Σx
// corrects it once a group instead of once a code.
//
//   f16:  1024 + code (rows g);  64 + code (rows g+8 of int4, whose nibble
//         stands four bits higher)
//   bf16: 128 + code (int4);  code − 128 exactly (int8: seven bits of the code
//         and, from its eighth, −128 or −256)
//
// fp8 codes are converted, exactly.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/SkinnyLinear/SkinnyLinearUnpack.h"

#include "lib/Kernels/Builder/Fp8.h"
#include "lib/Quant/Element.h"

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::skinny_linear;
using quant::ElementType;

constexpr uint8_t andOr = 0xEA;    // (a & b) | c
constexpr uint8_t notAndOr = 0xAE; // (~a & b) | c
constexpr uint8_t insert = 0x62;   // (a & b & ~c) | (~b & c)

Numbers skinny_linear::numbersOf(const quant::Format &format,
                                 mlir::Type activation) {
  if (!quant::elementOf(format.element).isInteger())
    return {{0, 0}, 0};
  bool bf16 = activation.isBF16();
  if (format.element == ElementType::Int4)
    return bf16 ? Numbers{{128, 128}, 8} : Numbers{{1024, 64}, 8};
  return bf16 ? Numbers{{-128, -128}, 128} : Numbers{{1024, 1024}, 128};
}

static Fragment unpackInt4(Kernel &k, Int word, mlir::Type type) {
  if (type.isBF16()) {
    Int mask = k.constant(0x000f000f), magic = k.constant(0x43004300);
    return {k.lop3(word, mask, magic, andOr),
            k.lop3(word >> 4, mask, magic, andOr),
            k.lop3(word >> 8, mask, magic, andOr),
            k.lop3(word >> 12, mask, magic, andOr)};
  }
  // One register with the bits of 1024 and 64; the other constant has the
  // code's bits, and those that the number does not have.
  Int magic = k.constant(0x74007400), low = k.constant(0x100f100f),
      high = k.constant(0x20f020f0);
  Int next = word >> 8;
  return {k.lop3(word, low, magic, insert), k.lop3(word, high, magic, insert),
          k.lop3(next, low, magic, insert), k.lop3(next, high, magic, insert)};
}

/// The registers of rows g and g+8 from the four codes of one half of k.
static std::array<Int, 2> unpackInt8(Kernel &k, Int word, mlir::Type type) {
  if (!type.isBF16()) {
    Int magic = k.constant(0x64646464);
    return {k.prmt(word, magic, 0x4240), k.prmt(word, magic, 0x4341)};
  }
  auto number = [&](Int bytes) {
    Int seven =
        k.lop3(bytes, k.constant(0x007f007f), k.constant(0x43004300), andOr);
    Int eighth = k.lop3(bytes, k.constant(0x00800080),
                        k.constant(int32_t(0xc300c300)), notAndOr);
    return k.addHalves(seven, eighth, type);
  };
  return {number(word), number(word >> 8)};
}

int skinny_linear::productsPerBlock(const quant::Format &format) {
  return int(16 / quant::elementOf(format.element).bits);
}

Fragment skinny_linear::unpackProduct(Kernel &k, const quant::Format &format,
                                      mlir::Type type,
                                      const std::vector<Int> &block,
                                      int product) {
  unsigned bits = quant::elementOf(format.element).bits;
  if (bits == 4)
    return unpackInt4(k, block[product], type);
  if (bits == 16)
    return {block[0], block[1], block[2], block[3]};
  auto unpackWord = [&](Int word) {
    return format.element == ElementType::Fp8E4m3
               ? unpackE4m3(k, word, type, BytePairs::Neighbours)
               : unpackInt8(k, word, type);
  };
  auto first = unpackWord(block[product * 2]);
  auto second = unpackWord(block[product * 2 + 1]);
  return {first[0], first[1], second[0], second[1]};
}

Fragment skinny_linear::unpackCodes(Kernel &k, const std::vector<Int> &block) {
  Fragment a;
  for (size_t i = 0; i < 4; ++i) // rows g: bytes 0 and 2; then without +128
    a[i] = k.prmt(block[i / 2 * 2], block[i / 2 * 2 + 1],
                  i % 2 ? 0x7531 : 0x6420) ^
           int64_t(int32_t(0x80808080));
  return a;
}
