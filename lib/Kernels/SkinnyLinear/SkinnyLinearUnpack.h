// From the packed codes of a strip to the registers of a product, on the
// device. Every family that reads the layout of SkinnyLinear.h unpacks by this;
// what else a product needs (zero points, scales) is the family's.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_KERNELS_SKINNYLINEAR_SKINNYLINEARUNPACK_H
#define QOPT_LIB_KERNELS_SKINNYLINEAR_SKINNYLINEARUNPACK_H

#include "lib/Kernels/Builder/Kernel.h"
#include "lib/Kernels/SkinnyLinear/SkinnyLinearPack.h"
#include "lib/Quant/Format.h"

namespace qopt::kernels::skinny_linear {

/// The registers of A of one product: (g, h=0), (g+8, h=0), (g, h=1), (g+8, 1).
using Fragment = std::array<Int, 4>;

/// How the codes of a code book become numbers (SkinnyLinearBook.h).
struct Book {
  Int lane;               ///< address of the lane's column in the table
  std::vector<Int> bytes; ///< of numbers as halves
};

/// A strip's codes in shared memory: those of `products` products at `address`
/// + `offset`, of which the lane asks from block `firstBlock` on.
struct StripCodes {
  Int address;
  int64_t offset, products;
  Int firstBlock;
};
/// The lane's words of a block, of all planes.
std::vector<Int> loadBlock(const quant::Format &format, const StripCodes &codes,
                           int64_t block);
/// The numbers of product `product` of a block, whose words are the lane's;
/// `book` where the format has one.
Fragment unpackProduct(Kernel &kernel, const quant::Format &format,
                       mlir::Type activation, const std::vector<Int> &block,
                       int product, const Book &book);
/// The codes of rows g and g+8, a byte each, as halves: without `offset`.
Int codesToHalves(Int bytes, int offset);
/// The codes of a block of int8, with their signs, for a product of 32 columns
/// with codes: rows g of columns 8t…8t+3, g+8 of these, then of 8t+4…8t+7.
Fragment unpackCodes(Kernel &kernel, const std::vector<Int> &block);

} // namespace qopt::kernels::skinny_linear

#endif // QOPT_LIB_KERNELS_SKINNYLINEAR_SKINNYLINEARUNPACK_H
