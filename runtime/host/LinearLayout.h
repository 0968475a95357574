// The packed layout `host_tiled` of a weight W [rows = N, columns = K], the one
// that the linear kernels stream. The compiler packs when it writes an
// artifact; nothing is repacked at run time.
//
// A weight is a sequence of tiles of 16 rows; the rows that the last tile lacks
// are zero. A tile is contiguous and a multiple of 64 bytes:
//
//   floating point    | values                        |
//   with scales       | codes | scales | zero points  |   each padded to 64
//   two levels        | codes | scales' codes | zero points | units |    "
//   with row sums     what the format has | sums | (`host_tiled_sums`)
//
// f32, f16: one line of 16 values (one for each row r) for every column k
//
//        r0  r1  r2 … r15
//   k=0 [ w   w   w …  w ]
//   k=1 [ w   w   w …  w ]          a line times x[k] is one vector operation
//
// bf16: one line for two columns, the even column in the low half of 32 bits
//
//   k=0,1 [ r0k0 r0k1 | r1k0 r1k1 | … | r15k0 r15k1 ]
//
// Codes: columns in blocks of 32, and those in quads of four, the operand of a
// four-way dot product. A line is 64 bytes, four columns of each row:
//
//   [ r0: k=4q 4q+1 4q+2 4q+3 | r1: … | … | r15: … ]
//
// A byte of it has one code of 8 bits or several shorter ones. A block of b
// bits is a plane of b lines, and the quad q = 0…7 is in line q mod b, from the
// bit b · (q div b) of its bytes on. Which quads the lines have:
//
//             bits  7 6 5 4 3 2 1 0
//   int8  line j  [        j        ]                   j = 0…7
//   int4  line j  [ 4 + j  |   j    ]                   j = 0…3
//   int2  line j  [ 6+j 4+j 2+j  j  ]                   j = 0, 1
//   int3  lines 0 and 1 as those of int2: the low two bits of the codes
//         line 2  [ 7 6 5 4 3 2 1 0 ]    the highest bit, a plane of one line
//   int5  lines 0 to 3 as those of int4, line 4 as line 2 of int3
//   int6  lines 0 to 3 as those of int4, lines 4 and 5 as those of int2
//
// fp8: the lines of int8, each byte as it is. nf4: those of int4. lut4, lut3,
// fp4: those of int4 and int3; the code book, number + 128 in a byte, is behind
// the last tile, padded to 64 bytes. That of fp4 has its numbers doubled.
//
// Integer codes are unsigned: a symmetric code q of b bits is stored as
// q + 2^(b−1), so that every integer weight is scale · (code − zero). Columns
// beyond K hold code 0; the activations there are zero.
//
// scales [groups][16] in the format's scale type (blocks have their rows'),
// zero points [groups][16] as bytes or fractions of the scale's type (absent
// when symmetric). A block has two groups of 16 columns; where the second of
// the last one has no columns its scales and zero points are 0.
//
// Two levels of scales: a line of 16 fields of b bits for each group has the
// codes of scales, another the zero points (BitFields.h; 2·b bytes, b = 6 or 8,
// and the bits of the element). A scale's code with a sign is stored as code +
// 2^(b−1). units [units of a row][16] in f16. Scales in e4m3 are fields of 8
// bits, their units f32. Nothing is stored but what the
// format counts, and kernels may read 16 bytes from any line of fields on: the
// units are behind them.
//
// sums [16] in i32, of int8 with one scale a row: Σk (code − zero point), what
// a zero point of the activations is multiplied by.
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_HOST_LINEARLAYOUT_H
#define QOPT_RUNTIME_HOST_LINEARLAYOUT_H

#include "lib/Quant/Element.h"
#include "lib/Quant/Storage.h"
#include <bit>

