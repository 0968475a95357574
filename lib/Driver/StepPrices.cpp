// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/StepPrices.h"
#include "dialects/QOpt/QOptOps.h"
#include "lib/Codegen/TemporaryFolder.h"
#include "lib/Driver/ActivationOption.h"
#include "lib/Driver/PrecisionAssignment.h"
#include "lib/Driver/WeightEvaluator.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
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
  options.inputs = asked.inputs;
  options.target = asked.target;
  options.architectures = asked.architectures;
  options.cpu = asked.cpu;
  options.context = asked.context;
  options.threads = asked.threads;
  options.hostRates = asked.hostRates;
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
  options.batch = asked.batch;
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
  else if (entry.tensor)
    kind = "tensor " + std::to_string(entry.tensor->columns);
  else if (const PlannedWeight *weight = plan.find(entry.name))
    kind = (tables.count(entry.name) ? "table " : "") +
           std::to_string(weight->rows) + "x" + std::to_string(weight->columns);
  for (const PlannedFormat &format : entry.alternatives)
    kind += " " + format.spell();
  return kind;
}

namespace {

/// Entries that are alike, by their places in a plan.
struct Alike {
  std::vector<size_t> entries;
  /// Of weights those that read one tensor, where there are several.
  std::vector<std::vector<size_t>> readers;
};

/// Tensors that are alike and have readers that are alike.
struct AlikeTensors {
  std::vector<size_t> entries;
  std::map<std::string, Alike> readers; ///< by kind
};

/// What one entry takes more in some alternatives than in another one.
using Prices = std::map<size_t, double>;

class Pricing {
public:
  Pricing(ModuleOp raised, const CompileOptions &asked, PrecisionPlan &plan);
  Status run(const Progress &progress);

private:
  void sortTensors(const std::vector<std::string> &kindsOfAll);
  StatusOr<Prices> price(const Alike &alike, llvm::ArrayRef<size_t> places,
                         PrecisionPlan &changed, double base);
  Status price(Alike &alike);
  Status price(AlikeTensors &tensors);
  Status priceReading(AlikeTensors &tensors, size_t place, Prices &steps);
  Status tieReaders(const Alike &alike, PrecisionPlan changed, size_t less,
                    size_t more, double base, double price);

