// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Calibrate/QuadraticForm.h"
#include "lib/Quant/algorithms/Tiles.h"
#include <algorithm>

namespace qopt::calibrate {

using quant::tileSize;

std::vector<float> quadraticForms(const float *x, int64_t tokens, int64_t size,
                                  const std::vector<float> &matrix,
                                  unsigned threads) {
  quant::Panels rows = quant::rowPanels({x, tokens, size});
  quant::Panels products =
      matrix.empty()
          ? rows
          : quant::multiply(rows,
                            quant::columnPanels({matrix.data(), size, size}),
                            threads);
  std::vector<float> forms(static_cast<size_t>(tokens));
  for (int64_t panel = 0; panel < rows.count; ++panel) {
    double sums[tileSize] = {};
    for (int64_t k = 0; k < size; ++k)
      for (int64_t i = 0; i < tileSize; ++i)
        sums[i] +=
            double(rows.strip(panel, k)[i]) * products.strip(panel, k)[i];
    for (int64_t i = 0; i < std::min(tileSize, tokens - panel * tileSize); ++i)
      forms[size_t(panel * tileSize + i)] = float(std::max(sums[i], 0.0));
  }
  return forms;
}

} // namespace qopt::calibrate
