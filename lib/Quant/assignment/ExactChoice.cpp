// Dynamic programming with undominated states.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Quant/assignment/ExactChoice.h"
#include <algorithm>
#include <string>

namespace qopt::quant {

namespace {

/// A choice for the items so far.
struct State {
  int64_t bytes;
  double cost;
  uint32_t before; ///< its state for the items but the last
  uint32_t option; ///< of the last item
};

using Front = std::vector<State>; ///< bytes rise, costs fall

constexpr int64_t mostStates = int64_t(1) << 16;

} // namespace

static bool isSmaller(const State &a, const State &b) {
  return a.bytes != b.bytes ? a.bytes < b.bytes : a.cost < b.cost;
}

/// The states that no other beats; `states` are sorted.
static Front undominated(const std::vector<State> &states) {
  Front front;
  for (const State &state : states)
    if (front.empty() || state.cost < front.back().cost)
      front.push_back(state);
  return front;
}

/// Of states of nearly the same size the largest, which is the cheapest.
static Front thinned(Front front, int64_t budget) {
  if (int64_t(front.size()) <= mostStates)
    return front;
  int64_t width = budget / mostStates + 1;
  Front kept;
  for (const State &state : front)
    if (!kept.empty() && kept.back().bytes / width == state.bytes / width)
      kept.back() = state;
    else
      kept.push_back(state);
  return kept;
}

/// The states with one more item, of at most `room` bytes.
static Front withItem(const Front &front,
                      const std::vector<SizedOption> &options, int64_t room,
                      int64_t budget) {
  std::vector<State> merged, shifted, both;
  for (size_t option = 0; option < options.size(); ++option) {
    shifted.clear();
    for (size_t i = 0; i < front.size(); ++i) {
      int64_t bytes = front[i].bytes + options[option].bytes;
      if (bytes <= room)
        shifted.push_back({bytes, front[i].cost + options[option].cost,
                           uint32_t(i), uint32_t(option)});
    }
    both.resize(merged.size() + shifted.size());
    std::merge(merged.begin(), merged.end(), shifted.begin(), shifted.end(),
               both.begin(), isSmaller);
    merged.swap(both);
  }
  return thinned(undominated(merged), budget);
}

static int64_t smallest(const std::vector<SizedOption> &options) {
  return std::min_element(options.begin(), options.end(),
                          [](const SizedOption &a, const SizedOption &b) {
                            return a.bytes < b.bytes;
                          })
      ->bytes;
}

int64_t leastBytes(const std::vector<std::vector<SizedOption>> &items) {
  int64_t bytes = 0;
  for (const auto &options : items)
    bytes += smallest(options);
  return bytes;
}

/// What the items so far may have, with the smallest options of those behind.
static int64_t roomAt(const std::vector<std::vector<SizedOption>> &items,
                      size_t item, const std::vector<SizeBound> &bounds) {
  int64_t room = INT64_MAX;
  for (const SizeBound &bound : bounds) {
    int64_t rest = 0;
    for (size_t behind = item + 1; behind < bound.items; ++behind)
      rest += smallest(items[behind]);
    if (item < bound.items)
      room = std::min(room, bound.bytes - rest);
  }
  return room;
}

static Status checkBounds(const std::vector<std::vector<SizedOption>> &items,
                          const std::vector<SizeBound> &bounds) {
  for (const SizeBound &bound : bounds) {
    int64_t least = 0;
    for (size_t item = 0; item < bound.items; ++item)
      least += smallest(items[item]);
    if (least > bound.bytes)
      return Status(StatusCode::Infeasible,
                    "the smallest choice has " + std::to_string(least) +
                        " bytes, more than the budget of " +
                        std::to_string(bound.bytes));
  }
  return Status();
}

StatusOr<std::vector<size_t>>
chooseWithin(const std::vector<std::vector<SizedOption>> &items,
             const std::vector<SizeBound> &bounds) {
  QOPT_RETURN_IF_ERROR(checkBounds(items, bounds));
  std::vector<Front> fronts = {{{0, 0, 0, 0}}};
  for (size_t item = 0; item < items.size(); ++item)
    fronts.push_back(withItem(fronts.back(), items[item],
                              roomAt(items, item, bounds),
                              bounds.back().bytes));
  std::vector<size_t> choice(items.size());
  size_t state = fronts.back().size() - 1; // the cheapest is the largest
  for (size_t item = items.size(); item-- > 0;) {
    const State &at = fronts[item + 1][state];
    choice[item] = at.option;
    state = at.before;
  }
  return choice;
}

StatusOr<std::vector<size_t>>
chooseWithin(const std::vector<std::vector<SizedOption>> &items,
             int64_t budget) {
  return chooseWithin(items, {SizeBound{items.size(), budget}});
}

} // namespace qopt::quant
