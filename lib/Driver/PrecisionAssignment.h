// Which format each weight and cache gets under budgets: the sum of what the
// formats are predicted to cost is the objective (FormatScores.h,
// CacheScores.h), and its least value within bounds on bytes and on the time of
// a step (StepPrices.h) is exact (lib/Quant/assignment).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_DRIVER_PRECISIONASSIGNMENT_H
#define QOPT_LIB_DRIVER_PRECISIONASSIGNMENT_H

#include "lib/Driver/PrecisionPlan.h"
#include "lib/Quant/Format.h"
#include "mlir/IR/BuiltinOps.h"
#include "qopt/CompileOptions.h"
#include <optional>
#include <string>
#include <vector>

namespace qopt::driver {

/// The formats that a target has fast kernels for, from small to large.
std::vector<quant::Format> usualCandidates();

/// Codes, scales and zero points of a matrix.
int64_t storedBytes(const quant::Format &format, int64_t rows, int64_t columns);

/// Gives a weight one format, for a reason that is no choice.
void fixFormat(PlannedWeight &weight, const std::string &format,
               std::string reason);

/// Every weight of linears and embeddings of a module, in the order of their
/// use, in the format that it has there.
std::vector<PlannedWeight> listWeights(mlir::ModuleOp module);

/// Bytes of a position, with its part of scales; without what pages round up.
int64_t positionBytes(const PlannedCache &cache, const quant::Format &format);

/// The keys and values of every layer of a decoder's cache, in a module as the
/// stage quantize has left it; `raised` is the same model ahead of that stage.
/// Nothing of a graph.
std::vector<PlannedCache>
listCaches(mlir::ModuleOp module, mlir::ModuleOp raised, TargetDevice target);

/// What a cache is to hold at once.
struct CacheUse {
  int64_t sequences = 1;
  int64_t positions = 0; ///< of all sequences
};

/// Whether two formats of caches keep the same latest and first positions.
bool keepAlike(const PlannedFormat &one, const PlannedFormat &other);

/// What is bounded, each a sum over entries.
struct PlanSizes {
  int64_t weights = 0; ///< bytes
  int64_t all = 0;     ///< bytes, with the cache
  int64_t time = 0;    ///< picoseconds of a step; 0 where nothing is predicted
};

/// Of a plan; the least and the most of each that plans have, which are not all
/// those of one plan.
PlanSizes sizesOf(const PrecisionPlan &plan, const CacheUse &use);
PlanSizes leastSizes(const PrecisionPlan &plan, const CacheUse &use);
PlanSizes mostSizes(const PrecisionPlan &plan, const CacheUse &use);

/// What plans are to have little of.
enum class Objective { Divergence, Time };

/// Chooses an alternative of each weight, tensor and cache that has some, with
/// which all together are predicted to cost least within `bounds`, and says
/// why; weights of one launch get the same, and of a tensor in codes all
/// readers are multiplied by such (JointItems.h). Infeasible, with the plan as
/// it was, where none is within them.
Status chooseFormats(PrecisionPlan &plan, const CacheUse &use,
                     const PlanSizes &bounds,
                     Objective objective = Objective::Divergence);

/// A weight, a tensor or a cache of a plan, for who treats them alike.
struct PlanEntry {
  const std::string &name;
  PlannedFormat &chosen;
  std::string &reason;
  std::vector<PlannedFormat> &alternatives;
  const PlannedCache *cache = nullptr;       ///< null of others
  const PlannedActivation *tensor = nullptr; ///< null of others
  std::string launch = "";                   ///< of a weight (PlannedWeight)

  /// Bytes in memory that a budget counts; none of a tensor's.
  int64_t bytes(const PlannedFormat &format, const CacheUse &use) const;
  /// Picoseconds of a step.
  static int64_t time(const PlannedFormat &format);
  /// Takes an alternative, and says what its neighbours would cost.
  void choose(size_t alternative);
  /// The place of what was chosen; of an entry without alternatives 0.
  size_t place() const;
  /// That of the next larger alternative, or with `up` −1 of the next smaller
  /// one: of a cache, of those that keep the same positions. Nothing: there is
  /// none.
  std::optional<size_t> neighbour(size_t place, int up) const;
};

/// The weights, then the caches.
std::vector<PlanEntry> entriesOf(PrecisionPlan &plan);

/// An entry's alternatives; of one that is fixed its format alone.
std::vector<PlannedFormat> formatsOf(const PlanEntry &entry);

/// Caches by what is chosen together: the keys and the values of a layer, which
/// keep the same positions, where one of them could keep others; else each
/// alone. Places among `entries`.
std::vector<std::vector<size_t>> cacheUnits(llvm::ArrayRef<PlanEntry> entries);

/// Leaves those alternatives of caches with which the other part of their layer
/// can keep the same positions. Infeasible where there are none.
Status dropUnpaired(std::vector<PlannedCache> &caches);

/// What such a unit can be: of each entry the place of one of its formats, with
/// the same positions.
std::vector<std::vector<size_t>> cachePicks(llvm::ArrayRef<PlanEntry> entries,
                                            llvm::ArrayRef<size_t> unit);

} // namespace qopt::driver

#endif // QOPT_LIB_DRIVER_PRECISIONASSIGNMENT_H
