// From packed codes to the registers of a product, on the device; the layout is
// drawn in SkinnyLinear.h, the host's side is SkinnyLinearPack.cpp.
//
// An integer code becomes a half by being written into the mantissa of a number
// in which its last bit is worth one: one lop3 or prmt for two codes. What the
// number is then too large by is the same for all codes of a row, so that Σx
// corrects it once a group instead of once a code.
//
//   f16:  2^(4+b) + code (rows g of b < 8 bits);  2^b + code (rows g+8, whose
//         nibble stands four bits higher);  1024 + code (int8)
//   bf16: 2^(1+b) + code (b < 8);  code − 128 exactly (int8: seven bits of the
//         code and, from its eighth, −128 or −256)
//
// fp8 codes are converted, exactly; those of code books are looked up
// (SkinnyLinearBook.cpp).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/SkinnyLinear/SkinnyLinearUnpack.h"

#include "lib/Kernels/Builder/Fp8.h"
#include "lib/Kernels/Builder/Fragments.h"
#include "lib/Kernels/SkinnyLinear/SkinnyLinearBook.h"
#include "lib/Quant/Element.h"

#include <bit>

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::skinny_linear;
using quant::ElementType;

constexpr uint8_t andOr = 0xEA;    // (a & b) | c
constexpr uint8_t notAndOr = 0xAE; // (~a & b) | c
constexpr uint8_t choose = 0xCA;   // (a & b) | (~a & c)
constexpr uint8_t insert = 0x62;   // (a & b & ~c) | (~b & c)

static Int rotateRight(Int word, int bits) {
  bits %= 32;
  return bits ? (word >> int64_t(bits)) | (word << int64_t(32 - bits)) : word;
}

/// The same 16 bits in both halves of a word.
static Int twice(Kernel &k, int64_t half) {
  return k.constant(int32_t(half << 16 | half));
}

namespace {
/// The words that have the codes of one product, rotated so that rows g, h = 0,
/// begin at bit `first` of both halves; with `upper` bits in a word of their
/// own, at `first` + 4.
struct NibbleWords {
  int bits = 0, first = 0, upper = 0;
  Int word, upperWord;

  int64_t field() const {
    return ((int64_t(1) << (bits - upper)) - 1) << first;
  }
  int64_t upperField() const {
    return ((int64_t(1) << upper) - 1) << (first + 4);
  }
};
} // namespace

static NibbleWords nibblesOf(Kernel &k, const quant::Format &format,
                             const std::vector<Int> &block, int product) {
  std::vector<CodePlane> planes = codePlanes(format);
  int low = planes[0].words, bit = product * low;
  NibbleWords words;
  words.bits = int(quant::elementOf(format.element).bits);
  words.first = planes[0].rotation;
  words.word = rotateRight(block[size_t(bit / 4)], bit % 4);
  if (planes.size() == 1)
    return words;
  int high = planes[1].words;
  bit = product * high;
  Int upper = rotateRight(block[size_t(low + bit / 4)], bit % 4);
  if (low < 4) { // one nibble has both
    Int mask = k.constant(int32_t(std::rotl(0x33333333u, words.first)));
    words.word = k.lop3(mask, words.word, upper, choose);
    return words;
  }
  words.upper = high;
  words.upperWord = upper;
  return words;
}

/// Of f16: the mantissa has room for codes of rows g and, four bits higher, of
/// rows g+8, whose last bits are worth one in different powers of two.
static Fragment unpackHalves(Kernel &k, const NibbleWords &codes) {
  // One register with the bits of both powers; the other constant has the
  // code's bits, and those of the powers that the number does not have.
  int64_t low = int64_t(25 - codes.first) << 10,
          high = int64_t(21 - codes.first) << 10, both = low | high;
  Int magic = twice(k, both), ofLow = twice(k, codes.field() | (both & ~low)),
      ofHigh = twice(k, codes.field() << 4 | (both & ~high));
  Int next = rotateRight(codes.word, 8);
  Fragment numbers = {k.lop3(codes.word, ofLow, magic, insert),
                      k.lop3(codes.word, ofHigh, magic, insert),
                      k.lop3(next, ofLow, magic, insert),
                      k.lop3(next, ofHigh, magic, insert)};
  if (!codes.upper)
    return numbers;
  Int upper[] = {codes.upperWord, rotateRight(codes.upperWord, 8)};
  for (size_t i = 0; i < numbers.size(); ++i)
    numbers[i] = k.lop3(upper[i / 2], twice(k, codes.upperField() << i % 2 * 4),
                        numbers[i], andOr);
  return numbers;
}

