// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/StepPrices.h"
#include "dialects/QOpt/QOptOps.h"
#include "lib/Codegen/TemporaryFolder.h"
#include "lib/Driver/PrecisionAssignment.h"
#include "lib/Driver/WeightEvaluator.h"
#include "llvm/ADT/STLExtras.h"
#include <cmath>
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
    seconds = std::max(seconds, step.greedy.predicted.seconds);
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

namespace {

/// Entries that are alike, by their places in a plan.
struct Alike {
  std::vector<size_t> entries;
  std::vector<double> steps; ///< with all of them in each alternative
  /// Of weights those that read one tensor, where there are several.
  std::vector<std::vector<size_t>> readers;

  /// What one entry takes more in an alternative than in the first.
  double price(size_t alternative) const {
    return (steps[alternative] - steps.front()) / double(entries.size());
  }
};

class Pricing {
public:
  Pricing(ModuleOp raised, const CompileOptions &asked, PrecisionPlan &plan);
  Status run(const Progress &progress);

private:
  Status priceAlternatives(Alike &alike);
  Status tieReaders(const Alike &alike);

  const CompileOptions &asked;
  PrecisionPlan &plan;
  std::vector<PlanEntry> entries;
  std::map<std::string, Alike> kinds;
};

} // namespace

/// By name the tensor that a weight's linear multiplies.
static std::map<std::string, const void *> tensorsOf(ModuleOp raised) {
  std::map<std::string, const void *> tensors;
  raised.walk([&](ir::LinearOp linear) {
    tensors.emplace(weightNameOf(linear.getWeight()),
                    linear.getX().getAsOpaquePointer());
  });
  return tensors;
}

Pricing::Pricing(ModuleOp raised, const CompileOptions &asked,
                 PrecisionPlan &plan)
    : asked(asked), plan(plan), entries(entriesOf(plan)) {
  std::set<std::string> tables = lookedUp(raised);
  std::map<std::string, const void *> tensors = tensorsOf(raised);
  for (auto [i, entry] : llvm::enumerate(entries))
    if (!entry.alternatives.empty())
      kinds[kindOf(entry, plan, tables)].entries.push_back(i);
  for (auto &[kind, alike] : kinds) {
    std::map<const void *, std::vector<size_t>> readers;
    for (size_t i : alike.entries)
      if (auto tensor = tensors.find(entries[i].name); tensor != tensors.end())
        readers[tensor->second].push_back(i);
    for (auto &[tensor, some] : readers)
      if (some.size() > 1)
        alike.readers.push_back(std::move(some));
  }
}

Status Pricing::priceAlternatives(Alike &alike) {
  PrecisionPlan changed = plan;
  std::vector<PlanEntry> of = entriesOf(changed);
  size_t count = of[alike.entries.front()].alternatives.size();
  for (size_t place = 0; place < count; ++place) {
    for (size_t i : alike.entries)
      of[i].choose(place);
    auto seconds = predictStep(asked, changed);
    if (!seconds.ok())
      return seconds.status();
    alike.steps.push_back(*seconds);
  }
  double fastest = *llvm::min_element(alike.steps);
  for (size_t i : alike.entries)
    for (auto [format, step] : llvm::zip(entries[i].alternatives, alike.steps))
      format.seconds =
          asWritten((step - fastest) * 1e6 / double(alike.entries.size())) /
          1e6;
  return Status();
}

/// Predicts a step in which of the linears that read one tensor the first has
/// the first alternative, and the others have the second.
Status Pricing::tieReaders(const Alike &alike) {
  if (alike.readers.empty() || alike.steps.size() < 2)
    return Status();
  PrecisionPlan changed = plan;
  std::vector<PlanEntry> of = entriesOf(changed);
  double sum = alike.steps.front();
  for (const std::vector<size_t> &readers : alike.readers)
    for (size_t i : llvm::ArrayRef(readers).drop_front()) {
      of[i].choose(1);
      sum += alike.price(1);
    }
  auto mixed = predictStep(asked, changed);
  if (!mixed.ok())
    return mixed.status();
  double more = (*mixed - sum) / double(alike.readers.size());
  if (more > std::abs(alike.price(1)))
    for (const std::vector<size_t> &readers : alike.readers)
      for (size_t i : readers)
        plan.find(entries[i].name)->launch = entries[readers.front()].name;
  return Status();
}

Status Pricing::run(const Progress &progress) {
  // Those that are not looked at have few bits, as under most budgets.
  PlanSizes smallest = leastSizes(plan, CacheUse());
  QOPT_RETURN_IF_ERROR(chooseFormats(plan, CacheUse(), smallest));
  size_t done = 0;
  for (auto &[kind, alike] : kinds) {
    if (progress)
      progress("predicting steps", double(done++) / double(kinds.size()));
    QOPT_RETURN_IF_ERROR(priceAlternatives(alike));
    QOPT_RETURN_IF_ERROR(tieReaders(alike));
  }
  return Status();
}

Status priceFormats(ModuleOp raised, const CompileOptions &asked,
                    const Progress &progress, PrecisionPlan &plan) {
  return Pricing(raised, asked, plan).run(progress);
}

} // namespace qopt::driver
