// From the packed codes of a strip to the registers of a product, on the
// device. Every family that reads the layout of SkinnyLinear.h unpacks by this;
// what else a product needs (zero points, scales) is the family's.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_KERNELS_SKINNYLINEAR_SKINNYLINEARUNPACK_H
#define QOPT_LIB_KERNELS_SKINNYLINEAR_SKINNYLINEARUNPACK_H

#include "lib/Kernels/Builder/Kernel.h"
#include "lib/Quant/Format.h"

namespace qopt::kernels::skinny_linear {

/// The registers of A of one product: (g, h=0), (g+8, h=0), (g, h=1), (g+8, 1).
using Fragment = std::array<Int, 4>;

/// How the numbers that a format's unpacking makes relate to its codes:
///   number = base + code       (rows g, rows g+8)
/// Products of them with x are corrected by Σx, or they themselves are.
struct Numbers {
  double base[2];
  double zero; ///< code of the value 0 where the format is symmetric
  bool needsCorrection() const {
    return base[0] + zero != 0 || base[1] + zero != 0;
  }
};
Numbers numbersOf(const quant::Format &format, mlir::Type activation);

/// Bytes of the codes that a warp loads at once, 16 a lane.
constexpr int64_t blockBytes = 512;
/// Products of 16 columns whose codes one block holds: 4, 2 or 1.
int productsPerBlock(const quant::Format &format);
/// The numbers of product `product` of a block, whose words are the lane's.
Fragment unpackProduct(Kernel &kernel, const quant::Format &format,
                       mlir::Type activation, const std::vector<Int> &block,
                       int product);
/// The codes of a block of int8, with their signs, for a product of 32 columns
/// with codes: rows g of columns 8t…8t+3, g+8 of these, then of 8t+4…8t+7.
Fragment unpackCodes(Kernel &kernel, const std::vector<Int> &block);

} // namespace qopt::kernels::skinny_linear

#endif // QOPT_LIB_KERNELS_SKINNYLINEAR_SKINNYLINEARUNPACK_H
