// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/PlanMoves.h"
#include "lib/Driver/CacheOption.h"
#include "lib/Driver/HostModels.h"
#include "lib/Driver/StageOptions.h"
#include "lib/Driver/WeightCalibration.h"
#include "lib/Evaluate/Evaluation.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include <set>

using namespace mlir;

namespace qopt::driver {

/// Of the reference's logits, which are computed again where there are more.
constexpr size_t mostLogitBytes = size_t(1) << 29;
/// What is less of the divergence is the rounding of sums.
constexpr double leastGain = 1e-3;

std::string codesEntry(const std::string &weight, const std::string &format) {
  return "codes-" + weight + "-" + format;
}

namespace {

/// One entry takes a smaller alternative, another a larger one.
struct Move {
  size_t smaller, toSmaller; ///< entry of the plan, alternative
  size_t larger, toLarger;
  double predicted; ///< more divergence than now

  auto key() const { return std::tuple(smaller, toSmaller, larger, toLarger); }
};

class MoveSearch {
public:
  MoveSearch(const MoveInputs &inputs, const PlanBudget &budget,
             PrecisionPlan &plan)
      : inputs(inputs), budget(budget), plan(plan),
        known(ModuleOp::create(ModuleOp(inputs.raised).getLoc())) {}
  Status run(const Progress &progress);

private:
  Status makeReference();
  StatusOr<OwningOpRef<ModuleOp>> modelOf(const PrecisionPlan &of);
  StatusOr<double> divergenceOf(const PrecisionPlan &of);
  std::optional<Move> nextMove();
  PrecisionPlan moved(const Move &move) const;
  Status attempt(const Move &move);

