// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/JointItems.h"
#include "lib/Driver/ActivationOption.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringMap.h"
#include <algorithm>
#include <cmath>
#include <tuple>

namespace qopt::driver {

using quant::SizedOption;

namespace {

/// Entries that get the same alternative: weights of one launch, or one entry.
using Group = std::vector<size_t>;

class Joining {
public:
  Joining(llvm::ArrayRef<PlanEntry> entries, const CacheUse &use,
          Objective objective)
      : entries(entries), use(use), objective(objective) {}

  std::vector<JointItem> run();

private:
  std::vector<Group> groupsOf(llvm::ArrayRef<size_t> some) const;
  JointItem itemOf(const Group &group) const;
  JointItem itemOf(size_t tensor, llvm::ArrayRef<size_t> weights) const;
  void extend(const Group &group, const PlannedFormat &reads,
              JointItem &item) const;
  JointItem itemOfCaches(llvm::ArrayRef<size_t> unit) const;
  SizedOption optionOf(size_t entry, const PlannedFormat &format) const;

  llvm::ArrayRef<PlanEntry> entries;
  const CacheUse &use;
  Objective objective;
};

} // namespace

/// Those of one launch stand together, at the place of the first.
std::vector<Group> Joining::groupsOf(llvm::ArrayRef<size_t> some) const {
  std::vector<Group> groups;
  llvm::StringMap<size_t> launches;
  for (size_t i : some) {
    if (!entries[i].launch.empty()) {
      auto [known, isNew] =
          launches.try_emplace(entries[i].launch, groups.size());
      if (!isNew) {
        groups[known->second].push_back(i);
        continue;
      }
    }
    groups.push_back({i});
  }
  return groups;
}

SizedOption Joining::optionOf(size_t entry, const PlannedFormat &format) const {
  SizedOption option{entries[entry].bytes(format, use), 0,
                     PlanEntry::time(format)};
  if (objective == Objective::Time)
    option.cost = format.seconds.value_or(0);
  else if (!entries[entry].alternatives.empty()) // else it costs what it costs
    option.cost = format.divergence;
  return option;
}

static void add(const SizedOption &one, SizedOption &sum) {
  sum.bytes += one.bytes;
  sum.cost += one.cost;
  sum.time += one.time;
}

JointItem Joining::itemOf(const Group &group) const {
  JointItem item;
  item.entries = group;
  for (size_t place = 0; place < formatsOf(entries[group.front()]).size();
       ++place) {
    SizedOption sum{0, 0, 0};
    for (size_t entry : group)
      add(optionOf(entry, formatsOf(entries[entry])[place]), sum);
    item.options.push_back(sum);
    item.picks.emplace_back(group.size(), place);
  }
  return item;
}

/// Leaves those options that no other beats.
static void prune(JointItem &item) {
  std::vector<size_t> order(item.options.size());
  for (size_t i = 0; i < order.size(); ++i)
    order[i] = i;
  llvm::sort(order, [&](size_t a, size_t b) {
    const SizedOption &x = item.options[a], &y = item.options[b];
    return std::tie(x.bytes, x.cost, x.time, a) <
           std::tie(y.bytes, y.cost, y.time, b);
  });
  JointItem left;
  for (size_t i : order) {
    const SizedOption &option = item.options[i];
    bool isBeaten = llvm::any_of(left.options, [&](const SizedOption &other) {
      return other.cost <= option.cost && other.time <= option.time;
    });
    if (isBeaten)
      continue;
    left.options.push_back(option);
    left.picks.push_back(std::move(item.picks[i]));
  }
  item.options = std::move(left.options);
  item.picks = std::move(left.picks);
}

JointItem Joining::itemOfCaches(llvm::ArrayRef<size_t> unit) const {
  JointItem item;
  item.isCache = true;
  item.entries = unit.vec();
  item.picks = cachePicks(entries, unit);
  for (const std::vector<size_t> &pick : item.picks) {
    SizedOption sum{0, 0, 0};
    for (auto [place, entry] : llvm::zip_equal(pick, unit))
      add(optionOf(entry, formatsOf(entries[entry])[place]), sum);
    item.options.push_back(sum);
  }
  if (unit.size() > 1)
    prune(item);
  return item;
}

/// A weight's format as its linear reads a tensor so; nothing where it cannot.
static std::optional<PlannedFormat> readBy(PlannedFormat format,
                                           const PlannedFormat &reads) {
  if (!readsActivations(*quant::parseFormat(format.format),
                        *quant::parseFormat(reads.format)))
    return std::nullopt;
  if (auto known = format.secondsBy.find(reads.format);
      known != format.secondsBy.end())
    format.seconds = known->second;
  return format;
}

/// Each option so far with each format of a group that can read the tensor.
void Joining::extend(const Group &group, const PlannedFormat &reads,
                     JointItem &item) const {
  JointItem longer;
  for (size_t place = 0; place < formatsOf(entries[group.front()]).size();
       ++place) {
    SizedOption more{0, 0, 0};
    bool canRead = true;
    for (size_t entry : group) {
      auto format = readBy(formatsOf(entries[entry])[place], reads);
      canRead &= format.has_value();
      if (format)
        add(optionOf(entry, *format), more);
    }
    for (size_t i = 0; canRead && i < item.options.size(); ++i) {
      longer.options.push_back(item.options[i]);
      add(more, longer.options.back());
      longer.picks.push_back(item.picks[i]);
      longer.picks.back().insert(longer.picks.back().end(), group.size(),
                                 place);
    }
  }
  item.options = std::move(longer.options);
  item.picks = std::move(longer.picks);
  prune(item);
}

JointItem Joining::itemOf(size_t tensor, llvm::ArrayRef<size_t> weights) const {
  std::vector<Group> groups = groupsOf(weights);
  JointItem item;
  item.entries = {tensor};
  for (const Group &group : groups)
    item.entries.insert(item.entries.end(), group.begin(), group.end());
  std::vector<PlannedFormat> formats = formatsOf(entries[tensor]);
  for (size_t place = 0; place < formats.size(); ++place) {
    JointItem one;
    one.options.push_back(optionOf(tensor, formats[place]));
    one.picks.push_back({place});
    for (const Group &group : groups)
      extend(group, formats[place], one);
    llvm::append_range(item.options, one.options);
    llvm::append_range(item.picks, one.picks);
  }
  prune(item);
  return item;
}

std::vector<JointItem> Joining::run() {
  llvm::StringMap<size_t> weights;
  std::vector<size_t> alone;
  std::vector<std::pair<size_t, std::vector<size_t>>> tensors;
  for (auto [i, entry] : llvm::enumerate(entries)) {
    if (!entry.cache && !entry.tensor)
      weights[entry.name] = i;
    else if (entry.tensor && !entry.alternatives.empty())
      tensors.push_back({i, {}});
  }
  std::vector<bool> isJoined(entries.size());
  for (auto &[tensor, readers] : tensors)
    for (const std::string &name : entries[tensor].tensor->weights)
      if (auto weight = weights.find(name);
          weight != weights.end() && !isJoined[weight->second]) {
        isJoined[weight->second] = true;
        readers.push_back(weight->second);
      }
  for (auto [i, entry] : llvm::enumerate(entries))
    if (!entry.cache && !entry.tensor && !isJoined[i])
      alone.push_back(i);
  std::vector<JointItem> items;
  for (const Group &group : groupsOf(alone))
    items.push_back(itemOf(group));
  for (auto &[tensor, readers] : tensors)
    items.push_back(itemOf(tensor, readers));
  for (const std::vector<size_t> &unit : cacheUnits(entries))
    items.push_back(itemOfCaches(unit));
  return items;
}

std::vector<JointItem> jointItems(llvm::ArrayRef<PlanEntry> entries,
                                  const CacheUse &use, Objective objective) {
  return Joining(entries, use, objective).run();
}

void take(const JointItem &item, size_t option,
          llvm::MutableArrayRef<PlanEntry> entries) {
  const PlanEntry &first = entries[item.entries.front()];
  for (auto [entry, place] :
       llvm::zip_equal(item.entries, item.picks[option])) {
    PlanEntry &of = entries[entry];
    if (of.alternatives.empty())
      continue;
    // Prices of a weight's formats are those beside the tensor's.
    if (first.tensor && !of.tensor)
      for (PlannedFormat &format : of.alternatives)
        if (!format.secondsBy.empty()) {
          auto known = format.secondsBy.find(first.chosen.format);
          format.seconds = known == format.secondsBy.end()
                               ? std::nullopt
                               : std::optional(known->second);
        }
    of.choose(place);
  }
}

} // namespace qopt::driver