  const CompileOptions &asked;
  PrecisionPlan &plan;
  std::vector<PlanEntry> entries;
  std::map<std::string, Alike> kinds;
  std::map<std::string, AlikeTensors> tensorKinds;
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
  std::vector<std::string> kindsOfAll;
  for (const PlanEntry &entry : entries)
    kindsOfAll.push_back(kindOf(entry, plan, tables));
  sortTensors(kindsOfAll);
  std::set<size_t> isJoined;
  for (auto &[kind, alike] : tensorKinds)
    for (auto &[weights, readers] : alike.readers)
      isJoined.insert(readers.entries.begin(), readers.entries.end());
  for (auto [i, entry] : llvm::enumerate(entries))
    if (!entry.alternatives.empty() && !entry.tensor && !isJoined.count(i))
      kinds[kindsOfAll[i]].entries.push_back(i);
  auto findReaders = [&](Alike &alike) {
    std::map<const void *, std::vector<size_t>> readers;
    for (size_t i : alike.entries)
      if (auto tensor = tensors.find(entries[i].name); tensor != tensors.end())
        readers[tensor->second].push_back(i);
    for (auto &[tensor, some] : readers)
      if (some.size() > 1)
        alike.readers.push_back(std::move(some));
  };
  for (auto &[kind, alike] : kinds)
    findReaders(alike);
  for (auto &[kind, alike] : tensorKinds)
    for (auto &[weights, readers] : alike.readers)
      findReaders(readers);
}

/// Tensors with alternatives, with the weights that read them and no other.
void Pricing::sortTensors(const std::vector<std::string> &kindsOfAll) {
  std::map<std::string, size_t> weights;
  for (auto [i, entry] : llvm::enumerate(entries))
    if (!entry.cache && !entry.tensor)
      weights.emplace(entry.name, i);
  std::set<size_t> seen;
  for (auto [i, entry] : llvm::enumerate(entries)) {
    if (!entry.tensor || entry.alternatives.empty())
      continue;
    std::vector<size_t> readers;
    for (const std::string &name : entry.tensor->weights)
      if (auto weight = weights.find(name);
          weight != weights.end() && seen.insert(weight->second).second)
        readers.push_back(weight->second);
    std::vector<std::string> names;
    for (size_t reader : readers)
      names.push_back(kindsOfAll[reader]);
    llvm::sort(names);
    AlikeTensors &alike =
        tensorKinds[kindsOfAll[i] + " of " + llvm::join(names, ", ")];
    alike.entries.push_back(i);
    for (size_t reader : readers)
      alike.readers[kindsOfAll[reader]].entries.push_back(reader);
  }
}

/// Gives the other parts of the layers of some caches the first of their
/// formats that keeps the same positions.
static void keepPartners(llvm::MutableArrayRef<PlanEntry> of,
                         const std::vector<size_t> &caches) {
  for (const std::vector<size_t> &unit : cacheUnits(of)) {
    if (unit.size() == 1)
      continue;
    for (auto [own, other] :
         {std::pair(unit[0], unit[1]), {unit[1], unit[0]}}) {
      if (!llvm::is_contained(caches, own))
        continue;
      for (auto [place, format] : llvm::enumerate(of[other].alternatives))
        if (keepAlike(format, of[own].chosen)) {
          of[other].choose(place);
          break;
        }
    }
  }
}

/// Predicts a step with all that are alike in each of `places`, beside one that
/// takes `base`; `changed` is as before.
StatusOr<Prices> Pricing::price(const Alike &alike,
                                llvm::ArrayRef<size_t> places,
                                PrecisionPlan &changed, double base) {
  Prices prices;
  std::vector<PlanEntry> of = entriesOf(changed);
  for (size_t place : places) {
    for (size_t i : alike.entries)
      of[i].choose(place);
    keepPartners(of, alike.entries);
    auto seconds = predictStep(asked, changed);
    if (!seconds.ok())
      return seconds.status();
    prices[place] = (*seconds - base) / double(alike.entries.size());
  }
  return prices;
}

/// A price as plans have it.
static double written(double seconds) { return asWritten(seconds * 1e6) / 1e6; }

/// Whether alternatives of a cache keep different positions.
static bool keepsSeveral(const PlanEntry &cache) {
  return llvm::any_of(cache.alternatives, [&](const PlannedFormat &format) {
    return !keepAlike(format, cache.alternatives.front());
  });
}

/// What positions in f16 take is in the prices of keys: those of values are
/// what they take more than the first that keeps the same.
static void leavePositionsToKeys(const PlanEntry &values, Prices &prices) {
  Prices steps = prices;
  for (auto &[place, price] : prices) {
    const PlannedFormat &own = values.alternatives[place];
    auto first =
        llvm::find_if(values.alternatives, [&](const PlannedFormat &format) {
          return keepAlike(format, own);
        });
    price -= steps[size_t(first - values.alternatives.begin())];
  }
}

static double least(const Prices &prices) {
  double least = HUGE_VAL;
  for (auto [place, price] : prices)
    least = std::min(least, price);
  return least;
}

Status Pricing::price(Alike &alike) {
  PrecisionPlan changed = plan;
  size_t count = entries[alike.entries.front()].alternatives.size();
  std::vector<size_t> places;
  for (size_t place = 0; place < count; ++place)
    places.push_back(place);
  auto prices = price(alike, places, changed, 0);
  if (!prices.ok())
    return prices.status();
  const PlanEntry &first = entries[alike.entries.front()];
  if (first.cache && first.cache->isValue() && keepsSeveral(first))
    leavePositionsToKeys(first, *prices);
  double fastest = least(*prices);
  for (size_t i : alike.entries)
    for (auto [place, price] : *prices)
      entries[i].alternatives[place].seconds = written(price - fastest);
  if (count < 2)
    return Status();
  double base = (*prices)[0] * double(alike.entries.size());
  return tieReaders(alike, plan, 0, 1, base, (*prices)[1] - (*prices)[0]);
}

/// The alternatives of a weight that can read a tensor in a format; of one
/// without some 0 where it can.
static std::vector<size_t> readingPlaces(const PlanEntry &weight,
                                         const quant::Format &reads) {
  std::vector<size_t> places;
  auto add = [&](const PlannedFormat &format, size_t place) {
    if (readsActivations(*quant::parseFormat(format.format), reads))
      places.push_back(place);
  };
  for (auto [place, format] : llvm::enumerate(weight.alternatives))
    add(format, place);
  if (weight.alternatives.empty())
    add(weight.chosen, 0);
  return places;
}

/// Prices with the tensors in one format: of their readers beside the first
/// that can read it, of a tensor with these; nothing where a reader cannot.
Status Pricing::priceReading(AlikeTensors &tensors, size_t place,
                             Prices &steps) {
  PrecisionPlan changed = plan;
  std::vector<PlanEntry> of = entriesOf(changed);
  std::string name =
      entries[tensors.entries.front()].alternatives[place].format;
  quant::Format reads = *quant::parseFormat(name);
  for (size_t i : tensors.entries)
    of[i].choose(place);
  for (auto &[kind, readers] : tensors.readers)
    for (size_t i : readers.entries) {
      std::vector<size_t> places = readingPlaces(entries[i], reads);
      if (places.empty())
        return Status();
      if (!entries[i].alternatives.empty())
        of[i].choose(places.front());
    }
  auto base = predictStep(asked, changed);
  if (!base.ok())
    return base.status();
  double ofTensor = *base / double(tensors.entries.size());
  for (auto &[kind, readers] : tensors.readers) {
    const PlanEntry &first = entries[readers.entries.front()];
    if (first.alternatives.empty())
      continue;
    std::vector<size_t> places = readingPlaces(first, reads);
    auto prices =
        price(readers, llvm::ArrayRef(places).drop_front(), changed, *base);
    if (!prices.ok())
      return prices.status();
    for (size_t i : readers.entries)
      of[i].choose(places.front());
    (*prices)[places.front()] = 0;
    double fastest = least(*prices);
    ofTensor += fastest * double(readers.entries.size()) /
                double(tensors.entries.size());
    for (size_t i : readers.entries)
      for (auto [at, price] : *prices)
        entries[i].alternatives[at].secondsBy[name] = written(price - fastest);
    if (reads.isFloat() && places.size() > 1)
      QOPT_RETURN_IF_ERROR(tieReaders(readers, changed, places[0], places[1],
                                      *base, (*prices)[places[1]]));
  }
  steps[place] = ofTensor;
  return Status();
}

Status Pricing::price(AlikeTensors &tensors) {
  Prices steps;
  size_t count = entries[tensors.entries.front()].alternatives.size();
  for (size_t place = 0; place < count; ++place)
    QOPT_RETURN_IF_ERROR(priceReading(tensors, place, steps));
  double fastest = least(steps);
  for (size_t i : tensors.entries)
    for (auto [place, step] : steps)
      entries[i].alternatives[place].seconds = written(step - fastest);
  return Status();
}

/// Predicts a step in which of the linears that read one tensor the first is in
/// alternative `less`, and the others are in `more`. All in `less` take `base`,
/// each in `more` takes `price` more.
Status Pricing::tieReaders(const Alike &alike, PrecisionPlan changed,
                           size_t less, size_t more, double base,
                           double price) {
  if (alike.readers.empty())
    return Status();
  std::vector<PlanEntry> of = entriesOf(changed);
  for (size_t i : alike.entries)
    of[i].choose(less);
  double sum = base;
  for (const std::vector<size_t> &readers : alike.readers)
    for (size_t i : llvm::ArrayRef(readers).drop_front()) {
      of[i].choose(more);
      sum += price;
    }
  auto mixed = predictStep(asked, changed);
  if (!mixed.ok())
    return mixed.status();
  double apart = (*mixed - sum) / double(alike.readers.size());
  if (apart > std::abs(price))
    for (const std::vector<size_t> &readers : alike.readers)
      for (size_t i : readers)
        plan.find(entries[i].name)->launch = entries[readers.front()].name;
  return Status();
}

Status Pricing::run(const Progress &progress) {
  // Those that are not looked at have few bits, as under most budgets.
  PlanSizes smallest = leastSizes(plan, CacheUse());
  smallest.time = INT64_MAX;
  QOPT_RETURN_IF_ERROR(chooseFormats(plan, CacheUse(), smallest));
  size_t done = 0, count = kinds.size() + tensorKinds.size();
  auto begin = [&] {
    if (progress)
      progress("predicting steps", double(done++) / double(count));
  };
  for (auto &[kind, alike] : kinds) {
    begin();
    QOPT_RETURN_IF_ERROR(price(alike));
  }
  for (auto &[kind, alike] : tensorKinds) {
    begin();
    QOPT_RETURN_IF_ERROR(price(alike));
  }
  return Status();
}

Status priceFormats(ModuleOp raised, const CompileOptions &asked,
                    const Progress &progress, PrecisionPlan &plan) {
  return Pricing(raised, asked, plan).run(progress);
}

} // namespace qopt::driver
