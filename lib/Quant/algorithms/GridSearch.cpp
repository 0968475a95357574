// The search over ranges, group by group.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Quant/algorithms/GridSearch.h"
#include "lib/Quant/Storage.h"
#include "lib/Quant/algorithms/GroupError.h"
#include "lib/Quant/algorithms/Tasks.h"
#include <cmath>

namespace qopt::quant {

RangeSteps RangeSteps::forLevels(const Levels &levels) {
  int count = levels.count();
  if (count == 256 && !levels.isInteger())
    return {0.7f, 12};
  if (count <= 4)
    return {0.2f, 56};
  return count <= 8 ? RangeSteps{0.35f, 36} : RangeSteps{0.5f, 24};
}

namespace {
/// The search for one group: its weights, or those of the whole matrix.
class GroupSearch {
public:
  GroupSearch(const GridShape &shape, const GroupError &errors, int64_t index,
              const RangeSteps &steps)
      : shape(shape), errors(errors), index(index), steps(steps) {}

  /// Weights with the costs of their columns; all of a group are added.
  void add(const float *weights, const float *costs, int64_t count) {
    pieces.push_back({weights, costs, count});
  }

  /// `known` is a candidate that was found before.
  GroupParameters best(const ValueRange &range, const GroupParameters &known);

private:
  struct Piece {
    const float *weights, *costs;
    int64_t count;
  };

  double errorOf(const GroupParameters &group) const;
  void tryParameters(const GroupParameters &group);
  void tryRange(float low, float high);
  void searchBothEnds(const ValueRange &range);
  void searchScale(const ValueRange &range);
  float ratio(int step) const {
    return 1 - (1 - steps.smallest) * float(step) / float(steps.steps);
  }

  const GridShape &shape;
  const GroupError &errors;
  int64_t index;
  RangeSteps steps;
  std::vector<Piece> pieces;
  GroupParameters chosen, last; ///< `last` was tried last
  double least = 0;
};
} // namespace

double GroupSearch::errorOf(const GroupParameters &group) const {
  double error = 0;
  for (const Piece &piece : pieces)
    error += errors.of(group, piece.weights, piece.costs, piece.count);
  return error;
}

void GroupSearch::tryParameters(const GroupParameters &group) {
  if (group.scale == 0 || !std::isfinite(group.scale))
    return;
  // Neighbouring steps are often stored as the same scale.
  if (group.scale == last.scale && group.zero == last.zero)
    return;
  last = group;
  double error = errorOf(group);
  if (error < least) {
    least = error;
    chosen = group;
  }
}

void GroupSearch::tryRange(float low, float high) {
  ValueRange range;
  range.low = low;
  range.high = high;
  tryParameters(coverRange(shape, index, range));
}

/// Asymmetric: both ends alike, then the upper alone, the lower alone, and the
/// upper once more around its best.
void GroupSearch::searchBothEnds(const ValueRange &range) {
  int low = 0, high = 0;
  // Tries steps for one end or both; what is best stays.
  auto search = [&](int first, int last, int *end, int *other) {
    int best = *end;
    for (int step = std::max(first, 0); step <= std::min(last, steps.steps);
         ++step) {
      double before = least;
      int lowStep = end == &low || other ? step : low;
      int highStep = end == &high || other ? step : high;
      tryRange(range.low * ratio(lowStep), range.high * ratio(highStep));
      if (least < before)
        best = step;
    }
    *end = best;
    if (other)
      *other = best;
  };
  search(1, steps.steps, &low, &high);
  search(0, steps.steps, &high, nullptr);
  search(0, steps.steps, &low, nullptr);
  search(high - 3, high + 3, &high, nullptr);
}

/// Symmetric: the scale, and in a full range its sign.
void GroupSearch::searchScale(const ValueRange &range) {
  const Levels &levels = shape.levels;
  float largest = range.largestMagnitude;
  float exact = levels.isFullRange() ? largest / levels.low()
                                     : std::fabs(largest) / levels.high();
  for (int step = 1; step <= steps.steps; ++step)
    tryParameters({shape.storableScale(index, exact * ratio(step)), 0});
  if (!levels.isFullRange())
    return;
  exact = largest / levels.high();
  for (int step = 0; step <= steps.steps; ++step)
    tryParameters({shape.storableScale(index, exact * ratio(step)), 0});
}

GroupParameters GroupSearch::best(const ValueRange &range,
                                  const GroupParameters &known) {
  chosen = coverRange(shape, index, range);
  if (chosen.scale == 0 || !std::isfinite(chosen.scale))
    return chosen;
  least = errorOf(chosen);
  tryParameters({shape.storableScale(index, known.scale), known.zero});
  if (shape.format.isSymmetric())
    searchScale(range);
  else
    searchBothEnds(range);
  return chosen;
}

/// The searches of the groups of the rows of one block.
static void searchBlock(const GridShape &shape, const GroupError &errors,
                        const MatrixView &weights, int64_t row,
                        const std::vector<float> &costs,
                        const RangeSteps &steps, GroupParameters *found) {
  int64_t size = shape.groupColumns(), groups = shape.groupsPerRow();
  int64_t rows = std::min(rowsPerBlock(shape.format), weights.rows - row);
  for (int64_t group = 0; group < groups; ++group) {
    int64_t begin = group * size,
            count = std::min(size, weights.columns - begin);
    GroupSearch search(shape, errors, shape.indexOf(row, group), steps);
    ValueRange range;
    for (int64_t i = row; i < row + rows; ++i) {
      search.add(weights.row(i) + begin, costs.data() + begin, count);
      ValueRange own = rangeOf(weights.row(i) + begin, count);
      range.largestMagnitude =
          std::max(range.largestMagnitude, std::fabs(own.largestMagnitude));
    }
    GroupParameters best = search.best(range, found[group]);
    for (int64_t i = 0; i < rows; ++i)
      found[i * groups + group] = best;
  }
}

/// The searches of the groups of one row.
static void searchRow(const GridShape &shape, const GroupError &errors,
                      const MatrixView &weights, int64_t row,
                      const std::vector<float> &costs, const RangeSteps &steps,
                      GroupParameters *found) {
  int64_t size = shape.groupColumns();
  for (int64_t group = 0; group < shape.groupsPerRow(); ++group) {
    int64_t begin = group * size,
            count = std::min(size, weights.columns - begin);
    GroupSearch search(shape, errors, shape.indexOf(row, group), steps);
    search.add(weights.row(row) + begin, costs.data() + begin, count);
    found[group] =
        search.best(rangeOf(weights.row(row) + begin, count), found[group]);
  }
}

namespace {
/// Scales that are to be stored as multiples of one unit, and what it costs to
/// be wrong: an error of δ in scale s costs weight · δ².
struct WantedScales {
  std::vector<float> scales, weights;

