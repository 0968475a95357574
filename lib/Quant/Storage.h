// Canonical storage of a matrix W [rows, columns] in a format: what a model
// file is read into and what packed layouts are made from. It has three arrays.
//
//   codes   one row after the other, each padded to whole bytes (Element.h
//           says how codes lie in bytes)
//   scales  [rows, groups] in the format's scale type; one value alone with
//           Granularity::Tensor
//   zeros   the same shape: bytes (ZeroType::U8) or values of the scale type
//           (ZeroType::Float); absent when symmetric. The code book of the
//           matrix, a signed byte for each code, where its element has one
//
// With two levels of scales that are integers a row of scales and a row of zero
// points are whole numbers of bytes that hold fields of b bits (BitFields.h):
// the scales' codes, b = 6 or 8, and the zero points, b the bits of the
// element.
//
//   row of scales   | units, f16 [ceil(columns / 256)] | codes [groups] |
//   row of zeros    | zero points [groups]             |
//
//   scale = unit · code     code in two's complement where scales have signs
//                           (symmetric with a full range), else unsigned
//
// An f32 holds the product exactly. Scales in e4m3 have one unit a row, so that
// rows can be taken apart; where a file has one for the matrix, all are equal.
//
//   row of scales   | unit, f32 | codes, e4m3 [groups] |
//
//   scale = unit · code     rounded to f32
//
//   symmetric:   w = scale · q,            q in two's complement, or floating
//                                          point
//   code book:   w = scale · book[q],      q unsigned
//   asymmetric:  w = scale · (q − zero),   q unsigned
//
// groups is ceil(columns / groupSize) with groups and blocks, and 1 else. No
// array needs any alignment.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_QUANT_STORAGE_H
#define QOPT_LIB_QUANT_STORAGE_H

#include "lib/Quant/Format.h"
#include <cstdint>
#include <string>

namespace qopt::quant {

/// Number of scales in a row; 0 for formats without scales.
int64_t groupsPerRow(const Format &format, int64_t columns);

/// Elements that share a scale within a row: the group size, or all columns.
int64_t groupColumns(const Format &format, int64_t columns);

/// Why rows of `columns` elements cannot be quantized to a format: "the group
/// size 32 of "int4_g32" does not divide the 48 columns"; empty where they can.
/// Files may have shorter last groups.
std::string groupFault(const Format &format, int64_t columns);

/// Bytes of the codes of one row.
int64_t bytesPerRow(const Format &format, int64_t columns);

/// Bytes of one scale: 1, 2 or 4; 0 for formats without scales, and for scales
/// of two levels. Fractional zero points have the same size.
int64_t bytesPerScale(const Format &format);

/// Units of a row, their bytes, and groups that share one, more than any row
/// has where that is all; formats of two levels only.
int64_t unitsPerRow(const Format &format, int64_t columns);
int64_t bytesPerUnit(const Format &format);
int64_t groupsPerScaleUnit(const Format &format);

/// Bits of a scale's code, and whether it has a sign; scales that are integers
/// only.
int scaleCodeBits(const Format &format);
bool hasSignedScales(const Format &format);

/// Whether there is an array of zeros: zero points, or a code book.
bool hasZeroArray(const Format &format);

/// Bits of one zero point that is a code.
int zeroBits(const Format &format);

/// Bytes of the scales and of the zero points of one row; of the matrix with
/// Granularity::Tensor. A code book is no row's.
int64_t scaleBytesPerRow(const Format &format, int64_t columns);
int64_t zeroBytesPerRow(const Format &format, int64_t columns);

/// Number of scales, and of zero points where the format has them, of a whole
/// matrix.
int64_t scaleCount(const Format &format, int64_t rows, int64_t columns);

/// Bytes of the three arrays of a whole matrix.
int64_t codeBytes(const Format &format, int64_t rows, int64_t columns);
int64_t scaleBytes(const Format &format, int64_t rows, int64_t columns);
int64_t zeroBytes(const Format &format, int64_t rows, int64_t columns);

/// The codes of a row of an integer format: with their sign where the format is
/// symmetric.
void unpackCodes(const Format &format, const uint8_t *bytes, int64_t columns,
                 int16_t *codes);

/// Whether rows are stored one by one: the matrix has no scale or code book for
/// all of them.
bool isByRow(const Format &format);

/// Bits per weight of the codes alone.
double payloadBits(const Format &format);

/// Bits per weight of everything in canonical storage: codes with their
/// padding, scales and zero points.
double storedBits(const Format &format, int64_t rows, int64_t columns);

/// The three arrays of some consecutive rows. `scales` and `zeros` may be null
/// where the format has none.
struct StoredRows {
  const uint8_t *codes = nullptr;
  const uint8_t *scales = nullptr;
  const uint8_t *zeros = nullptr;
};

/// The arrays from a row on; scales and zero points of the whole matrix stay.
StoredRows rowsFrom(const Format &format, const StoredRows &stored,
                    int64_t columns, int64_t row);

/// The scale and the zero point (0 when symmetric) of every group of the first
/// row.
void loadScales(const Format &format, const StoredRows &stored, int64_t columns,
                float *scales);
void loadZeros(const Format &format, const StoredRows &stored, int64_t columns,
               float *zeros);

/// The values of `rows` rows into values [rows, columns]. The arithmetic is
/// f32: one subtraction and one product.
void dequantizeRows(const Format &format, const StoredRows &stored,
                    int64_t rows, int64_t columns, float *values);

/// Scale `index` of an array of scales of one level, or of fractional zero
/// points, as f32.
float loadScale(const Format &format, const uint8_t *scales, int64_t index);

/// Writes the value nearest to `value` in the scale's type and returns it.
float storeScale(const Format &format, float value, uint8_t *scales,
                 int64_t index);

/// Writes the scales of one row that were made of `units`; both as f32. Null
/// units where the format has one level.
void storeScales(const Format &format, const float *units, const float *scales,
                 int64_t columns, uint8_t *row);
/// Writes a code book: ascending integers of 8 bits.
void storeBook(const Format &format, const float *numbers, uint8_t *zeros);

/// Writes the zero points of one row of a format that has them.
void storeZeros(const Format &format, const float *zeros, int64_t columns,
                uint8_t *row);

} // namespace qopt::quant

#endif // QOPT_LIB_QUANT_STORAGE_H
