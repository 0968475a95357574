// Sizes of packed weights, and packing on the host; SkinnyLinear.h draws the
// layout, SkinnyLinearUnpack.h is the device's side.
//
// Codes of b < 8 bits are in blocks of
// four products, b words a lane: a plane of 4 or 2 bits, and of int3, int5 and
// int6 a second one of the upper bits. A plane of p bits has p words of a lane
// side by side; each of their nibbles is of one place, and has there the bits
// of 4/p products:
//
//   nibble   0   4   1   5   2   6   3   7        plane of  product's bits
//   row      g   g  g+8 g+8  g   g  g+8 g+8       4 bits    | p            |
//   h        0   0   0   0   1   1   1   1        2 bits    | p + 1 |  p   |
//   e        0   1   0   1   0   1   0   1        1 bit     | 3 | 2 | 1 | 0 |
//
// A word is then rotated to the left, so that codes come to lie where the
// mantissa of a half ends, and the numbers that they become stay small: by 6 −
// b bits, and that of upper bits by 4 more (2 where both share a nibble).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_KERNELS_SKINNYLINEAR_SKINNYLINEARPACK_H
#define QOPT_LIB_KERNELS_SKINNYLINEAR_SKINNYLINEARPACK_H

#include "lib/Kernels/SkinnyLinear/SkinnyLinear.h"
#include "lib/Quant/Storage.h"

namespace qopt::kernels::skinny_linear {

/// Bytes of one unit: codes, scales and zero points of 16 rows × 128 columns.
int64_t unitBytes(const quant::Format &format);
/// Groups that have their scale in a unit; 0 for formats with a scale a row.
int64_t groupsPerUnit(const quant::Format &format);
/// Planes of scales, or of zero points, in a unit, where it has such: one a
/// group. The zero point of a row without groups is in each of its units.
int64_t planesPerUnit(const quant::Format &format);
/// Whether every 32 columns are of two groups, of 16: lanes t = 0 and 1 have
/// the first one's, 2 and 3 the second one's, in both of their products.
bool splitsChunks(const quant::Format &format);
/// Whether the scales of the rows stand behind the units.
bool hasRowScales(const quant::Format &format);
/// Row of the segment that is row `r` of strip `strip`, or −1 for padding.
int64_t rowOfStrip(int64_t rows, bool paired, int64_t strip, int64_t r);

/// Whether the planes of scales, and those of zero points, hold f32 instead of
/// halves: scales of groups that are no f16 (of e4m3 their products with the
/// row's f32), and fractions beside such scales.
bool hasWideScales(const quant::Format &format);
bool hasWideZeros(const quant::Format &format);
/// Bytes of the scales, or of the zero points, of a group: f32, halves, or
/// codes of one byte of two levels; 0 where units have none.
int64_t scalePlaneBytes(const quant::Format &format);
int64_t zeroPlaneBytes(const quant::Format &format);
/// Offsets in a unit of the scales and zero points of its first group, and of
/// the f16 that scales of two levels are multiples of.
int64_t scalesOffset(const quant::Format &format);
int64_t zerosOffset(const quant::Format &format);
int64_t scaleUnitsOffset(const quant::Format &format);
/// What is added to a scale's code of two levels, so that none is negative.
int scaleCodeOffset(const quant::Format &format);

/// Whether codes are indices of a code book; and its bytes in packed weights,
/// numbers of 8 bits, or f32 where the element says which.
bool hasBook(const quant::Format &format);
int64_t packedBookBytes(const quant::Format &format);
/// Rows of a table of pairs of codes in shared memory, and their bytes; all of
/// it, 0 where a format has none.
constexpr int64_t bookPairs = 256, bookRowBytes = 128;
int64_t bookBytes(const quant::Format &format);
int64_t bookBytes(const Problem &problem);

/// Codes of a unit lie in planes, and a plane in blocks of some products, in
/// which every lane has `words` words side by side.
struct CodePlane {
  int words;
  int rotation; ///< of codes of less than 8 bits, to the left
  int blockBytes() const { return 32 * 4 * words; }
};
std::vector<CodePlane> codePlanes(const quant::Format &format);
/// Products of 16 columns whose codes one block holds: 4, 2 or 1.
int productsPerBlock(const quant::Format &format);
/// Where a plane begins among the codes of `products` products of a strip.
int64_t codePlaneOffset(const quant::Format &format, size_t plane,
                        int64_t products);

/// Lane instructions that unpack the eight codes of a lane and product.
double unpackInstructions(const quant::Format &format,
                          quant::ElementType activation,
                          const target::Target &target);

/// The same that round the numbers of a lane and product to weights, and that
/// make of a group's scales and zero points what they are made with.
struct WeightInstructions {
  double ofProduct, ofGroup;
};
WeightInstructions weightInstructions(const quant::Format &format,
                                      quant::ElementType activation);

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
Numbers numbersOf(const quant::Format &format, quant::ElementType activation);

/// What f32 scales are multiplied by before they become halves, and numbers
/// divided, where weights are rounded ahead of their products: the power of two
/// of the largest number, so that a scale has as many bits as its weights; else
/// 1.
double scaleFactor(const quant::Format &format, quant::ElementType activation);

/// Bytes of a packed segment (a multiple of 16) and of a whole matrix.
int64_t packedBytes(const Segment &segment, int64_t columns, bool paired);
int64_t packedBytes(const Problem &problem);

/// Canonical storage (lib/Quant/Storage.h) of a segment's rows into
/// `packed[packedBytes(…)]`.
void packSegment(const Segment &segment, int64_t columns, bool paired,
                 const quant::StoredRows &stored, uint8_t *packed);

/// The inverse: codes, scales and zeros as packSegment got them. Arrays that
/// the format lacks may be null. Not for e4m3 scales, which are no longer apart
/// from their unit.
void unpackSegment(const Segment &segment, int64_t columns, bool paired,
                   const uint8_t *packed, uint8_t *codes, uint8_t *scales,
                   uint8_t *zeros);

} // namespace qopt::kernels::skinny_linear

#endif // QOPT_LIB_KERNELS_SKINNYLINEAR_SKINNYLINEARPACK_H
