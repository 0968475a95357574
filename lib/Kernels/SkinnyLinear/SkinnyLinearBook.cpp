// From a book's bytes to tables, and from codes to numbers by them.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/SkinnyLinear/SkinnyLinearBook.h"
#include "lib/Kernels/Builder/Elements.h"
#include "lib/Quant/Element.h"

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::skinny_linear;

/// The signed byte in the lowest bits of a word.
static Real byteToReal(Int word) {
  return toReal(shiftSigned(word << int64_t(24), 24));
}

/// Bytes of the halves of eight numbers: the low ones of numbers 0…3 and 4…7,
/// then the high ones.
static std::vector<Int> bytesOfHalves(Kernel &k, const std::vector<Int> &packed,
                                      mlir::Type type) {
  std::vector<Int> pairs;
  for (int64_t i = 0; i < 8; i += 2) {
    Int word = packed[size_t(i / 4)] >> i % 4 * 8;
    pairs.push_back(
        k.packHalves(byteToReal(word), byteToReal(word >> int64_t(8)), type));
  }
  constexpr uint32_t lowBytes = 0x6420, highBytes = 0x7531;
  return {k.prmt(pairs[0], pairs[1], lowBytes),
          k.prmt(pairs[2], pairs[3], lowBytes),
          k.prmt(pairs[0], pairs[1], highBytes),
          k.prmt(pairs[2], pairs[3], highBytes)};
}

/// Each thread makes the words of some pairs. Neighbours begin with other
/// chunks of them, and so with other banks.
static void fillTable(const quant::Format &format, Global packed,
                      mlir::Type type, Int table, Int thread, int64_t threads) {
  Kernel &k = *packed.kernel;
  bool isFloat = quant::elementOf(format.element).numbers;
  k.loop(thread, k.constant(bookPairs), k.constant(threads), {},
         [&](Int pair, Kernel::Values) {
           auto number = [&](Int code) {
             return isFloat ? k.loadReal(packed.at(code, 4),
                                         k.builder().getF32Type())
                            : byteToReal(loadBytes(k, packed.at(code, 1), 1));
           };
           Int word = k.packHalves(number(pair & 15),
                                   number(pair >> int64_t(4)), type);
           std::vector<Int> copies(4, word);
           for (int64_t i = 0; i < bookRowBytes; i += 16) {
             Int chunk = (thread * 16 + i) & (bookRowBytes - 16);
             k.storeShared(table + pair * bookRowBytes + chunk, 0, copies);
           }
           return Kernel::Values();
         });
}

Book skinny_linear::makeBook(const quant::Format &format, mlir::Type activation,
                             Global packed, Int table, Int thread,
                             int64_t threads) {
  Book book;
  if (!hasBook(format))
    return book;
  Kernel &k = *packed.kernel;
  if (!bookBytes(format)) {
    book.bytes = bytesOfHalves(k, k.loadConstant(packed, 4), activation);
    return book;
  }
  fillTable(format, packed, activation, table, thread, threads);
  book.lane = table + k.lane() * 4;
  return book;
}

Fragment skinny_linear::lookUpPairs(Int word, const Book &book) {
  Kernel &k = *word.kernel;
  Fragment numbers;
  for (uint32_t i = 0; i < numbers.size(); ++i) {
    Int pair = k.prmt(word, k.constant(0), 0x4440 | i);
    numbers[i] = k.loadShared(book.lane + pair * bookRowBytes, 0, 1)[0];
  }
  return numbers;
}

Fragment skinny_linear::lookUpBytes(Int word, const Book &book) {
  Kernel &k = *word.kernel;
  Fragment numbers;
  for (size_t half = 0; half < 2; ++half) {
    Int codes = word >> int64_t(half * 16);
    Int low = k.prmt(book.bytes[0], book.bytes[1], codes),
        high = k.prmt(book.bytes[2], book.bytes[3], codes);
    numbers[2 * half] = k.prmt(low, high, 0x5140);
    numbers[2 * half + 1] = k.prmt(low, high, 0x7362);
  }
  return numbers;
}
