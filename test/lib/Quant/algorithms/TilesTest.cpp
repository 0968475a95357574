// Products in tiles are products, and the same bits on every processor that has
// fused multiply-adds.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Quant/algorithms/Tiles.h"
#include "lib/Quant/algorithms/Tasks.h"
#include "test/lib/Quant/algorithms/Reference.h"
#include <atomic>
#include <gtest/gtest.h>
#include <hwy/targets.h>

using namespace qopt::quant;
using reference::Matrix;

TEST(Tiles, products) {
  for (auto [rows, inner, columns] :
       {std::tuple{1, 1, 1}, {64, 128, 64}, {70, 300, 130}, {3, 129, 65}}) {
    std::vector<float> a = reference::randomWeights(rows * inner, 1),
                       b = reference::randomWeights(inner * columns, 2);
    Panels product = multiply(rowPanels({a.data(), rows, inner}),
                              columnPanels({b.data(), inner, columns}), 2);
    Matrix expected =
        Matrix(rows, inner, a.data()) * Matrix(inner, columns, b.data());
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t j = 0; j < columns; ++j)
        EXPECT_NEAR(product.strip(i / tileSize, j)[i % tileSize],
                    expected(i, j), 1e-4);
  }
}

TEST(Tiles, theSameBitsForEveryWidth) {
  constexpr int64_t count = 300;
  std::vector<float> a = reference::randomWeights(count * tileSize, 1),
                     b = reference::randomWeights(count * tileSize, 2);
  std::vector<double> wideA(a.begin(), a.end()), wideB(b.begin(), b.end());
  std::vector<float> first;
  std::vector<double> firstWide;
  int64_t fused =
      hwy::SupportedTargets() & (HWY_AVX2 | HWY_AVX3 | HWY_AVX3_DL | HWY_NEON);
  for (int64_t target = 1; target && target <= fused; target <<= 1) {
    if (!(fused & target))
      continue;
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    std::vector<float> tile(tileSize * tileSize, 0.5f);
    std::vector<double> wide(tile.size(), 0.5);
    addProduct(a.data(), b.data(), count, -1.0f, tile.data());
    addProduct(wideA.data(), wideB.data(), count, -1.0, wide.data());
    addScaled(a.data(), 0.3f, tile.data());
    if (first.empty()) {
      first = tile;
      firstWide = wide;
    }
    EXPECT_EQ(tile, first);
    EXPECT_EQ(wide, firstWide);
  }
  hwy::SetSupportedTargetsForTest(0);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
}

TEST(Tasks, eachOnce) {
  for (unsigned threads : {0u, 1u, 3u, 100u}) {
    std::vector<std::atomic<int>> calls(50);
    forTasks(threads, 50, [&](int64_t task) { ++calls[size_t(task)]; });
    for (const std::atomic<int> &count : calls)
      EXPECT_EQ(count, 1);
    forTasks(threads, 0, [](int64_t) { FAIL(); });
  }
}
