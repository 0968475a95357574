// Dynamic programming with undominated states. Where two sizes are bounded,
// Lagrange multipliers of both leave few of them: a state goes whose cost, with
// the sizes priced, is farther from the least than the best choice known.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Quant/assignment/ExactChoice.h"
#include <algorithm>
#include <cmath>
#include <iterator>
#include <map>
#include <optional>
#include <string>

namespace qopt::quant {

namespace {

using Items = std::vector<std::vector<SizedOption>>;

/// Where a choice comes from.
struct Origin {
  uint32_t before = 0; ///< its state for the items but the last
  uint32_t option = 0; ///< of the last item
};

/// A choice for the items so far.
struct State {
  int64_t first = 0, second = 0; ///< sizes; the second is not always bounded
  double cost = 0;
  double priced = 0; ///< with its sizes, where two are bounded
  Origin origin;
};

using Front = std::vector<State>; ///< in the order of isSmaller

/// The problem with prices instead of one bound on bytes and that on time: each
/// item's best option can then be chosen by itself (Fisher, The Lagrangian
/// Relaxation Method, 1981).
class Relaxation {
public:
  Relaxation(const Items &items, const std::vector<SizeBound> &bounds,
             int64_t time);

  double priced(const SizedOption &option, size_t item) const {
    return priced(option, item, ofByte, ofTime);
  }
  /// Of the first items, what no choice is below.
  double leastOf(size_t items) const { return least[items]; }
  /// How much above that a choice may be that is better than `best`.
  double gap() const { return gapWidth; }
  /// Within both bounds; empty where none was found.
  std::vector<size_t> best;

private:
  struct Sums {
    bool keepsBytes, keepsTime;
  };
  double priced(const SizedOption &option, size_t item, double byteSlope,
                double timeSlope) const {
    double ofBytes = item < byte.items ? byteSlope * double(option.bytes) : 0;
    return option.cost + ofBytes + timeSlope * double(option.time);
  }
  Sums evaluate(double byteSlope, double timeSlope);
  void keepBest(const std::vector<size_t> &choice);
  double slopeOfBytes(double timeSlope);

  const Items &items;
  const std::vector<SizeBound> &bounds;
  SizeBound byte{0, 0}; ///< of the bounds that one with a price
  int64_t mostTime;
  double ofByte = 0, ofTime = 0; ///< where `bound` is the largest
  double bound = -HUGE_VAL, bestCost = HUGE_VAL, gapWidth = HUGE_VAL;
  std::vector<double> least;
};

/// The sizes that are bounded, and the room that items leave to those behind.
class Search {
public:
  Search(const Items &items, const std::vector<SizeBound> &bounds,
         int64_t time);
  std::vector<size_t> run() const; ///< empty where nothing fits

private:
  int64_t firstOf(const SizedOption &option) const {
    return byTime ? option.time : option.bytes;
  }
  int64_t secondOf(const SizedOption &option) const {
    return byTime ? option.bytes : option.time;
  }
  int64_t bytesRoom(size_t item) const;
  int64_t timeRoom(size_t item) const;
  /// States of one item after the other: memory that is used again.
  struct Scratch {
    std::vector<State> merged, shifted, both;
  };
  Front withItem(const Front &front, size_t item, Scratch &scratch) const;
  Front undominated(const std::vector<State> &states) const;
  Front thinned(Front front) const;
  /// Of states behind `item`, those that the multipliers leave.
  Front promising(Front front, size_t item) const;

