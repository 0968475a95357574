// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Calibrate/SecondMoment.h"
#include "lib/Quant/algorithms/Tasks.h"
#include "lib/Quant/algorithms/Tiles.h"
#include <algorithm>

namespace qopt::calibrate {

using quant::tileSize;

constexpr int64_t tileElements = tileSize * tileSize;

/// Calls `body(row, column, tile)` for the place of each tile and its number.
template <typename Body>
static void forPlaces(int64_t tilesPerSide, const Body &body) {
  int64_t tile = 0;
  for (int64_t row = 0; row < tilesPerSide; ++row)
    for (int64_t column = row; column < tilesPerSide; ++column)
      body(row, column, tile++);
}

SecondMoment::SecondMoment(int64_t size) : length(size) {
  int64_t side = quant::tilesOf(size);
  tiles.resize(size_t(side * (side + 1) / 2 * tileElements));
}

void SecondMoment::add(const float *x, int64_t tokens, const float *weights,
                       unsigned threads) {
  quant::Panels right = quant::columnPanels({x, tokens, length});
  quant::Panels left = right;
  if (weights)
    for (int64_t panel = 0; panel < left.count; ++panel)
      for (int64_t t = 0; t < tokens; ++t)
        for (int64_t i = 0; i < tileSize; ++i)
          left.strip(panel, t)[i] *= weights[t];
  std::vector<std::pair<int64_t, int64_t>> places;
  forPlaces(right.count, [&](int64_t row, int64_t column, int64_t) {
    places.emplace_back(row, column);
  });
  quant::forTasks(threads, int64_t(places.size()), [&](int64_t tile) {
    auto [row, column] = places[size_t(tile)];
    quant::addProduct(left.strip(row, 0), right.strip(column, 0), tokens, 1.0f,
                      tiles.data() + tile * tileElements);
  });
  count += tokens;
}

void SecondMoment::add(const SecondMoment &other) {
  for (size_t i = 0; i < tiles.size(); ++i)
    tiles[i] += other.tiles[i];
  count += other.count;
}

std::vector<float> SecondMoment::matrix() const {
  std::vector<float> values(size_t(length * length));
  forPlaces(quant::tilesOf(length),
            [&](int64_t row, int64_t column, int64_t tile) {
              const float *sums = tiles.data() + tile * tileElements;
              int64_t rows = std::min(tileSize, length - row * tileSize),
                      columns = std::min(tileSize, length - column * tileSize);
              for (int64_t i = 0; i < rows; ++i)
                for (int64_t j = row == column ? i : 0; j < columns; ++j) {
                  int64_t r = row * tileSize + i, c = column * tileSize + j;
                  values[size_t(r * length + c)] = sums[i * tileSize + j];
                  values[size_t(c * length + r)] = sums[i * tileSize + j];
                }
            });
  return values;
}

} // namespace qopt::calibrate
