// HQQ's iteration, group by group.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Quant/algorithms/HalfQuadratic.h"
#include "lib/Quant/algorithms/Tasks.h"
#include <cmath>

namespace qopt::quant {

/// The part of an error that the norm forgives.
static float forgiven(float error, float beta) {
  constexpr float power = 0.7f;
  float size = std::fabs(error);
  if (size == 0)
    return 0;
  float kept = size - std::pow(size, power - 1) / beta;
  return kept > 0 ? std::copysign(kept, error) : 0;
}

/// The best zero of the weights of one group.
static GroupParameters moveZero(const GridShape &shape, GroupParameters group,
                                const float *weights, int64_t count) {
  constexpr int rounds = 20;
  GroupParameters best = group;
  float beta = 10;
  double least = HUGE_VAL;
  std::vector<float> numbers(static_cast<size_t>(count));
  for (int round = 0; round <= rounds; ++round) {
    GroupParameters stored{group.scale, shape.storableZero(group.zero)};
    roundGroup(shape, stored, weights, count, numbers.data());
    double sum = 0;
    for (int64_t i = 0; i < count; ++i)
      sum += std::fabs(double(weights[i]) - stored.value(numbers[size_t(i)]));
    if (sum >= least)
      break;
    least = sum;
    best = stored;
    roundGroup(shape, group, weights, count, numbers.data());
    double zero = 0;
    for (int64_t i = 0; i < count; ++i) {
      float number = numbers[size_t(i)];
      float e = forgiven(weights[i] - group.value(number), beta);
      zero += number - (weights[i] - e) / group.scale;
    }
    group.zero = float(zero / double(count));
    beta *= 1.01f;
  }
  return best;
}

StatusOr<Grid> halfQuadraticGrid(const GridShape &shape,
                                 const MatrixView &weights, unsigned threads) {
  if (shape.format.zero != ZeroType::Float ||
      shape.format.granularity == Granularity::Tensor)
    return Status(
        StatusCode::InvalidArgument,
        "hqq moves the zero points of groups and channels by "
        "fractions, which \"" +
            spell(shape.format) +
            "\" does not have; use a format such as int4_asym_g64_zf");
  StatusOr<Grid> grid = coveringGrid(shape, weights);
  QOPT_RETURN_IF_ERROR(grid.status());
  int64_t size = shape.groupColumns();
  forTasks(threads, weights.rows, [&](int64_t row) {
    for (int64_t group = 0; group < shape.groupsPerRow(); ++group) {
      int64_t begin = group * size;
      GroupParameters &parameters =
          grid->groups[size_t(shape.indexOf(row, group))];
      if (parameters.scale != 0)
        parameters = moveZero(shape, parameters, weights.row(row) + begin,
                              std::min(size, weights.columns - begin));
    }
  });
  return grid;
}

} // namespace qopt::quant