  double errorOf(const Format &format, float unit) const {
    double sum = 0;
    for (size_t i = 0; i < scales.size(); ++i) {
      float error = nearestMultiple(format, unit, scales[i]) - scales[i];
      sum += double(weights[i]) * error * error;
    }
    return sum;
  }
  float bestUnit(const Format &format) const;
};
} // namespace

/// The unit that makes the largest scale an end of the codes' range, or one
/// beside it.
float WantedScales::bestUnit(const Format &format) const {
  float largest = 0;
  for (float scale : scales)
    if (std::fabs(scale) > std::fabs(largest))
      largest = scale;
  ValueRange codes = scaleCodes(format);
  float best = 0;
  double least = HUGE_VAL;
  for (float end : {codes.low, codes.high})
    for (int step = -20; end != 0 && step <= 40; ++step) {
      float exact = largest / end * (1 + 0.01f * float(step));
      float unit = storableUnit(format, exact);
      if (double error = errorOf(format, unit); error < least) {
        least = error;
        best = unit;
      }
    }
  return best;
}

/// The units of one row for scales that were searched without any.
static void chooseUnits(GridShape &shape, const MatrixView &weights,
                        int64_t row, const std::vector<float> &costs,
                        const GroupParameters *groups) {
  int64_t size = shape.groupColumns(), count = shape.groupsPerRow();
  int64_t perUnit = groupsPerScaleUnit(shape.format);
  for (int64_t begin = 0; begin < count; begin += perUnit) {
    WantedScales wanted;
    for (int64_t g = begin; g < std::min(begin + perUnit, count); ++g) {
      float scale = groups[g].scale;
      if (scale == 0)
        continue;
      // The sum of cost · (number − zero)² but for the rounding.
      float sum = 0;
      for (int64_t i = g * size; i < std::min((g + 1) * size, shape.columns);
           ++i) {
        float steps = weights.row(row)[i] / scale;
        sum += costs[size_t(i)] * steps * steps;
      }
      wanted.scales.push_back(scale);
      wanted.weights.push_back(sum);
    }
    shape.units[shape.unitOf(shape.indexOf(row, begin))] =
        wanted.bestUnit(shape.format);
  }
}

StatusOr<Grid> searchGrid(const GridShape &shape, const MatrixView &weights,
                          const std::vector<float> &costs,
                          const RangeSteps &steps, unsigned threads) {
  StatusOr<Grid> grid = coveringGrid(shape, weights); // checks the values
  QOPT_RETURN_IF_ERROR(grid.status());
  GroupError errors(shape);
  if (shape.format.granularity == Granularity::Tensor) {
    GroupSearch search(shape, errors, 0, steps);
    for (int64_t row = 0; row < weights.rows; ++row)
      search.add(weights.row(row), costs.data(), weights.columns);
    grid->groups[0] =
        search.best(rangeOf(weights.values, weights.rows * weights.columns),
                    grid->groups[0]);
    return grid;
  }
  if (int64_t together = rowsPerBlock(shape.format); together > 1) {
    forTasks(threads, (weights.rows + together - 1) / together,
             [&](int64_t block) {
               int64_t row = block * together;
               searchBlock(shape, errors, weights, row, costs, steps,
                           grid->groups.data() + shape.indexOf(row, 0));
             });
    return grid;
  }
  forTasks(threads, weights.rows, [&](int64_t row) {
    GroupParameters *found = grid->groups.data() + shape.indexOf(row, 0);
    searchRow(shape, errors, weights, row, costs, steps, found);
    if (!shape.format.hasTwoLevels())
      return;
    chooseUnits(grid->shape, weights, row, costs, found);
    searchRow(grid->shape, errors, weights, row, costs, steps, found);
  });
  return grid;
}

} // namespace qopt::quant
