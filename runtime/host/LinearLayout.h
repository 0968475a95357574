// The packed layout `host_tiled` of a weight W [rows = N, columns = K], the one
// that the linear kernels stream. The compiler packs when it writes an
// artifact; nothing is repacked at run time.
//
// A weight is a sequence of tiles of 16 rows; the rows that the last tile lacks
// are zero. A tile is contiguous and a multiple of 64 bytes:
//
//   floating point    | values                        |
//   with scales       | codes | scales | zero points  |   each padded to 64
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
// int8: columns in blocks of 32, a block is 8 lines of 64 bytes, and a line has
// four columns of each row: the operand of a four-way dot product
//
//   line j: [ r0: k=4j 4j+1 4j+2 4j+3 | r1: … | … | r15: … ]      j = 0…7
//
// int4: a block is 4 such lines; the low nibbles are the columns 4j+i of the
// block and the high nibbles the columns 16+4j+i
//
//   line j: [ r0: (4j, 16+4j) (4j+1, 17+4j) (4j+2, 18+4j) (4j+3, 19+4j) | … ]
//
// fp8: the lines of int8, each byte as it is.
//
// Integer codes are unsigned: a symmetric code q is stored as q + 128 (int8)
// or q + 8 (int4), so that every integer weight is scale · (code − zero).
// Columns beyond K hold code 0; the activations there are zero.
//
// scales [groups][16] in the format's scale type, zero points [groups][16] as
// bytes or fractions of the scale's type (absent when symmetric).
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_HOST_LINEARLAYOUT_H
#define QOPT_RUNTIME_HOST_LINEARLAYOUT_H

#include "lib/Quant/Format.h"
#include "lib/Quant/Storage.h"

namespace qopt::host {

/// Rows of a tile.
constexpr int64_t tileRows = 16;
/// Columns of a block: the unit of integer dot products and of the scales of
/// quantized activations.
constexpr int64_t blockColumns = 32;

/// Where the parts of a packed weight are. Plain data; make it with
/// `linearLayout`, which says why a weight has none.
struct LinearLayout {
  quant::Format format;
  int64_t rows = 0;    ///< N
  int64_t columns = 0; ///< K

  bool isFloat() const { return format.isFloat(); }
  int64_t tiles() const { return (rows + tileRows - 1) / tileRows; }
  int64_t blocks() const { return (columns + blockColumns - 1) / blockColumns; }
  /// Groups of a row: 1 with one scale a row.
  int64_t groups() const;
  /// Blocks that share a scale.
  int64_t blocksPerGroup() const;
  /// Bytes of the codes or values of a tile, without padding behind them.
  int64_t codeBytes() const;
  /// Offsets within a tile, in bytes.
  int64_t scaleOffset() const;
  int64_t zeroOffset() const;
  int64_t tileBytes() const;
  int64_t packedBytes() const { return tiles() * tileBytes(); }
};

/// The layout of a weight; Unsupported for a group size that is no multiple of
/// 32 and InvalidArgument for a shape without elements.
StatusOr<LinearLayout> linearLayout(const quant::Format &format, int64_t rows,
                                    int64_t columns);

/// Packs `count` tiles from `first` on. `stored` is the canonical storage of
/// the whole weight, `packed` the place of tile `first` (tileBytes() each).
void packTiles(const LinearLayout &layout, const quant::StoredRows &stored,
               int64_t first, int64_t count, void *packed);

/// Packs a whole weight into packedBytes() bytes.
void packWeight(const LinearLayout &layout, const quant::StoredRows &stored,
                void *packed);

} // namespace qopt::host

#endif // QOPT_RUNTIME_HOST_LINEARLAYOUT_H
