// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Evaluate/GraphEvaluation.h"

#include "lib/Evaluate/LogitMetrics.h"
#include "lib/Io/Npy.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>

namespace qopt::eval {

bool hasLogits(const std::string &name, size_t rank, int64_t classes) {
  // Of one class nothing is predicted.
  return rank > 1 && classes != 1 && name.find("logits") != std::string::npos;
}

double GraphSlice::loss() const {
  double sum = 0;
  for (const OutputFigures &output : outputs)
    sum += output.loss() / double(outputs.size());
  return sum;
}

double GraphSlice::size() const {
  double sum = 0;
  for (const OutputFigures &output : outputs)
    sum += output.size / double(outputs.size());
  return sum;
}

static bool isReal(DType type) {
  return type == DType::F32 || type == DType::F16 || type == DType::BF16 ||
         type == DType::F64;
}

namespace {

/// Sums of a sample.
enum Column : size_t {
  Error,
  Square, ///< of the reference
  Own,    ///< the model's squares
  Elements,
  Rows,
  Divergence,
  SameTop,
  columnCount
};

/// One output of all samples.
struct OutputTable {
  std::string name;
  bool isPrediction = false;
  std::vector<std::array<double, columnCount>> samples;
  std::vector<std::vector<float>> divergences; ///< of rows, by sample
};

class GraphEvaluator {
public:
  explicit GraphEvaluator(const GraphInputs &inputs) : inputs(inputs) {}
  Status addSample(int64_t sample);
  GraphSlice slice(const SampleRange &range) const;
  bool isEmpty() const { return tables.empty(); }

private:
  Status add(const Tensor &found, const Tensor &expected, int64_t sample,
             OutputTable &table) const;
  Status addRows(const std::vector<double> &found,
                 const std::vector<double> &expected, int64_t classes,
                 OutputTable &table) const;

