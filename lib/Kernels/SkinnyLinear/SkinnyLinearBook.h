// Code books on the device: codes of 3 or 4 bits become the numbers of their
// matrix, or of their type, as pairs of halves. Those of a matrix are integers
// of eight bits, exact in f16 and bf16 as those of e2m1 are, so that nothing is
// corrected afterwards; those of nf4 are rounded.
//
//   lut3   eight numbers are four registers, low and high bytes of halves: a
//          prmt looks up the bytes of four codes
//   4 bits sixteen are too many for that; a pair of codes is a byte, and its
//          pair of halves a word in shared memory, once for each lane, so that
//          lanes read different banks whatever their codes are:
//
//            table[pair of codes, 256][lane, 32]: 4 bytes
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_KERNELS_SKINNYLINEAR_SKINNYLINEARBOOK_H
#define QOPT_LIB_KERNELS_SKINNYLINEAR_SKINNYLINEARBOOK_H

#include "lib/Kernels/SkinnyLinear/SkinnyLinearUnpack.h"

namespace qopt::kernels::skinny_linear {

/// The book of a segment, packed as packedBookBytes at `packed`. `threads`
/// threads, this one `thread` of them, fill the table at `table` where the
/// format has one; nobody may read it before they have met.
Book makeBook(const quant::Format &format, mlir::Type activation, Global packed,
              Int table, Int thread, int64_t threads);

/// The fragment of a word of codes of 4 bits, and of lut3's in nibbles.
Fragment lookUpPairs(Int word, const Book &book);
Fragment lookUpBytes(Int word, const Book &book);

} // namespace qopt::kernels::skinny_linear

#endif // QOPT_LIB_KERNELS_SKINNYLINEAR_SKINNYLINEARBOOK_H