namespace qopt::host {

/// Rows of a tile.
constexpr int64_t tileRows = 16;
/// Columns of a block: the unit of integer dot products and of the scales of
/// quantized activations.
constexpr int64_t blockColumns = 32;
/// Bytes of a line of codes.
constexpr int64_t lineBytes = 4 * tileRows;

/// Bits of a code of an element with scales.
constexpr int codeBits(quant::ElementType element) {
  return quant::bitsOf(element);
}
/// Bits of a code in the first plane of a block, a power of two; a second has
/// the others.
constexpr int lowBits(int bits) {
  return static_cast<int>(std::bit_floor(static_cast<unsigned>(bits)));
}
/// Bytes of a block of codes of a tile.
constexpr int64_t blockBytes(quant::ElementType element) {
  return codeBits(element) * lineBytes;
}
/// Whether codes are indices of a code book, which the weight has behind it.
constexpr bool hasBook(quant::ElementType element) {
  return element == quant::ElementType::Lut4 ||
         element == quant::ElementType::Lut3 ||
         element == quant::ElementType::Fp4E2m1;
}
/// Bits of what a code stands for when it is multiplied: numbers of a code book
/// have eight.
constexpr int numberBits(quant::ElementType element) {
  return hasBook(element) ? 8 : codeBits(element);
}
/// The zero point of the numbers of symmetric formats as they are stored.
constexpr int symmetricZero(quant::ElementType element) {
  return quant::isFp8(element) || element == quant::ElementType::Nf4
             ? 0
             : 1 << (numberBits(element) - 1);
}

/// Where the parts of a packed weight are. Plain data; make it with
/// `linearLayout`, which says why a weight has none.
struct LinearLayout {
  quant::Format format;
  int64_t rows = 0;    ///< N
  int64_t columns = 0; ///< K
  bool hasRowSums = false;

  /// The same with sums of rows, where the format can have them: int8 with one
  /// scale a row and zero points that are no fractions; else Unsupported.
  StatusOr<LinearLayout> withRowSums() const;

  bool isFloat() const { return format.isFloat(); }
  int64_t tiles() const { return (rows + tileRows - 1) / tileRows; }
  int64_t blocks() const { return (columns + blockColumns - 1) / blockColumns; }
  /// Groups of a row: 1 with one scale a row.
  int64_t groups() const;
  /// Columns that share a scale; with one scale a row those of whole blocks.
  int64_t groupColumns() const;
  /// Blocks that share a scale, at least 1.
  int64_t blocksPerGroup() const;
  /// Scales that the columns of a block have: 2 in groups of 16, else 1.
  int64_t groupsPerBlock() const;
  /// Lines of scales that a tile stores: its groups, those of whole blocks.
  int64_t scaleLines() const;
  /// Bytes of the codes or values of a tile, without padding behind them.
  int64_t codeBytes() const;
  /// Offsets within a tile, in bytes.
  int64_t scaleOffset() const;
  int64_t zeroOffset() const;
  int64_t unitOffset() const;
  int64_t rowSumOffset() const;
  int64_t tileBytes() const;
  /// Bytes that the 16 rows have in one group.
  int64_t scaleLineBytes() const;
  int64_t zeroLineBytes() const;
  /// Where the code book is, in a whole weight.
  int64_t bookOffset() const { return tiles() * tileBytes(); }
  int64_t packedBytes() const {
    return bookOffset() + (hasBook(format.element) ? lineBytes : 0);
  }
};

/// The layout of a weight; Unsupported for a group size that is neither 16 nor
/// a multiple of 32 and InvalidArgument for a shape without elements.
StatusOr<LinearLayout> linearLayout(const quant::Format &format, int64_t rows,
                                    int64_t columns);

/// Packs `count` tiles from `first` on. `stored` is the canonical storage of
/// the whole weight, `packed` the place of tile `first` (tileBytes() each).
void packTiles(const LinearLayout &layout, const quant::StoredRows &stored,
               int64_t first, int64_t count, void *packed);

/// Packs the code book, 64 bytes, of a format that has one.
void packBook(const LinearLayout &layout, const quant::StoredRows &stored,
              void *packed);

/// The code of a row and a column of a packed tile, without sign.
int packedCode(quant::ElementType element, const uint8_t *tile, int64_t row,
               int64_t column);

/// The number that is stored for a row and a column of a packed weight: its
/// value if it is floating point; else what becomes the value when the zero
/// point is subtracted and the scale multiplied.
float packedNumber(const LinearLayout &layout, const void *packed, int64_t row,
                   int64_t column);

/// The scale and the zero point of a row and a group of a packed tile: what
/// packedNumber is multiplied by, and less. Codes of symmetric formats have a
/// zero point as they are stored.
float packedScale(const LinearLayout &layout, const uint8_t *tile, int64_t row,
                  int64_t group);
float packedZero(const LinearLayout &layout, const uint8_t *tile, int64_t row,
                 int64_t group);

/// Packs a whole weight into packedBytes() bytes.
void packWeight(const LinearLayout &layout, const quant::StoredRows &stored,
                void *packed);

} // namespace qopt::host

#endif // QOPT_RUNTIME_HOST_LINEARLAYOUT_H
