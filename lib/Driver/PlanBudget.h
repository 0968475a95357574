// What formats are chosen under: stored bits of weights, the size of the file,
// the memory that a server needs, the predicted time of a decode step. Bytes of
// weights and cache, and prices of formats in a step (StepPrices.h), are
// bounded exactly; everything else of a file, of memory or of a step is what a
// compilation of the plan says it is.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_DRIVER_PLANBUDGET_H
#define QOPT_LIB_DRIVER_PLANBUDGET_H

#include "lib/Driver/CalibrationText.h"
#include "lib/Driver/PrecisionAssignment.h"
#include "qopt/Compiler.h"
#include <array>
#include <optional>

namespace qopt::driver {

/// Whether one is given: --bits, --max-size, --max-memory or --max-latency.
bool hasBudget(const CompileOptions &options);
/// Whether one of them depends on more than the weights.
bool hasMeasuredBudget(const CompileOptions &options);

/// Whether the formats of the cache are chosen, too: --max-memory counts it,
/// --max-latency the time to read it, and no --kv says them.
bool choosesCaches(const CompileOptions &options);

/// Whether the formats of what linears read are chosen, too: --max-latency
/// counts their products, and no --activations says them.
bool choosesActivations(const CompileOptions &options);

/// The options without budgets: what scores of formats depend on.
CompileOptions withoutBudgets(CompileOptions options);

/// InvalidArgument for one that cannot be read, or that the target has not.
Status checkBudgetOptions(const CompileOptions &options);

/// What of the options a choice is bounded by.
class PlanBudget {
public:
  /// `options` and `text`, which will be recorded, stay; `use` is what
  /// --max-memory counts of the cache. Of a graph it counts what samples of
  /// `text` are worked on in.
  PlanBudget(const CompileOptions &options, const CalibrationText &text,
             const CacheUse &use);

  /// Gives each weight and cache of `plan` that has alternatives the one with
  /// which all together are predicted to cost least within the budgets, and
  /// says in `plan.budget` what these were. Infeasible, with the nearest that
  /// could be met, where no plan meets one.
  Status choose(const Progress &progress, PrecisionPlan &plan);

  /// Whether another plan is within the budgets, too.
  StatusOr<bool> holds(const PrecisionPlan &plan) const;

  /// Infeasible for each budget but that on time that a plan does not meet, the
  /// smallest of all, whose artifact takes so much; a time is no matter of
  /// size.
  std::vector<Status> missedBy(const PrecisionPlan &smallest, double fileBytes,
                               double residentBytes) const;

  /// What the choice was bounded by.
  const PlanSizes &bounds() const { return chosenBounds; }
  const CacheUse &cacheUse() const { return use; }

private:
  /// What a compilation says of a plan.
  struct Measured {
    double fileBytes = 0, residentBytes = 0, stepSeconds = 0;
  };
  /// A budget that depends on more than bytes of weights and cache.
  struct Limit {
    const char *option;
    std::string given;
    double most;
    double Measured::*value;
    int64_t PlanSizes::*part; ///< what it bounds
    const char *unit;         ///< of people's words

    double of(const Measured &found) const { return found.*value; }
    bool isTime() const { return value == &Measured::stepSeconds; }
    std::string spell(double amount) const;
    /// Infeasible: the smallest or fastest plan has so much.
    Status refusal(double least) const;
  };
  struct Bracket;
  using Brackets = std::array<Bracket, 3>; ///< of weights, of all, of time

  std::string spellBudgets() const;
  /// As choose, among the alternatives of `plan`.
  Status chooseAmong(const Progress &progress, PrecisionPlan &plan);
  Status chooseWithinLimits(PrecisionPlan &plan, const PlanSizes &least,
                            const PlanSizes &most);
  Brackets bracketsOf(const PlanSizes &least, const PlanSizes &most) const;
  Status startWithBoth(PrecisionPlan &plan, Brackets &brackets) const;
  Status take(const Measured &found, const PlanSizes &sizes, bool refuses,
              Brackets &brackets) const;
  StatusOr<Measured> measure(const PrecisionPlan &plan) const;
  StatusOr<std::optional<Measured>> check(const PrecisionPlan &plan,
                                          const CompileOptions &options) const;

  const CompileOptions &asked;
  const CalibrationText &text;
  CacheUse use;
  std::vector<Limit> limits;
  PlanSizes chosenBounds;
};

} // namespace qopt::driver

#endif // QOPT_LIB_DRIVER_PLANBUDGET_H