  const GraphInputs &inputs;
  std::vector<OutputTable> tables;
};

} // namespace

static std::vector<double> elementsOf(const Tensor &tensor) {
  TensorView view = tensor.view();
  std::vector<double> elements(size_t(tensor.elements()));
  for (size_t i = 0; i < elements.size(); ++i)
    elements[i] = io::elementAsDouble(view, int64_t(i));
  return elements;
}

static int64_t classesOf(const Tensor &tensor) {
  return tensor.shape().empty() ? 1
                                : std::max<int64_t>(tensor.shape().back(), 1);
}

Status GraphEvaluator::addSample(int64_t sample) {
  StatusOr<std::vector<Tensor>> found = inputs.model(sample);
  if (!found.ok())
    return found.status();
  StatusOr<std::vector<Tensor>> expected = inputs.reference(sample);
  if (!expected.ok())
    return expected.status();
  size_t place = 0;
  for (const Tensor &output : *found) {
    if (!isReal(output.type()))
      continue;
    auto theirs = std::find_if(
        expected->begin(), expected->end(),
        [&](const Tensor &other) { return other.name() == output.name(); });
    if (theirs == expected->end())
      return {StatusCode::InvalidArgument, "the reference has no output \"" +
                                               output.name() +
                                               "\", which the model has"};
    if (sample == 0)
      tables.push_back(
          {output.name(),
           hasLogits(output.name(), output.shape().size(), classesOf(output)),
           {},
           {}});
    QOPT_RETURN_IF_ERROR(add(output, *theirs, sample, tables[place++]));
  }
  return {};
}

Status GraphEvaluator::add(const Tensor &found, const Tensor &expected,
                           int64_t sample, OutputTable &table) const {
  if (found.shape() != expected.shape())
    return {StatusCode::InvalidArgument,
            "the output \"" + table.name + "\" of sample " +
                std::to_string(sample) + " is " + spell(found.shape()) +
                ", that of the reference " + spell(expected.shape())};
  std::vector<double> ours = elementsOf(found), theirs = elementsOf(expected);
  std::array<double, columnCount> sums{};
  sums[Elements] = double(ours.size());
  for (size_t i = 0; i < ours.size(); ++i) {
    sums[Own] += std::isfinite(ours[i]) ? ours[i] * ours[i] : 0;
    // Of logits -infinity forbids a class, in both.
    if (ours[i] == theirs[i])
      sums[Square] += std::isfinite(ours[i]) ? ours[i] * ours[i] : 0;
    else if (std::isfinite(ours[i]) && std::isfinite(theirs[i])) {
      sums[Error] += (ours[i] - theirs[i]) * (ours[i] - theirs[i]);
      sums[Square] += theirs[i] * theirs[i];
    } else {
      bool isOurs = !std::isfinite(ours[i]);
      return {isOurs ? StatusCode::BadArtifact : StatusCode::InvalidArgument,
              std::string("the output \"") + table.name + "\" of sample " +
                  std::to_string(sample) +
                  (isOurs ? " has" : " of the reference has") +
                  " what is no number"};
    }
  }
  int64_t classes = classesOf(found);
  sums[Rows] = double(int64_t(ours.size()) / classes);
  table.samples.push_back(sums);
  table.divergences.emplace_back();
  return table.isPrediction ? addRows(ours, theirs, classes, table) : Status();
}

/// The predictions of the latest sample.
Status GraphEvaluator::addRows(const std::vector<double> &found,
                               const std::vector<double> &expected,
                               int64_t classes, OutputTable &table) const {
  std::array<double, columnCount> &sums = table.samples.back();
  auto rowAt = [&](const std::vector<double> &from, size_t first) {
    return std::vector<float>(from.begin() + ptrdiff_t(first),
                              from.begin() + ptrdiff_t(first) + classes);
  };
  for (size_t first = 0; first < found.size(); first += size_t(classes)) {
    std::vector<float> ours = rowAt(found, first),
                       theirs = rowAt(expected, first);
    RowSummary own = summarize(ours), reference = summarize(theirs);
    if (!own.finite || !reference.finite)
      return {StatusCode::BadArtifact,
              "a row of \"" + table.name + "\" forbids every class"};
    double divergence = eval::divergence(theirs, reference, ours, own);
    table.divergences.back().push_back(float(divergence));
    sums[Divergence] += divergence;
    sums[SameTop] += own.best == reference.best;
  }
  return {};
}

GraphSlice GraphEvaluator::slice(const SampleRange &range) const {
  GraphSlice result{range.name, {}};
  for (const OutputTable &table : tables) {
    UnitSums sums(columnCount);
    std::vector<double> rows;
    for (int64_t i = range.first; i < range.first + range.count; ++i) {
      std::ranges::copy(table.samples[size_t(i)], sums.addUnit().begin());
      const std::vector<float> &own = table.divergences[size_t(i)];
      rows.insert(rows.end(), own.begin(), own.end());
    }
    auto ratio = [](Column of, Column by) -> Statistic {
      return [=](std::span<const double> totals) {
        return totals[by] > 0   ? totals[of] / totals[by]
               : totals[of] > 0 ? HUGE_VAL // beside zeros
                                : 0.0;
      };
    };
    const Statistic statistics[] = {
        ratio(Error, Square), ratio(Divergence, Rows), ratio(SameTop, Rows)};
    std::vector<Estimate> found = bootstrap(sums, statistics, inputs.seed);
    OutputFigures figures;
    figures.name = table.name;
    figures.samples = range.count;
    double own = 0, elements = 0;
    for (size_t i = 0; i < sums.units(); ++i) {
      figures.rows += int64_t(sums[i][Rows]);
      own += sums[i][Own];
      elements += sums[i][Elements];
    }
    figures.size = elements > 0 ? std::sqrt(own / elements) : 0;
    figures.error = found[0];
    if (table.isPrediction) {
      RowAgreement agreement{found[1], 0, 0, 0, 0, found[2]};
      agreement.most = rows.empty() ? 0 : *std::ranges::max_element(rows);
      agreement.median = quantile(rows, 0.5);
      agreement.p99 = quantile(rows, 0.99);
      agreement.p999 = quantile(rows, 0.999);
      figures.rowAgreement = agreement;
    }
    result.outputs.push_back(std::move(figures));
  }
  return result;
}

StatusOr<GraphEvaluation> evaluate(const GraphInputs &inputs) {
  auto start = std::chrono::steady_clock::now();
  GraphEvaluator evaluator(inputs);
  for (int64_t sample = 0; sample < inputs.samples; ++sample) {
    if (inputs.progress)
      inputs.progress(sample);
    QOPT_RETURN_IF_ERROR(evaluator.addSample(sample));
  }
  if (evaluator.isEmpty())
    return Status(StatusCode::InvalidArgument,
                  "no output of the model is of real numbers, and nothing to "
                  "compare");
  GraphEvaluation found;
  found.all = evaluator.slice({"all", 0, inputs.samples});
  if (inputs.files.size() > 1)
    for (const SampleRange &file : inputs.files)
      found.files.push_back(evaluator.slice(file));
  found.seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start)
          .count();
  return found;
}

} // namespace qopt::eval