  const MoveInputs &inputs;
  const PlanBudget &budget;
  PrecisionPlan &plan;
  OwningOpRef<ModuleOp> known; ///< codes that were read, to be cloned
  std::set<decltype(std::declval<Move>().key())> tried;
  std::unique_ptr<Engine> unquantized;
  std::optional<eval::EngineLogits> computed;
  std::optional<eval::KeptLogits> reference;
};

} // namespace

Status MoveSearch::makeReference() {
  auto model = quantizedModel(inputs.raised, unquantizedFormats());
  if (!model.ok())
    return model.status();
  auto engine = engineOf(**model, inputs.options, inputs.companions);
  if (!engine.ok())
    return engine.status();
  unquantized = std::move(*engine);
  computed.emplace(*unquantized, inputs.windows);
  reference.emplace(*computed, mostLogitBytes);
  return Status();
}

/// For the host, which measures; with the codes of the scores.
StatusOr<OwningOpRef<ModuleOp>> MoveSearch::modelOf(const PrecisionPlan &of) {
  CompileOptions own = onHost(inputs.options);
  for (const PlannedWeight &weight : of.weights)
    if (!weight.alternatives.empty() && weight.chosen.format != weight.source)
      own.formats.push_back(weight.name + "=" + weight.chosen.format);
  for (const PlannedCache &cache : of.caches)
    if (!cache.alternatives.empty())
      own.cacheFormats.push_back(cacheOverride(own, cache));
  auto model = quantizedModel(inputs.raised, askedFormats(own));
  if (!model.ok())
    return model;
  takeCodes(**model, *known);
  std::map<std::string, StoredWeight> stored;
  for (ir::QuantizeWeightOp op : quantizedWeights(**model)) {
    std::string name = weightNameOf(op.getSource());
    std::string entry =
        codesEntry(name, quant::spell(op.getType().getFormat()));
    if (!inputs.codes.has(entry)) // rounded by itself: f16, or nobody's choice
      continue;
    auto bytes = inputs.codes.get(entry);
    if (!bytes.ok())
      return bytes.status();
    auto rounded = fromBytes(*bytes, op);
    if (!rounded.ok())
      return rounded.status();
    stored.emplace(weightKey(op), std::move(rounded->weight));
  }
  replaceWeights(**model, stored, "moved ");
  OpBuilder builder = OpBuilder::atBlockEnd(known->getBody());
  (*model)->walk([&](ir::WeightOp op) {
    std::string key =
        op.getName().str() + " " + quant::spell(op.getType().getFormat());
    if (stored.erase(key))
      builder.clone(*op);
  });
  return model;
}

StatusOr<double> MoveSearch::divergenceOf(const PrecisionPlan &of) {
  auto model = modelOf(of);
  if (!model.ok())
    return model.status();
  auto engine = engineOf(**model, inputs.options, inputs.companions);
  if (!engine.ok())
    return engine.status();
  eval::EvaluationInputs evaluated{inputs.windows};
  evaluated.reference = &*reference;
  evaluated.threads = int(inputs.options.threads);
  auto found = eval::evaluate(**engine, evaluated);
  if (!found.ok())
    return found.status();
  return found->all.figures.agreement->divergence.value;
}

/// The place of the next smaller alternative, or the next larger, that it may
/// take alone: weights of one launch keep one format, those that read a tensor
/// one that can, and caches their positions.
static std::optional<size_t> neighbourOf(const PlanEntry &entry, int up) {
  if (!entry.launch.empty() || entry.tensor || entry.alternatives.empty())
    return std::nullopt;
  std::optional<size_t> place = entry.neighbour(entry.place(), up);
  if (!place)
    return std::nullopt;
  const PlannedFormat &format = entry.alternatives[*place];
  bool canRead = format.secondsBy.empty() || format.seconds;
  return canRead ? place : std::nullopt;
}

/// The exchange of neighbours in size that is predicted to cost least, of those
/// that keep the bounds and were not tried.
std::optional<Move> MoveSearch::nextMove() {
  std::vector<PlanEntry> entries = entriesOf(plan);
  const CacheUse &use = budget.cacheUse();
  PlanSizes now = sizesOf(plan, use), most = budget.bounds();
  std::optional<Move> best;
  for (auto [i, smaller] : llvm::enumerate(entries)) {
    std::optional<size_t> place = neighbourOf(smaller, -1);
    if (!place)
      continue;
    const PlannedFormat &less = smaller.alternatives[*place];
    int64_t saved =
        smaller.bytes(smaller.chosen, use) - smaller.bytes(less, use);
    for (auto [j, larger] : llvm::enumerate(entries)) {
      std::optional<size_t> next = neighbourOf(larger, 1);
      if (i == j || !next)
        continue;
      const PlannedFormat &more = larger.alternatives[*next];
      int64_t added =
          larger.bytes(more, use) - larger.bytes(larger.chosen, use);
      int64_t ofWeights =
          (larger.cache ? 0 : added) - (smaller.cache ? 0 : saved);
      int64_t time = PlanEntry::time(more) - PlanEntry::time(larger.chosen) +
                     PlanEntry::time(less) - PlanEntry::time(smaller.chosen);
      if (now.weights + ofWeights > most.weights ||
          now.all + added - saved > most.all || now.time + time > most.time)
        continue;
      Move move{i, *place, j, *next,
                less.divergence - smaller.chosen.divergence + more.divergence -
                    larger.chosen.divergence};
      if ((!best || move.predicted < best->predicted) &&
          !tried.count(move.key()))
        best = move;
    }
  }
  return best;
}

PrecisionPlan MoveSearch::moved(const Move &move) const {
  PrecisionPlan changed = plan;
  std::vector<PlanEntry> entries = entriesOf(changed);
  entries[move.smaller].choose(move.toSmaller);
  entries[move.larger].choose(move.toLarger);
  return changed;
}

/// Measures a move, and takes it where it helps.
Status MoveSearch::attempt(const Move &move) {
  tried.insert(move.key());
  PrecisionPlan changed = moved(move);
  auto found = divergenceOf(changed);
  if (!found.ok())
    return found.status();
  double before = plan.moves.after;
  bool helps = *found < before * (1 - leastGain);
  if (helps) {
    auto holds = budget.holds(changed);
    if (!holds.ok())
      return holds.status();
    helps = *holds;
  }
  std::vector<PlanEntry> entries = entriesOf(changed);
  const PlanEntry &smaller = entries[move.smaller],
                  &larger = entries[move.larger];
  changed.moves.tried.push_back({smaller.name, smaller.chosen.spell(),
                                 larger.name, larger.chosen.spell(), *found,
                                 helps});
  if (!helps) {
    plan.moves.tried = std::move(changed.moves.tried);
    return Status();
  }
  for (auto [one, other] : {std::pair(&smaller, &larger), {&larger, &smaller}})
    one->reason += llvm::formatv("; exchanged with {0}: measured KL {1:F6} "
                                 "instead of {2:F6}",
                                 other->name, *found, before);
  // Not the same again, backwards.
  tried.insert({move.larger, *larger.neighbour(move.toLarger, -1), move.smaller,
                *smaller.neighbour(move.toSmaller, 1)});
  changed.moves.after = *found;
  plan = std::move(changed);
  return Status();
}

Status MoveSearch::run(const Progress &progress) {
  QOPT_RETURN_IF_ERROR(makeReference());
  auto own = divergenceOf(plan);
  if (!own.ok())
    return own.status();
  plan.moves.tokens = inputs.windows.count() * inputs.windows.length();
  plan.moves.before = plan.moves.after = *own;
  for (int64_t count = 0; count < inputs.options.moves; ++count) {
    std::optional<Move> move = nextMove();
    if (!move)
      break;
    if (progress)
      progress("exchanging formats",
               double(count) / double(inputs.options.moves));
    QOPT_RETURN_IF_ERROR(attempt(*move));
  }
  return Status();
}

Status improveByMoves(const MoveInputs &inputs, const PlanBudget &budget,
                      const Progress &progress, PrecisionPlan &plan) {
  return MoveSearch(inputs, budget, plan).run(progress);
}

} // namespace qopt::driver
