// From a plan's orders of sums to those of the host's kernels: the one for a
// launch's tokens is chosen where a step is bound.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_HOST_PROGRAM_SUMORDERS_H
#define QOPT_RUNTIME_HOST_PROGRAM_SUMORDERS_H

#include "runtime/host/SumOrder.h"
#include "runtime/host/program/HostProgram.h"

#include <optional>
#include <type_traits>

namespace qopt::runtime {

using PlanOrders = flatbuffers::Vector<flatbuffers::Offset<plan::SumOrder>>;

/// A kernel's call with the order that its arguments point to.
template <auto kernel, typename Arguments, typename Order>
class OrderedCommand : public KernelCommand<kernel, Arguments> {
public:
  std::optional<Order> order;
};

/// The order that `numbers` are; nothing where they are more or fewer.
template <typename Order>
std::optional<Order> orderOf(const flatbuffers::Vector<int64_t> *numbers) {
  Order order;
  uint32_t count = numbers ? numbers->size() : 0, index = 0;
  Order::visitFields(order, [&](const char *, auto &field) {
    if (index < count)
      field = std::remove_cvref_t<decltype(field)>(numbers->Get(index));
    ++index;
  });
  return index == count ? std::optional(order) : std::nullopt;
}

/// Sets `chosen` to the order for `tokens` tokens, where the step has any, and
/// `used` to its address.
template <typename Order>
Status chooseOrder(const StepBinder &binder, const PlanOrders *orders,
                   int64_t tokens, std::optional<Order> &chosen,
                   const Order *&used) {
  std::vector<Order> all;
  for (uint32_t i = 0; orders && i < orders->size(); ++i) {
    std::optional<Order> order = orderOf<Order>(orders->Get(i)->numbers());
    if (!order)
      return binder.fail("an order of its sums has other numbers than "
                         "expected");
    all.push_back(*order);
  }
  if (all.empty())
    return {};
  const Order *found = host::orderFor(all, tokens);
  if (!found)
    return binder.fail(
        "it has " + std::to_string(tokens) +
        " rows, for which its sums have no order of a GPU; expected at most " +
        std::to_string(all.back().mostTokens));
  chosen = *found;
  used = &*chosen;
  return {};
}

} // namespace qopt::runtime

#endif // QOPT_RUNTIME_HOST_PROGRAM_SUMORDERS_H
