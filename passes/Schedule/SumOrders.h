// The attribute `qopt.sum_orders`: the orders of an op's sums that the host
// follows, by rising number of tokens. Each is a dictionary of the numbers that
// visitFields of runtime/host/SumOrder.h names. An activation, which has no
// sums, carries an empty list where it is to follow the formula of GPUs. A
// linear whose rows have several formats carries a list for each, until the
// pass SplitLinears. The pass SelectSumOrders writes it, plans are made of it.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_PASSES_SCHEDULE_SUMORDERS_H
#define QOPT_PASSES_SCHEDULE_SUMORDERS_H

#include "runtime/host/SumOrder.h"

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Operation.h"

#include <optional>

namespace qopt::passes {

constexpr llvm::StringLiteral sumOrdersAttribute = "qopt.sum_orders";

/// Whether the op follows a GPU.
inline bool followsGpu(mlir::Operation *op) {
  return op->hasAttr(sumOrdersAttribute);
}

/// The orders of `op`; nothing where a list has other numbers than an Order.
template <typename Order>
std::optional<std::vector<Order>> sumOrdersOf(mlir::Operation *op) {
  std::vector<Order> orders;
  auto list = op->getAttrOfType<mlir::ArrayAttr>(sumOrdersAttribute);
  if (!list)
    return orders;
  for (mlir::Attribute attribute : list) {
    auto numbers = mlir::dyn_cast<mlir::DictionaryAttr>(attribute);
    bool complete = bool(numbers);
    Order order;
    Order::visitFields(order, [&](llvm::StringRef name, auto &field) {
      auto number = complete ? numbers.getAs<mlir::IntegerAttr>(name) : nullptr;
      complete &= bool(number);
      if (complete)
        field = std::remove_cvref_t<decltype(field)>(
            number.getType().isInteger(1) ? number.getValue().getZExtValue()
                                          : uint64_t(number.getInt()));
    });
    if (!complete)
      return std::nullopt;
    orders.push_back(order);
  }
  return orders;
}

} // namespace qopt::passes

#endif // QOPT_PASSES_SCHEDULE_SUMORDERS_H
