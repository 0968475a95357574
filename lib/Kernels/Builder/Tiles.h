// Tiles: the matrices that a block or a warp works on. How one lies in memory
// is a value, which who fills it and who reads it share; what a warp holds of
// one in registers is a value, too.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_KERNELS_BUILDER_TILES_H
#define QOPT_LIB_KERNELS_BUILDER_TILES_H

#include "lib/Kernels/Builder/Kernel.h"

namespace qopt::kernels {

/// Chunks of 16 bytes of a row change places, so that threads that access the
/// same chunk of several rows meet in no bank: bit `row` of the row's number is
/// exclusive-ored to bit `chunk` of the chunk's index.
///
///   {{0, 1}, {1, 0}}   row 0  0 1 2 3 4 …
///                      row 1  2 3 0 1 6 …
///                      row 2  1 0 3 2 5 …
struct Swizzle {
  struct Bit {
    int row, chunk;
  };
  std::vector<Bit> bits;

  /// By what the index of a row's chunks is exclusive-ored.
  Int of(Int row) const;
  /// Chunks that change places among themselves; a power of two.
  int64_t period() const;
};

/// Rows `stride` bytes apart, a multiple of 16.
struct Layout {
  int64_t stride = 0;
  Swizzle swizzle;
  /// The stride and the tile's address are multiples of the chunks that change
  /// places: one exclusive-or leads from a chunk to another.
  bool aligned = false;
};

/// A tile in global memory.
struct GlobalTile {
  Global base;
  int64_t rowBytes; ///< of a row, and from one to the next
  Int present;      ///< rows that exist; what lies behind them is not read
  int64_t rows;
};

/// A tile in shared memory, at an address that is a multiple of 16.
struct SharedTile {
  Int base;
  const Layout &layout;

  /// Of one row.
  class Row {
  public:
    Row(const SharedTile &tile, Int number, int64_t further);
    /// Address of a byte.
    Int at(Int byte) const;
    /// The same for byte + 16 · chunk, where `byte` lies in the first
    /// swizzle.period() chunks: then few instructions are left of many chunks.
    Int at(Int byte, int64_t chunk) const;

  private:
    Int base, offset; ///< of the tile; of the row in it
    Int exchanged;    ///< bits of the byte that change
    int64_t period;
    bool aligned;
  };

  /// Row `number` + `further`, which have no bit in common where the swizzle
  /// looks. Rows that differ by a multiple of what it looks at are `stride`
  /// bytes apart, which accesses take as an offset.
  Row row(Int number, int64_t further = 0) const {
    return Row(*this, number, further);
  }
};

/// What a warp holds of a matrix: rows × columns fragments of 16 × 8 sums.
class AccumulatorTile {
public:
  AccumulatorTile(Kernel &kernel, int rows, int columns); ///< zeros

  Accumulator &at(int row, int column) {
    return fragments[size_t(row * width + column)];
  }
  const Accumulator &at(int row, int column) const {
    return fragments[size_t(row * width + column)];
  }
  int rows() const { return int(fragments.size()) / width; }
  int columns() const { return width; }

  /// All its values, for a loop or a branch to carry.
  void push(Kernel::Values &values) const;
  /// Takes back what push has appended, off the front.
  void pop(llvm::ArrayRef<mlir::Value> &values);

private:
  int width;
  std::vector<Accumulator> fragments;
};

} // namespace qopt::kernels

#endif // QOPT_LIB_KERNELS_BUILDER_TILES_H
