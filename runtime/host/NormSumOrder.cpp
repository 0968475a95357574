// Norms in the order of a GPU's sums: a thread's elements, a warp's lanes in a
// butterfly, the warps. For comparisons, not for speed.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/numerics/Approximate.h"
#include "runtime/host/Norm.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace qopt::host {
namespace {

constexpr int64_t warpLanes = 32;

/// Lanes at distances 16, 8, 4, 2, 1.
float sumOfLanes(float *lanes) {
  for (int64_t distance = warpLanes / 2; distance; distance /= 2)
    for (int64_t lane = 0; lane < distance; ++lane)
      lanes[lane] = lanes[lane] + lanes[lane + distance];
  return lanes[0];
}

/// What thread t adds of a row: Σ x, or Σ x² where `square`.
float sumOfThread(const NormSumOrder &order, const std::vector<float> &x,
                  int64_t t, bool square) {
  float sum = 0;
  for (int64_t from = t * order.width; from < int64_t(x.size());
       from += order.threads * order.width)
    for (int64_t i = from; i < from + order.width && i < int64_t(x.size()); ++i)
      sum = square ? std::fma(x[size_t(i)], x[size_t(i)], sum)
                   : sum + x[size_t(i)];
  return sum;
}

float sumOfRow(const NormSumOrder &order, const std::vector<float> &x,
               bool square) {
  int64_t warps = order.threads / warpLanes;
  float sums[warpLanes] = {}, sum = 0;
  for (int64_t warp = 0; warp < warps; ++warp) {
    float lanes[warpLanes];
    for (int64_t lane = 0; lane < warpLanes; ++lane)
      lanes[lane] = sumOfThread(order, x, warp * warpLanes + lane, square);
    sums[warp] = sumOfLanes(lanes);
    sum = warp ? sum + sums[warp] : sums[warp];
  }
  return warps > 1 && order.warpsInButterfly ? sumOfLanes(sums) : sum;
}

/// x becomes the normalised row.
void normalise(const NormArguments &a, bool centered, int64_t row,
               std::vector<float> &x) {
  float share = float(1.0 / double(a.columns));
  if (centered) {
    float mean = sumOfRow(*a.order, x, /*square=*/false) * share;
    for (float &value : x)
      value = value - mean;
  }
  float variance = sumOfRow(*a.order, x, /*square=*/true) * share;
  float factor =
      emulator::numerics::reciprocalSquareRoot<true>(variance + a.epsilon);
  int64_t own = row % a.heads * a.columns;
  for (int64_t i = 0; i < a.columns; ++i) {
    float y = x[size_t(i)] * factor, scale = a.scale ? a.scale[own + i] : 1;
    x[size_t(i)] = a.bias ? std::fma(y, scale, a.bias[own + i]) : y * scale;
  }
}

void normaliseRow(const NormArguments &a, bool centered, int64_t row,
                  float *output) {
  const float *input = a.input + row * a.columns;
  std::vector<float> x(input, input + a.columns);
  for (int64_t i = 0; a.residual && i < a.columns; ++i) {
    x[size_t(i)] = x[size_t(i)] + a.residual[row * a.columns + i];
    a.sum[row * a.columns + i] = x[size_t(i)];
  }
  normalise(a, centered, row, x);
  std::copy(x.begin(), x.end(), output + row * a.columns);
}

} // namespace

Status isValid(const NormSumOrder &order) {
  if (order.threads < warpLanes || order.threads > warpLanes * warpLanes ||
      order.threads % warpLanes || order.width < 1 || order.width > 8)
    return Status(StatusCode::InvalidArgument,
                  "an order of sums of " + std::to_string(order.threads) +
                      " threads that read " + std::to_string(order.width) +
                      " elements; expected whole warps of a block");
  return Status();
}

void orderedNorm(const NormArguments &arguments, bool centered,
                 ThreadPool &pool) {
  std::vector<float> kept;
  float *output = arguments.output;
  if (!output) {
    kept.resize(size_t(arguments.rows * arguments.columns));
    output = kept.data();
  }
  pool.parallelFor(arguments.rows, 1, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row)
      normaliseRow(arguments, centered, row, output);
  });
  if (arguments.quantized)
    quantizeActivations(output, arguments.columns, arguments.rows,
                        arguments.columns, arguments.format,
                        arguments.quantized, pool);
}

} // namespace qopt::host