  const Items &items;
  const std::vector<SizeBound> &bounds;
  int64_t time;
  bool byTime;                       ///< time is bounded, and bytes are not
  bool hasBoth;                      ///< both are
  std::optional<Relaxation> relaxed; ///< of both
};

} // namespace

static bool isSmaller(const State &a, const State &b) {
  if (a.first != b.first)
    return a.first < b.first;
  return a.second != b.second ? a.second < b.second : a.cost < b.cost;
}

template <typename Size>
static int64_t smallest(const std::vector<SizedOption> &options, Size size) {
  int64_t least = INT64_MAX;
  for (const SizedOption &option : options)
    least = std::min(least, option.*size);
  return least;
}

template <typename Size>
static int64_t largest(const std::vector<SizedOption> &options, Size size) {
  int64_t most = 0;
  for (const SizedOption &option : options)
    most = std::max(most, option.*size);
  return most;
}

/// Exponents of 2 between which prices are sought, and in how many steps.
constexpr double lowestPrice = -200, highestPrice = 200;
constexpr int priceSteps = 50;

Relaxation::Relaxation(const Items &items, const std::vector<SizeBound> &bounds,
                       int64_t time)
    : items(items), bounds(bounds), mostTime(time) {
  double share = -1; // of a bound, beyond it
  for (const SizeBound &one : bounds) {
    int64_t most = 0;
    for (size_t item = 0; item < one.items; ++item)
      most += largest(items[item], &SizedOption::bytes);
    double beyond = double(most - one.bytes) / double(most);
    if (beyond > share) {
      share = beyond;
      byte = one;
    }
  }
  // The least price with which both bounds hold: time falls as it rises.
  double low = lowestPrice, high = highestPrice;
  if (!evaluate(slopeOfBytes(0), 0).keepsTime)
    for (int step = 0; step < priceSteps; ++step) {
      double slope = std::exp2((low + high) / 2);
      bool fits = evaluate(slopeOfBytes(slope), slope).keepsTime;
      (fits ? high : low) = (low + high) / 2;
    }
  least = {0};
  for (size_t item = 0; item < items.size(); ++item) {
    double cheapest = HUGE_VAL;
    for (const SizedOption &option : items[item])
      cheapest = std::min(cheapest, priced(option, item));
    least.push_back(least.back() + cheapest);
  }
  if (!best.empty())
    gapWidth = bestCost - bound + 1e-9 * std::abs(least.back());
}

/// Each item's best option at these prices; what is best of all is kept.
Relaxation::Sums Relaxation::evaluate(double byteSlope, double timeSlope) {
  std::vector<size_t> choice;
  int64_t bytes = 0, time = 0;
  double dual = 0;
  for (size_t item = 0; item < items.size(); ++item) {
    size_t chosen = 0;
    double cheapest = HUGE_VAL;
    for (size_t i = 0; i < items[item].size(); ++i)
      if (double cost = priced(items[item][i], item, byteSlope, timeSlope);
          cost < cheapest) {
        cheapest = cost;
        chosen = i;
      }
    choice.push_back(chosen);
    bytes += item < byte.items ? items[item][chosen].bytes : 0;
    time += items[item][chosen].time;
    dual += cheapest;
  }
  // A little less than the bound, for what sums are rounded.
  dual -= (1 + 1e-9) *
          (byteSlope * double(byte.bytes) + timeSlope * double(mostTime));
  if (dual > bound) {
    bound = dual;
    ofByte = byteSlope;
    ofTime = timeSlope;
  }
  keepBest(choice);
  return {bytes <= byte.bytes, time <= mostTime};
}

/// Where it is within all bounds.
void Relaxation::keepBest(const std::vector<size_t> &choice) {
  int64_t time = 0;
  double cost = 0;
  std::vector<int64_t> bytes(1); // of the first items
  for (size_t item = 0; item < items.size(); ++item) {
    const SizedOption &option = items[item][choice[item]];
    bytes.push_back(bytes.back() + option.bytes);
    time += option.time;
    cost += option.cost;
  }
  for (const SizeBound &one : bounds)
    if (bytes[one.items] > one.bytes)
      return;
  if (time <= mostTime && cost < bestCost) {
    bestCost = cost;
    best = choice;
  }
}

/// The least price of a byte with which the bound on bytes holds.
double Relaxation::slopeOfBytes(double timeSlope) {
  double low = lowestPrice, high = highestPrice;
  if (evaluate(0, timeSlope).keepsBytes)
    return 0;
  for (int step = 0; step < priceSteps; ++step) {
    bool fits = evaluate(std::exp2((low + high) / 2), timeSlope).keepsBytes;
    (fits ? high : low) = (low + high) / 2;
  }
  return std::exp2(high);
}

Search::Search(const Items &items, const std::vector<SizeBound> &bounds,
               int64_t time)
    : items(items), bounds(bounds), time(time) {
  int64_t longest = 0;
  for (const auto &options : items)
    longest += largest(options, &SizedOption::time);
  bool boundsBytes = false;
  for (const SizeBound &bound : bounds) {
    int64_t most = 0;
    for (size_t item = 0; item < bound.items; ++item)
      most += largest(items[item], &SizedOption::bytes);
    boundsBytes |= most > bound.bytes;
  }
  byTime = longest > time && !boundsBytes;
  hasBoth = longest > time && boundsBytes;
  if (hasBoth)
    relaxed.emplace(items, bounds, time);
}

/// The states that no other beats in what is bounded; `states` are sorted.
Front Search::undominated(const std::vector<State> &states) const {
  Front front;
  if (!hasBoth) {
    for (const State &state : states)
      if (front.empty() || state.cost < front.back().cost)
        front.push_back(state);
    return front;
  }
  std::map<int64_t, double> costs; ///< by the second size, rising; they fall
  for (const State &state : states) {
    auto behind = costs.upper_bound(state.second);
    if (behind != costs.begin() && std::prev(behind)->second <= state.cost)
      continue;
    front.push_back(state);
    auto worse = costs.lower_bound(state.second);
    while (worse != costs.end() && worse->second >= state.cost)
      worse = costs.erase(worse);
    costs.emplace(state.second, state.cost);
  }
  return front;
}

/// Of states of nearly the same size the largest, which is the cheapest.
Front Search::thinned(Front front) const {
  constexpr int64_t mostStates = int64_t(1) << 16;
  if (int64_t(front.size()) <= mostStates)
    return front;
  int64_t width = (byTime ? time : bounds.back().bytes) / mostStates + 1;
  Front kept;
  for (const State &state : front)
    if (!kept.empty() && kept.back().first / width == state.first / width)
      kept.back() = state;
    else
      kept.push_back(state);
  return kept;
}

Front Search::promising(Front front, size_t item) const {
  constexpr size_t mostStates = size_t(1) << 14;
  double most = relaxed->leastOf(item + 1) + relaxed->gap();
  std::erase_if(front, [&](const State &state) { return state.priced > most; });
  if (front.size() <= mostStates)
    return front;
  std::nth_element(
      front.begin(), front.begin() + mostStates, front.end(),
      [&](const State &a, const State &b) { return a.priced < b.priced; });
  front.resize(mostStates);
  std::sort(front.begin(), front.end(), isSmaller);
  return front;
}

/// What the items up to this one may have, with the smallest of those behind.
int64_t Search::bytesRoom(size_t item) const {
  int64_t room = INT64_MAX;
  for (const SizeBound &bound : bounds) {
    int64_t rest = 0;
    for (size_t behind = item + 1; behind < bound.items; ++behind)
      rest += smallest(items[behind], &SizedOption::bytes);
    if (item < bound.items)
      room = std::min(room, bound.bytes - rest);
  }
  return room;
}

int64_t Search::timeRoom(size_t item) const {
  int64_t rest = 0;
  for (size_t behind = item + 1; behind < items.size(); ++behind)
    rest += smallest(items[behind], &SizedOption::time);
  return time - rest;
}

/// The states with one more item that leave room to those behind.
Front Search::withItem(const Front &front, size_t item,
                       Scratch &scratch) const {
  int64_t firstRoom = byTime ? timeRoom(item) : bytesRoom(item);
  int64_t secondRoom = byTime ? bytesRoom(item) : timeRoom(item);
  auto &[merged, shifted, both] = scratch;
  merged.clear();
  for (size_t option = 0; option < items[item].size(); ++option) {
    const SizedOption &added = items[item][option];
    shifted.clear();
    for (size_t i = 0; i < front.size(); ++i) {
      State state{front[i].first + firstOf(added),
                  front[i].second + secondOf(added),
                  front[i].cost + added.cost,
                  relaxed ? front[i].priced + relaxed->priced(added, item) : 0,
                  {uint32_t(i), uint32_t(option)}};
      if (state.first <= firstRoom && state.second <= secondRoom)
        shifted.push_back(state);
    }
    both.clear();
    std::merge(merged.begin(), merged.end(), shifted.begin(), shifted.end(),
               std::back_inserter(both), isSmaller);
    merged.swap(both);
  }
  Front kept = undominated(merged);
  return hasBoth ? promising(std::move(kept), item) : thinned(std::move(kept));
}

std::vector<size_t> Search::run() const {
  std::vector<std::vector<Origin>> origins; // by item
  Front front = {State()};
  Scratch scratch;
  for (size_t item = 0; item < items.size(); ++item) {
    front = withItem(front, item, scratch);
    auto &kept = origins.emplace_back();
    for (const State &state : front)
      kept.push_back(state.origin);
  }
  auto cheapest = std::min_element(
      front.begin(), front.end(),
      [](const State &a, const State &b) { return a.cost < b.cost; });
  if (cheapest == front.end())
    return relaxed ? relaxed->best : std::vector<size_t>();
  std::vector<size_t> choice(items.size());
  auto state = size_t(cheapest - front.begin());
  for (size_t item = items.size(); item-- > 0;) {
    const Origin &origin = origins[item][state];
    choice[item] = origin.option;
    state = origin.before;
  }
  return choice;
}

int64_t leastBytes(const std::vector<std::vector<SizedOption>> &items) {
  int64_t bytes = 0;
  for (const auto &options : items)
    bytes += smallest(options, &SizedOption::bytes);
  return bytes;
}

static Status checkBounds(const Items &items,
                          const std::vector<SizeBound> &bounds, int64_t time) {
  for (const SizeBound &bound : bounds) {
    int64_t least = 0;
    for (size_t item = 0; item < bound.items; ++item)
      least += smallest(items[item], &SizedOption::bytes);
    if (least > bound.bytes)
      return Status(StatusCode::Infeasible,
                    "the smallest choice has " + std::to_string(least) +
                        " bytes, more than the budget of " +
                        std::to_string(bound.bytes));
  }
  int64_t least = 0;
  for (const auto &options : items)
    least += smallest(options, &SizedOption::time);
  if (least > time)
    return Status(StatusCode::Infeasible,
                  "the fastest choice takes " + std::to_string(least) +
                      ", more than the budget of " + std::to_string(time));
  return Status();
}

StatusOr<std::vector<size_t>>
chooseWithin(const std::vector<std::vector<SizedOption>> &items,
             const std::vector<SizeBound> &bounds, int64_t time) {
  QOPT_RETURN_IF_ERROR(checkBounds(items, bounds, time));
  std::vector<size_t> choice = Search(items, bounds, time).run();
  if (choice.size() != items.size())
    return Status(
        StatusCode::Infeasible,
        "each budget can be met, but not both: no choice of at most " +
            std::to_string(bounds.back().bytes) + " bytes takes at most " +
            std::to_string(time));
  return choice;
}

StatusOr<std::vector<size_t>>
chooseWithin(const std::vector<std::vector<SizedOption>> &items,
             int64_t budget) {
  return chooseWithin(items, {SizeBound{items.size(), budget}});
}

} // namespace qopt::quant
