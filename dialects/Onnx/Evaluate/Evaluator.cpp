// The walk over the graph: a stack of demanded values, each computed when
// everything that it needs is known.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Onnx/Evaluate/Evaluator.h"
#include "dialects/Onnx/OnnxOps.h"

using namespace mlir;

namespace qopt::onnx {

void Evaluator::bind(Value value, HostTensor tensor) {
  known[value] = std::move(tensor);
}

StatusOr<HostTensor> Evaluator::evaluate(Value value) {
  return satisfy({value, Level::Data});
}

StatusOr<HostTensor::Shape> Evaluator::shapeOf(Value value) {
  StatusOr<HostTensor> tensor = satisfy({value, Level::Shape});
  if (!tensor)
    return tensor.status();
  return HostTensor::Shape(tensor->shape());
}

bool Evaluator::isKnown(Demand demand) {
  if (isAbsent(demand.value)) {
    known.try_emplace(demand.value);
    return true;
  }
  auto found = known.find(demand.value);
  if (found != known.end())
    return demand.level == Level::Shape || found->second.hasData();
  auto type = dyn_cast<RankedTensorType>(demand.value.getType());
  if (demand.level == Level::Data || !type || !type.hasStaticShape())
    return false;
  std::optional<Element> element = elementOf(type.getElementType());
  if (element)
    known[demand.value] = HostTensor::shapeOnly(*element, type.getShape());
  return element.has_value();
}

StatusOr<HostTensor> Evaluator::satisfy(Demand wanted) {
  SmallVector<Demand> stack{wanted}, missing;
  while (!stack.empty()) {
    if (isKnown(stack.back())) {
      stack.pop_back();
      continue;
    }
    missing.clear();
    QOPT_RETURN_IF_ERROR(step(stack.back(), missing));
    stack.append(missing.begin(), missing.end());
  }
  return known.lookup(wanted.value);
}

Status Evaluator::step(Demand demand, SmallVectorImpl<Demand> &missing) {
  Operation *op = demand.value.getDefiningOp();
  if (!op) {
    unsigned number = cast<BlockArgument>(demand.value).getArgNumber();
    return Status(StatusCode::Unsupported, "the data of argument " +
                                               std::to_string(number) +
                                               " is needed but not given");
  }
  if (auto constant = dyn_cast<ConstantOp>(op)) {
    std::optional<HostTensor> tensor = HostTensor::ofAttr(constant.getValue());
    if (!tensor)
      return Status(StatusCode::Unsupported,
                    "a constant's data cannot be read");
    return remember(demand.value, std::move(*tensor));
  }
  return isa<IfOp>(op) ? stepBranch(demand, missing)
                       : stepKernel(demand, missing);
}

/// The condition first, then only the branch that it takes.
Status Evaluator::stepBranch(Demand demand, SmallVectorImpl<Demand> &missing) {
  auto op = cast<IfOp>(demand.value.getDefiningOp());
  Demand condition{op.getCondition(), Level::Data};
  if (!isKnown(condition)) {
    missing.push_back(condition);
    return {};
  }
  Region &branch = known.lookup(condition.value).intAt(0) ? op.getThenBranch()
                                                          : op.getElseBranch();
  unsigned number = cast<OpResult>(demand.value).getResultNumber();
  Demand inner{branch.front().getTerminator()->getOperand(number),
               demand.level};
  if (!isKnown(inner)) {
    missing.push_back(inner);
    return {};
  }
  known[demand.value] = known.lookup(inner.value);
  return {};
}

const KernelEntry *Evaluator::kernelOf(Operation *op) const {
  if (isa_and_nonnull<OnnxDialect>(op->getDialect()))
    return findKernel(op->getName().stripDialect());
  const auto *found = llvm::find_if(further, [&](const KernelEntry &entry) {
    return entry.name == op->getName().getStringRef();
  });
  return found == further.end() ? nullptr : found;
}

Status Evaluator::stepKernel(Demand demand, SmallVectorImpl<Demand> &missing) {
  Operation *op = demand.value.getDefiningOp();
  const KernelEntry *entry = kernelOf(op);
  std::string name = op->getName().getStringRef().str();
  if (!entry)
    return Status(StatusCode::Unsupported, name + " cannot be evaluated");
  bool wantsData = demand.level == Level::Data;
  SmallVector<HostTensor> inputs;
  for (auto [i, operand] : llvm::enumerate(op->getOperands())) {
    if (i < 32 && (entry->unreadOperands >> i & 1)) {
      inputs.emplace_back();
      continue;
    }
    bool decides = i < 32 && (entry->shapeOperands >> i & 1);
    bool needsData = !entry->shapesSuffice && (wantsData || decides);
    Demand input{operand, needsData ? Level::Data : Level::Shape};
    if (!isKnown(input))
      missing.push_back(input);
    else if (missing.empty())
      inputs.push_back(known.lookup(operand));
  }
  if (!missing.empty())
    return {};
  KernelResult results = entry->kernel(Call(op, inputs, wantsData, limits));
  if (!results)
    return Status(results.status().code(),
                  name + ": " + results.status().message());
  for (auto [value, tensor] : llvm::zip(op->getResults(), *results))
    QOPT_RETURN_IF_ERROR(remember(value, std::move(tensor)));
  if (isKnown(demand))
    return {};
  return Status(StatusCode::Internal, name + ": no result was computed");
}

Status Evaluator::remember(Value value, HostTensor tensor) {
  used += tensor.ownedBytes();
  if (used > limits.totalBytes)
    return Status(StatusCode::OutOfResources,
                  "the evaluation takes more than " +
                      std::to_string(limits.totalBytes) + " bytes");
  HostTensor &place = known[value];
  if (!place.hasData()) // data that was computed before stays
    place = std::move(tensor);
  return {};
}

} // namespace qopt::onnx
