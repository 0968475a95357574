// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Evaluate/Figures.h"

#include <algorithm>
#include <cmath>

namespace qopt::eval {
namespace {

/// Columns of one side's sums.
enum GuessColumn : size_t {
  Nll,
  BinCount,
  BinConfidence = BinCount + Calibration::binCount,
  BinAccuracy = BinConfidence + Calibration::binCount,
  GuessColumns = BinAccuracy + Calibration::binCount
};

/// Columns of a window's sums.
enum Column : size_t {
  Predictions,
  Positions,
  Divergence,
  SameTop,
  SquaredChange,
  Model,
  Reference = Model + GuessColumns,
  Columns = Reference + GuessColumns
};

} // namespace

using Totals = std::span<const double>;

static void add(std::span<double> sums, const Guess &guess) {
  constexpr size_t count = Calibration::binCount;
  size_t bin = std::min(size_t(guess.confidence * count), count - 1);
  sums[Nll] += guess.nll;
  sums[BinCount + bin] += 1;
  sums[BinConfidence + bin] += guess.confidence;
  sums[BinAccuracy + bin] += guess.right ? 1 : 0;
}

static void add(std::span<double> sums, const Position &position,
                bool predicts) {
  sums[Positions] += 1;
  sums[Divergence] += position.divergence;
  sums[SameTop] += position.sameTop ? 1 : 0;
  if (!predicts)
    return;
  double change =
      std::exp(-position.model.nll) - std::exp(-position.reference.nll);
  sums[Predictions] += 1;
  sums[SquaredChange] += change * change;
  add(sums.subspan(Model, GuessColumns), position.model);
  add(sums.subspan(Reference, GuessColumns), position.reference);
}

static UnitSums sumUp(const PositionTable &table, const Region &region) {
  UnitSums sums(Columns);
  for (int64_t i = region.firstWindow; i < region.endWindow; ++i) {
    std::span<double> unit = sums.addUnit();
    for (int64_t at = region.firstPosition; at < region.endPosition; ++at)
      add(unit, table[i][size_t(at)], at + 1 < table.length);
  }
  return sums;
}

static Statistic ratio(size_t column, size_t count) {
  return [=](Totals totals) { return totals[column] / totals[count]; };
}

static Statistic calibrationError(size_t side) {
  return [=](Totals totals) {
    Totals sums = totals.subspan(side, GuessColumns);
    double error = 0;
    for (size_t bin = 0; bin < Calibration::binCount; ++bin)
      error += std::abs(sums[BinAccuracy + bin] - sums[BinConfidence + bin]);
    return error / totals[Predictions];
  };
}

static std::array<CalibrationBin, Calibration::binCount>
fillBins(Totals totals) {
  std::array<CalibrationBin, Calibration::binCount> bins;
  for (size_t i = 0; i < bins.size(); ++i) {
    double count = totals[BinCount + i];
    if (count > 0)
      bins[i] = {count, totals[BinConfidence + i] / count,
                 totals[BinAccuracy + i] / count};
  }
  return bins;
}

static void fillQuantiles(Agreement &agreement, const PositionTable &table,
                          const Region &region) {
  std::vector<double> values;
  for (int64_t i = region.firstWindow; i < region.endWindow; ++i)
    for (int64_t at = region.firstPosition; at < region.endPosition; ++at)
      values.push_back(table[i][size_t(at)].divergence);
  agreement.median = quantile(values, 0.5);
  agreement.p99 = quantile(values, 0.99);
  agreement.p999 = quantile(values, 0.999);
  agreement.most = quantile(values, 1);
}

Figures measure(const PositionTable &table, const Region &region,
                uint64_t seed) {
  UnitSums sums = sumUp(table, region);
  std::vector<double> totals(Columns);
  for (size_t unit = 0; unit < sums.units(); ++unit)
    for (size_t i = 0; i < Columns; ++i)
      totals[i] += sums[unit][i];
  std::vector<Statistic> statistics = {ratio(size_t(Model) + Nll, Predictions),
                                       calibrationError(Model)};
  if (table.compared) {
    statistics.push_back(ratio(size_t(Reference) + Nll, Predictions));
    statistics.push_back(calibrationError(Reference));
    statistics.push_back(ratio(Divergence, Positions));
    statistics.push_back(ratio(SameTop, Positions));
    statistics.push_back([](Totals totals) {
      return std::sqrt(totals[SquaredChange] / totals[Predictions]);
    });
  }
  std::vector<Estimate> found = bootstrap(sums, statistics, seed);
  auto side = [&](size_t column) {
    return fillBins(Totals(totals).subspan(column, GuessColumns));
  };
  Figures figures{int64_t(sums.units()),
                  int64_t(totals[Predictions]),
                  {found[0], {found[1], side(Model)}},
                  {}};
  if (!table.compared)
    return figures;
  Agreement &agreement = figures.agreement.emplace();
  agreement.reference = {found[2], {found[3], side(Reference)}};
  agreement.divergence = found[4];
  agreement.sameTop = found[5];
  agreement.probabilityChange = found[6];
  fillQuantiles(agreement, table, region);
  return figures;
}

} // namespace qopt::eval
