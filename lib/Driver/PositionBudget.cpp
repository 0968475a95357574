// Budgets on plans whose caches may keep latest positions in f16. A step has
// room for those of one layer, whichever keeps most, and all layers use it in
// turn: no sum over entries has these bytes. So a plan is searched for each
// number of positions that may be kept at most, beside which they are the same,
// and the best is taken.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/PlanBudget.h"
#include "llvm/ADT/STLExtras.h"
#include <optional>
#include <set>

namespace qopt::driver {

/// The numbers of latest positions that some alternative keeps.
static std::set<int64_t> keptPositions(const PrecisionPlan &plan) {
  std::set<int64_t> kept;
  for (const PlannedCache &cache : plan.caches)
    for (const PlannedFormat &format : cache.alternatives)
      kept.insert(format.recent);
  return kept;
}

/// Leaves the alternatives that keep at most `most` latest positions.
/// Infeasible where a cache is left without.
static Status keepAtMost(int64_t most, std::vector<PlannedCache> &caches) {
  for (PlannedCache &cache : caches) {
    bool hasSome = !cache.alternatives.empty();
    llvm::erase_if(cache.alternatives, [&](const PlannedFormat &format) {
      return format.recent > most;
    });
    if (hasSome && cache.alternatives.empty())
      return Status(StatusCode::Infeasible,
                    "\"" + cache.name + "\" has to keep more positions");
  }
  return dropUnpaired(caches);
}

Status PlanBudget::choose(const Progress &progress, PrecisionPlan &plan) {
  plan.budget = spellBudgets();
  std::set<int64_t> kept = keptPositions(plan);
  if (limits.empty() || kept.size() < 2)
    return chooseAmong(progress, plan);
  std::optional<PrecisionPlan> best;
  PlanSizes bounds;
  Status missed;
  for (int64_t most : kept) {
    PrecisionPlan some = plan;
    Status status = keepAtMost(most, some.caches);
    if (status.ok())
      status = chooseAmong(progress, some);
    if (!status.ok() && status.code() != StatusCode::Infeasible)
      return status;
    if (!status.ok()) {
      missed = missed.ok() ? status : missed;
    } else if (!best || some.divergence() < best->divergence()) {
      best = std::move(some);
      bounds = chosenBounds;
    }
  }
  if (!best)
    return missed;
  for (auto [own, all] : llvm::zip_equal(best->caches, plan.caches))
    own.alternatives = std::move(all.alternatives);
  plan = std::move(*best);
  chosenBounds = bounds;
  return Status();
}

} // namespace qopt::driver
