// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/Builder/Tiles.h"

#include <algorithm>

using namespace qopt::kernels;

constexpr int64_t chunkBytes = 16;

Int Swizzle::of(Int row) const {
  Int result = row.kernel->constant(0);
  for (Bit bit : bits) {
    Int moved = bit.row > bit.chunk ? (row >> (bit.row - bit.chunk))
                                    : row << (bit.chunk - bit.row);
    result = result | (moved & (int64_t(1) << bit.chunk));
  }
  return result;
}

int64_t Swizzle::period() const {
  int64_t period = 1;
  for (Bit bit : bits)
    period = std::max(period, int64_t(2) << bit.chunk);
  return period;
}

SharedTile::Row::Row(const SharedTile &tile, Int number, int64_t further)
    : base(tile.base), offset((number + further) * tile.layout.stride),
      exchanged((tile.layout.swizzle.of(number) ^
                 tile.layout.swizzle.of(number.kernel->constant(further))) *
                chunkBytes),
      period(tile.layout.swizzle.period()), aligned(tile.layout.aligned) {}

// What a loop over stages does not change is added first: one register.
Int SharedTile::Row::at(Int byte) const {
  return base + (offset + (byte ^ exchanged));
}

Int SharedTile::Row::at(Int byte, int64_t chunk) const {
  int64_t inside = chunk % period, whole = (chunk - inside) * chunkBytes;
  if (aligned)
    return ((base + offset + (byte ^ exchanged)) ^ inside * chunkBytes) + whole;
  return base + offset + ((byte ^ exchanged ^ inside * chunkBytes) + whole);
}

AccumulatorTile::AccumulatorTile(Kernel &kernel, int rows, int columns)
    : width(columns) {
  Real zero = kernel.real(0);
  fragments.assign(size_t(rows * columns), {zero, zero, zero, zero});
}

void AccumulatorTile::push(Kernel::Values &values) const {
  for (const Accumulator &fragment : fragments)
    for (Real value : fragment)
      values.push_back(value.value);
}

void AccumulatorTile::pop(llvm::ArrayRef<mlir::Value> &values) {
  for (Accumulator &fragment : fragments)
    for (Real &value : fragment) {
      value.value = values.front();
      values = values.drop_front();
    }
}
