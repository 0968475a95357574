// k-means on a histogram, which costs as much for any number of weights and
// adds in one order.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Quant/algorithms/CodeBook.h"
#include "lib/Quant/algorithms/GridSearch.h"
#include <cmath>

namespace qopt::quant {

/// Weights that are enough to fit by.
constexpr int64_t enoughWeights = 1 << 16;
constexpr int turns = 3, iterations = 10;
/// Numbers are in −lowestNumber … lowestNumber − 1: the lowest alone is the
/// largest magnitude, so that scales take its sign.
constexpr float lowestNumber = 127;

namespace {
/// The weights of one matrix in units of their scales, by value.
class Histogram {
public:
  void add(float x, double mass) {
    float place = std::clamp((x / reach + 1) * (bins / 2), 0.0f, bins - 1.0f);
    masses[size_t(place)] += mass;
    moments[size_t(place)] += mass * double(x);
  }
  bool empty() const {
    return std::ranges::all_of(masses, [](double mass) { return mass == 0; });
  }
  /// The `count` numbers with the least error, but for the width of a bin.
  std::vector<float> best(int count) const;
  /// Moves every number to the mean of what is nearest to it.
  void improve(std::vector<float> &numbers) const;

private:
  static constexpr int bins = 8192;
  static constexpr float reach = 1.5f * lowestNumber;
  std::vector<double> masses = std::vector<double>(bins),
                      moments = std::vector<double>(bins);
};
} // namespace

namespace {
/// What it costs to have one number for a range of bins.
class RangeCosts {
public:
  void add(double mass, double moment) {
    double square = mass > 0 ? moment * moment / mass : 0;
    totals.push_back({totals.back().mass + mass, totals.back().moment + moment,
                      totals.back().square + square});
  }
  int bins() const { return int(totals.size()) - 1; }
  double mass(int begin, int end) const {
    return totals[size_t(end)].mass - totals[size_t(begin)].mass;
  }
  double moment(int begin, int end) const {
    return totals[size_t(end)].moment - totals[size_t(begin)].moment;
  }
  double cost(int begin, int end) const {
    double all = mass(begin, end), sum = moment(begin, end);
    double square = totals[size_t(end)].square - totals[size_t(begin)].square;
    return all > 0 ? square - sum * sum / all : 0;
  }

private:
  struct Sums {
    double mass = 0, moment = 0, square = 0;
  };
  std::vector<Sums> totals = {{}};
};
} // namespace

/// Ranges of bins by dynamic programming: the best k for the first bins are the
/// best k − 1 for fewer of them, and one more.
static std::vector<int> bestRanges(const RangeCosts &costs, int count) {
  int bins = costs.bins();
  std::vector<double> least(size_t(bins) + 1, HUGE_VAL), next(least);
  std::vector<std::vector<int>> begins(size_t(count),
                                       std::vector<int>(size_t(bins) + 1));
  // Every k asks for the same ones: [end][begin].
  std::vector<double> ofRanges(size_t((bins + 1) * bins));
  for (int end = 1; end <= bins; ++end)
    for (int begin = 0; begin < end; ++begin)
      ofRanges[size_t(end * bins + begin)] = costs.cost(begin, end);
  least[0] = 0;
  for (int k = 0; k < count; ++k) {
    std::ranges::fill(next, HUGE_VAL);
    for (int end = k + 1; end <= bins; ++end)
      for (int begin = k; begin < end; ++begin)
        if (double sum =
                least[size_t(begin)] + ofRanges[size_t(end * bins + begin)];
            sum < next[size_t(end)]) {
          next[size_t(end)] = sum;
          begins[size_t(k)][size_t(end)] = begin;
        }
    std::swap(least, next);
  }
  std::vector<int> ends(size_t(count) + 1, bins);
  for (int k = count; k-- > 0;)
    ends[size_t(k)] = begins[size_t(k)][size_t(ends[size_t(k) + 1])];
  return ends;
}

std::vector<float> Histogram::best(int count) const {
  constexpr int together = 16;
  RangeCosts costs;
  for (int bin = 0; bin < bins; bin += together) {
    double mass = 0, moment = 0;
    for (int i = bin; i < bin + together; ++i) {
      mass += masses[size_t(i)];
      moment += moments[size_t(i)];
    }
    costs.add(mass, moment);
  }
  std::vector<int> ends = bestRanges(costs, count);
  std::vector<float> numbers;
  for (size_t k = 0; k < size_t(count); ++k) {
    double mass = costs.mass(ends[k], ends[k + 1]);
    float middle = (float(ends[k] + ends[k + 1]) * together / bins - 1) * reach;
    numbers.push_back(
        mass > 0 ? float(costs.moment(ends[k], ends[k + 1]) / mass) : middle);
  }
  return numbers;
}

void Histogram::improve(std::vector<float> &numbers) const {
  Levels levels = Levels::codeBook(numbers);
  std::vector<double> sums(numbers.size()), totals(numbers.size());
  for (int bin = 0; bin < bins; ++bin) {
    float middle = ((float(bin) + 0.5f) * 2 / bins - 1) * reach;
    auto nearest = size_t(levels.indexOf(middle));
    sums[nearest] += moments[size_t(bin)];
    totals[nearest] += masses[size_t(bin)];
  }
  for (size_t i = 0; i < numbers.size(); ++i)
    if (totals[i] > 0)
      numbers[i] = float(sums[i] / totals[i]);
}

/// As integers of a code book, all of them different.
static void roundNumbers(std::vector<float> &numbers) {
  if (numbers.back() > -numbers.front()) { // the scales' signs turn with it
    std::reverse(numbers.begin(), numbers.end());
    for (float &number : numbers)
      number = -number;
  }
  float unit = -lowestNumber / numbers.front();
  for (float &number : numbers)
    number = std::min(roundToEven(number * unit), lowestNumber - 1);
  for (size_t i = 1; i < numbers.size(); ++i)
    numbers[i] = std::max(numbers[i], numbers[i - 1] + 1);
  float most = lowestNumber;
  for (size_t i = numbers.size(); i-- > 0;)
    numbers[i] = most = std::min(numbers[i], most - 1);
}

/// Some rows of a matrix, in even steps.
static std::vector<float> someRows(const MatrixView &weights) {
  int64_t step =
      std::max<int64_t>(1, weights.rows * weights.columns / enoughWeights);
  std::vector<float> values;
  for (int64_t row = 0; row < weights.rows; row += step)
    values.insert(values.end(), weights.row(row),
                  weights.row(row) + weights.columns);
  return values;
}

namespace {
/// What a search of scales for one book leaves.
struct Searched {
  double error = 0;
  Histogram histogram;
};
} // namespace

/// The weights in units of the scales that suit the book as it is.
static StatusOr<Searched> searchScales(const GridShape &shape,
                                       const MatrixView &weights,
                                       const std::vector<float> &costs,
                                       unsigned threads) {
  auto grid = searchGrid(shape, weights, costs,
                         RangeSteps::forLevels(shape.levels), threads);
  QOPT_RETURN_IF_ERROR(grid.status());
  Searched result;
  int64_t size = shape.groupColumns();
  for (int64_t row = 0; row < weights.rows; ++row)
    for (int64_t j = 0; j < weights.columns; ++j) {
      const GroupParameters &group =
          grid->groups[size_t(shape.indexOf(row, j / size))];
      float weight = weights.row(row)[j];
      double cost = costs[size_t(j)];
      double left = group.value(shape.nearest(group, weight)) - weight;
      result.error += cost * left * left;
      if (group.scale != 0)
        result.histogram.add(weight / group.scale,
                             cost * group.scale * group.scale);
    }
  return result;
}

StatusOr<GridShape> fitCodeBook(const GridShape &shape,
                                const MatrixView &weights,
                                const std::vector<float> &costs,
                                unsigned threads) {
  GridShape result = shape;
  std::vector<float> numbers = shape.levels.numbers();
  if (numbers.empty())
    return result;
  std::vector<float> values = someRows(weights);
  MatrixView some{values.data(), int64_t(values.size()) / weights.columns,
                  weights.columns};
  GridShape sample = gridShape(shape.format, some.rows, some.columns);
  double least = HUGE_VAL;
  for (int turn = 0; turn <= turns; ++turn) {
    sample.levels = Levels::codeBook(numbers);
    auto searched = searchScales(sample, some, costs, threads);
    QOPT_RETURN_IF_ERROR(searched.status());
    if (searched->error < least) {
      least = searched->error;
      result.levels = sample.levels;
    }
    const Histogram &histogram = searched->histogram;
    if (turn == turns || histogram.empty())
      break;
    numbers = histogram.best(int(numbers.size()));
    for (int i = 0; i < iterations; ++i)
      histogram.improve(numbers);
    roundNumbers(numbers);
  }
  return result;
}

} // namespace qopt::quant
