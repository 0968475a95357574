// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/LinearTrial.h"
#include "runtime/host/Linear.h"
#include <cmath>
#include <cstdlib>
#include <functional>
#include <memory>

namespace qopt::driver {

/// Bytes at a multiple of 64, where kernels read packed weights.
using AlignedBytes = std::unique_ptr<uint8_t, decltype(&std::free)>;

static AlignedBytes allocate(int64_t bytes) {
  void *memory = std::aligned_alloc(64, size_t((bytes + 63) / 64 * 64));
  return {static_cast<uint8_t *>(memory), &std::free};
}

/// Calls `add` with each row of all weights.
static void
forRows(const std::vector<TrialWeight> &weights,
        const std::function<void(const std::vector<float> &)> &add) {
  std::vector<float> row(size_t(weights.front().values.columns));
  for (const TrialWeight &weight : weights)
    for (int64_t r = 0; r < weight.values.rows; ++r) {
      quant::dequantizeRows(weight.values.format, weight.values.storedFrom(r),
                            1, weight.values.columns, row.data());
      add(row);
    }
}

std::vector<double> squaresOfColumns(const std::vector<TrialWeight> &weights) {
  std::vector<double> squares(size_t(weights.front().values.columns));
  forRows(weights, [&](const std::vector<float> &row) {
    for (size_t k = 0; k < row.size(); ++k)
      squares[k] += double(row[k]) * row[k];
  });
  return squares;
}

std::vector<float> largestOfColumns(const std::vector<TrialWeight> &weights) {
  std::vector<float> largest(size_t(weights.front().values.columns));
  forRows(weights, [&](const std::vector<float> &row) {
    for (size_t k = 0; k < row.size(); ++k)
      largest[k] = std::max(largest[k], std::fabs(row[k]));
  });
  return largest;
}

LinearTrial::LinearTrial(const std::vector<TrialWeight> &weights,
                         SampledRows rows,
                         std::optional<host::ActivationCodes> activations,
                         unsigned threads, host::ThreadPool &pool)
    : weights(weights), x(std::move(rows)), activations(activations),
      threads(threads), pool(pool) {
  for (const TrialWeight &weight : weights)
    exact.push_back(run(weight.values, x, nullptr));
}

StatusOr<CanonicalWeight>
LinearTrial::rounded(const TrialWeight &weight,
                     const std::vector<float> &scales) const {
  CanonicalWeight scaled;
  scaled.format = quant::floatFormat(quant::ElementType::F32);
  scaled.rows = weight.values.rows;
  scaled.columns = weight.values.columns;
  scaled.allocate();
  float *values = reinterpret_cast<float *>(scaled.codes());
  quant::dequantizeRows(weight.values.format, weight.values.stored(),
                        scaled.rows, scaled.columns, values);
  for (int64_t i = 0; i < scaled.rows * scaled.columns; ++i)
    values[i] *= scales[size_t(i % scaled.columns)];
  return quantizeToNearest(scaled, weight.format, threads);
}

std::vector<float> LinearTrial::run(const CanonicalWeight &stored,
                                    const SampledRows &rows,
                                    const void *codes) const {
  host::LinearArguments a;
  // A format without a layout was refused where its linear was compiled.
  a.layout = *host::linearLayout(stored.format, stored.rows, stored.columns);
  AlignedBytes packed = allocate(a.layout.packedBytes());
  host::packWeight(a.layout, stored.stored(), packed.get());
  a.weight = packed.get();
  a.rows = rows.rows();
  if (codes) {
    a.quantized = codes;
    a.codes = *activations;
  } else {
    a.input = rows.values.data();
    a.inputStride = rows.columns;
  }
  std::vector<float> y(size_t(a.rows * stored.rows));
  a.output = y.data();
  a.outputStride = stored.rows;
  host::linear(a, pool);
  return y;
}

StatusOr<double> LinearTrial::error(const std::vector<float> &scales,
                                    float step) const {
  SampledRows scaled = x;
  for (size_t i = 0; i < scaled.values.size(); ++i)
    scaled.values[i] /= scales[i % scales.size()];
  AlignedBytes codes(nullptr, &std::free);
  if (activations) {
    host::QuantizedLayout layout{x.columns, *activations};
    codes = allocate(x.rows() * layout.rowBytes());
    host::quantizeActivations(scaled.values.data(), x.columns, x.rows(),
                              x.columns, {*activations, step}, codes.get(),
                              pool);
  }
  double sum = 0;
  for (size_t w = 0; w < weights.size(); ++w) {
    auto stored = rounded(weights[w], scales);
    if (!stored.ok())
      return stored.status();
    std::vector<float> found =
        run(*stored, scaled, weights[w].readsCodes ? codes.get() : nullptr);
    for (size_t i = 0; i < found.size(); ++i) {
      double difference = double(exact[w][i]) - double(found[i]);
      sum += difference * difference;
    }
  }
  return sum;
}

} // namespace qopt::driver
