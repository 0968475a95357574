// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/StepPrices.h"
#include "dialects/QOpt/QOptOps.h"
#include "lib/Codegen/TemporaryFolder.h"
#include "lib/Driver/PrecisionAssignment.h"
#include "lib/Driver/WeightEvaluator.h"
#include "llvm/ADT/STLExtras.h"
#include <map>
#include <set>

using namespace mlir;

namespace qopt::driver {

CompileOptions plannedOptions(const CompileOptions &asked) {
  CompileOptions options;
  options.model = asked.model;
  options.tokenizer = asked.tokenizer;
  options.kind = asked.kind;
  options.target = asked.target;
  options.architectures = asked.architectures;
  options.cpu = asked.cpu;
  options.context = asked.context;
  options.threads = asked.threads;
  return options;
}

StatusOr<double> slowestStep(const std::vector<StepSummary> &steps) {
  double seconds = 0;
  for (const StepSummary &step : steps)
    seconds = std::max(seconds, step.predicted.seconds);
  if (steps.empty())
    return Status(StatusCode::InvalidArgument,
                  "--max-latency is for the steps of a decoder, and the model "
                  "is a graph; bound --bits or --max-size");
  return seconds;
}

StatusOr<double> predictStep(const CompileOptions &asked,
                             const PrecisionPlan &plan) {
  codegen::TemporaryFolder folder("qopt-step");
  QOPT_RETURN_IF_ERROR(folder.made());
  CompileOptions options = plannedOptions(asked);
  options.plan = folder.file("plan.json");
  QOPT_RETURN_IF_ERROR(writePlan(plan, options.plan));
  auto steps = predictSteps(options);
  return steps.ok() ? slowestStep(*steps) : steps.status();
}

/// Weights of which a step reads some rows, and no linear all.
static std::set<std::string> lookedUp(ModuleOp raised) {
  std::set<std::string> rows, whole;
  raised.walk([&](ir::WeightUserOpInterface user) {
    Value weight = user.getWeightOperand().get();
    if (auto quantize = weight.getDefiningOp<ir::QuantizeWeightOp>())
      weight = quantize.getSource();
    (user.looksUpRows() ? rows : whole).insert(weightNameOf(weight));
  });
  for (const std::string &name : whole)
    rows.erase(name);
  return rows;
}

/// What entries have alike, as text.
static std::string kindOf(const PlanEntry &entry, const PrecisionPlan &plan,
                          const std::set<std::string> &tables) {
  std::string kind;
  if (entry.cache)
    kind = entry.cache->isValue() ? "values" : "keys";
  else if (const PlannedWeight *weight = plan.find(entry.name))
    kind = (tables.count(entry.name) ? "table " : "") +
           std::to_string(weight->rows) + "x" + std::to_string(weight->columns);
  for (const PlannedFormat &format : entry.alternatives)
    kind += " " + format.format;
  return kind;
}

Status priceFormats(ModuleOp raised, const CompileOptions &asked,
                    const Progress &progress, PrecisionPlan &plan) {
  // Those that are not looked at have few bits, as under most budgets.
  PlanSizes smallest = leastSizes(plan, CacheUse());
  QOPT_RETURN_IF_ERROR(chooseFormats(plan, CacheUse(), smallest));
  std::set<std::string> tables = lookedUp(raised);
  std::vector<PlanEntry> entries = entriesOf(plan);
  std::map<std::string, std::vector<size_t>> kinds;
  size_t predictions = 0, done = 0;
  for (auto [i, entry] : llvm::enumerate(entries))
    if (!entry.alternatives.empty())
      kinds[kindOf(entry, plan, tables)].push_back(i);
  for (const auto &[kind, alike] : kinds)
    predictions += entries[alike.front()].alternatives.size();
  for (const auto &[kind, alike] : kinds) {
    std::vector<double> steps;
    PrecisionPlan changed = plan;
    std::vector<PlanEntry> of = entriesOf(changed);
    for (size_t place = 0; place < of[alike.front()].alternatives.size();
         ++place) {
      if (progress)
        progress("predicting steps", double(done++) / double(predictions));
      for (size_t i : alike)
        of[i].choose(place);
      auto seconds = predictStep(asked, changed);
      if (!seconds.ok())
        return seconds.status();
      steps.push_back(*seconds);
    }
    double fastest = *llvm::min_element(steps);
    for (size_t i : alike)
      for (auto [format, step] : llvm::zip(entries[i].alternatives, steps))
        format.seconds =
            asWritten((step - fastest) * 1e6 / double(alike.size())) / 1e6;
  }
  return Status();
}

} // namespace qopt::driver