/// Of bf16: it has room for one code.
static Fragment unpackShortHalves(Kernel &k, const NibbleWords &codes) {
  Int magic = twice(k, int64_t(134 - codes.first) << 7);
  Fragment numbers;
  for (size_t i = 0; i < numbers.size(); ++i) {
    numbers[i] = k.lop3(rotateRight(codes.word, int(i) * 4),
                        twice(k, codes.field()), magic, andOr);
    if (codes.upper)
      numbers[i] = k.lop3(rotateRight(codes.upperWord, int(i) * 4),
                          twice(k, codes.upperField()), numbers[i], andOr);
  }
  return numbers;
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

std::vector<Int> skinny_linear::loadBlock(const quant::Format &format,
                                          const StripCodes &codes,
                                          int64_t block) {
  Kernel &k = *codes.address.kernel;
  std::vector<CodePlane> planes = codePlanes(format);
  std::vector<Int> words;
  for (size_t i = 0; i < planes.size(); ++i) {
    int64_t blockBytes = planes[i].blockBytes();
    Int address = codes.address + k.lane() * int64_t(planes[i].words * 4) +
                  codes.firstBlock * blockBytes;
    int64_t offset = codes.offset + codePlaneOffset(format, i, codes.products) +
                     block * blockBytes;
    for (Int word : k.loadShared(address, offset, unsigned(planes[i].words)))
      words.push_back(word);
  }
  return words;
}

Fragment skinny_linear::unpackProduct(Kernel &k, const quant::Format &format,
                                      mlir::Type type,
                                      const std::vector<Int> &block,
                                      int product, const Book &book) {
  unsigned bits = quant::elementOf(format.element).bits;
  if (bits < 8) {
    NibbleWords codes = nibblesOf(k, format, block, product);
    if (hasBook(format))
      return bits == 4 ? lookUpPairs(codes.word, book)
                       : lookUpBytes(codes.word & 0x77777777, book);
    return type.isBF16() ? unpackShortHalves(k, codes) : unpackHalves(k, codes);
  }
  if (bits == 16)
    return {block[0], block[1], block[2], block[3]};
  auto unpackWord = [&](Int word) {
    return quant::isFp8(format.element)
               ? unpackFp8(k, word, format.element, type, BytePairs::Neighbours)
               : unpackInt8(k, word, type);
  };
  auto first = unpackWord(block[product * 2]);
  auto second = unpackWord(block[product * 2 + 1]);
  return {first[0], first[1], second[0], second[1]};
}

Int skinny_linear::codesToHalves(Int bytes, int offset) {
  Kernel &k = *bytes.kernel;
  mlir::Type f16 = k.builder().getF16Type();
  Int numbers = k.prmt(bytes, k.constant(0x64646464), 0x4140); // 1024 + code
  return k.addHalves(numbers, bothHalves(k, -(1024.0 + offset), f16), f16);
}

Fragment skinny_linear::unpackCodes(Kernel &k, const std::vector<Int> &block) {
  Fragment a;
  for (size_t i = 0; i < 4; ++i) // rows g: bytes 0 and 2; then without +128
    a[i] = k.prmt(block[i / 2 * 2], block[i / 2 * 2 + 1],
                  i % 2 ? 0x7531 : 0x6420) ^
           int64_t(int32_t(0x80808080));
  return a;
}
