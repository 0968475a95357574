// Where the bytes of a tile lie: constants fold while a kernel is built, so
// places are compared as numbers.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/Builder/Tiles.h"
#include "../KernelTest.h"

#include <gtest/gtest.h>

#include <set>

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::test;

constexpr int64_t base = 4096, rows = 16, chunks = 16, chunkBytes = 16;

/// Addresses of [row][chunk] as `place` has them.
static std::vector<std::vector<int64_t>>
placesOf(const Layout &layout,
         llvm::function_ref<Int(Kernel &, const SharedTile &, int64_t row,
                                int64_t chunk)>
             place) {
  std::vector<std::vector<int64_t>> places;
  auto kernel = compile(
      [&](mlir::gpu::GPUModuleOp module) {
        const target::Target &target = *target::allTargets()[0];
        Kernel k(module, "tiles", {{Argument::Dependent, "x"}}, {32}, target);
        SharedTile tile{k.constant(base), layout};
        for (int64_t row = 0; row < rows; ++row) {
          places.emplace_back();
          for (int64_t chunk = 0; chunk < chunks; ++chunk)
            places.back().push_back(
                place(k, tile, row, chunk).constant().value_or(-1));
        }
        return k.finish();
      },
      *target::allTargets()[0]);
  EXPECT_TRUE(kernel.ok()) << kernel.status().message();
  return places;
}

/// Byte `chunkBytes · chunk` of a row.
static Int whole(Kernel &k, const SharedTile &tile, int64_t row,
                 int64_t chunk) {
  return tile.row(k.constant(row)).at(k.constant(chunk * chunkBytes));
}

TEST(Tiles, ASwizzleIsWhatItsDrawingSays) {
  auto places = placesOf({256, {{{0, 1}, {1, 0}}}}, whole);
  const int64_t drawn[3][5] = {
      {0, 1, 2, 3, 4}, {2, 3, 0, 1, 6}, {1, 0, 3, 2, 5}};
  for (int64_t row = 0; row < 3; ++row)
    for (int64_t chunk = 0; chunk < 5; ++chunk)
      EXPECT_EQ(places[row][chunk],
                base + row * 256 + drawn[row][chunk] * chunkBytes)
          << row << ", " << chunk;
}

TEST(Tiles, EveryByteHasAPlaceOfItsOwnInItsRow) {
  for (const Swizzle &swizzle :
       {Swizzle{}, Swizzle{{{2, 0}}}, Swizzle{{{0, 2}, {1, 1}, {2, 0}}}}) {
    auto places = placesOf({chunks * chunkBytes, swizzle}, whole);
    for (int64_t row = 0; row < rows; ++row) {
      std::set<int64_t> found(places[row].begin(), places[row].end());
      EXPECT_EQ(found.size(), size_t(chunks));
      EXPECT_EQ(*found.begin(), base + row * chunks * chunkBytes);
      EXPECT_EQ(*found.rbegin(), base + ((row + 1) * chunks - 1) * chunkBytes);
    }
  }
}

TEST(Tiles, ConstantPartsOfRowsAndChunksLeadToTheSamePlace) {
  Layout layout{chunks * chunkBytes, {{{0, 2}, {1, 1}, {2, 0}}}};
  auto expected = placesOf(layout, whole);
  for (bool aligned : {false, true}) {
    layout.aligned = aligned;
    auto split = placesOf(layout, [](Kernel &k, const SharedTile &tile,
                                     int64_t row, int64_t chunk) {
      int64_t further = row & ~int64_t(3), inside = chunk % 8;
      return tile.row(k.constant(row - further), further)
          .at(k.constant(inside % 2 * chunkBytes), chunk - inside % 2);
    });
    EXPECT_EQ(split, expected) << aligned;
  }
}

/// Eight lanes that read a chunk of eight rows of 128 bytes meet in no bank.
TEST(Tiles, NeighboursMeetInNoBank) {
  auto places = placesOf({128, {{{0, 2}, {1, 1}, {2, 0}}}}, whole);
  for (int64_t chunk = 0; chunk < 8; ++chunk) {
    std::set<int64_t> banks;
    for (int64_t row = 0; row < 8; ++row)
      banks.insert(places[row][chunk] % 128);
    EXPECT_EQ(banks.size(), 8u);
  }
}
