// The step of each qopt op: its operands and attributes, field by field.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Onnx/NodeLocation.h"
#include "dialects/QOpt/KeyRotation.h"
#include "lib/Driver/ArtifactConstants.h"
#include "lib/Driver/CudaSteps.h"
#include "lib/Driver/PlanBuilder.h"
#include "passes/Schedule/SumOrders.h"
#include "runtime/plan/PlanFormat.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace qopt::driver {

template <typename Table> Table &PlanBuilder::addStep(Operation *op) {
  auto step = std::make_unique<plan::StepT>();
  step->origin = onnx::nodeName(op->getLoc());
  Table table;
  step->operation.Set(std::move(table));
  plan->steps.push_back(std::move(step));
  return *static_cast<Table *>(plan->steps.back()->operation.value);
}

template plan::CopyT &PlanBuilder::addStep<plan::CopyT>(Operation *);
template plan::LaunchT &PlanBuilder::addStep<plan::LaunchT>(Operation *);
template plan::CastT &PlanBuilder::addStep<plan::CastT>(Operation *);

static plan::ActivationKind kindOf(ir::Function function) {
  switch (function) {
  case ir::Function::Silu:
    return plan::ActivationKind::Silu;
  case ir::Function::GeluErf:
    return plan::ActivationKind::GeluErf;
  case ir::Function::GeluTanh:
    return plan::ActivationKind::GeluTanh;
  case ir::Function::GeluQuick:
    return plan::ActivationKind::GeluQuick;
  case ir::Function::Relu:
    return plan::ActivationKind::Relu;
  case ir::Function::Tanh:
    return plan::ActivationKind::Tanh;
  case ir::Function::Sigmoid:
    return plan::ActivationKind::Sigmoid;
  }
  llvm_unreachable("every function has a kind");
}

/// Fills the step of one op. Operands are looked up before the step is added,
/// so that constants and views come first.
class KernelSteps {
public:
  explicit KernelSteps(PlanBuilder &plan) : b(plan) {}

  LogicalResult add(ir::LinearOp op) {
    FailureOr<uint32_t> weight = b.weightOf(op.getWeight());
    FailureOr<int32_t> bias = optional(op.getBias());
    if (failed(weight) || failed(bias))
      return failure();
    ir::WeightType type = op.getWeight().getType();
    auto &step = b.addStep<plan::LinearT>(op);
    step.x = b.valueOf(op.getX());
    step.weight = *weight;
    step.bias = *bias;
    if (op.getResidual())
      step.residual = b.valueOf(op.getResidual());
    if (op.getShare()) {
      step.share = b.valueOf(op.getShare());
      step.gathered = b.newValue(op.getX(), plan::Storage::Arena);
      if (op.getTaken())
        step.taken = float(op.getTaken()->convertToDouble());
    }
    step.y = b.valueOf(op.getResult());
    step.n = type.getRows();
    step.k = type.getColumns();
    step.format = runtime::fromFormat(type.getFormat());
    step.layout = planLayout(type.getLayout());
    return addOrders<host::LinearSumOrder>(op, step.orders);
  }

  LogicalResult add(ir::EmbeddingOp op) {
    FailureOr<uint32_t> weight = b.weightOf(op.getWeight());
    if (failed(weight))
      return failure();
    ir::WeightType type = op.getWeight().getType();
    auto &step = b.addStep<plan::EmbeddingT>(op);
    step.ids = b.valueOf(op.getIds());
    step.weight = *weight;
    step.y = b.valueOf(op.getResult());
    step.rows = type.getRows();
    step.columns = type.getColumns();
    step.format = runtime::fromFormat(type.getFormat());
    step.layout = planLayout(type.getLayout());
    return success();
  }

  /// Heads that have a scale of a norm each.
  static uint32_t headsOf(Value scale) {
    auto type = cast<ShapedType>(scale.getType());
    return type.getRank() > 1 ? uint32_t(type.getDimSize(0)) : 1;
  }

  LogicalResult add(ir::RmsNormOp op) {
    FailureOr<uint32_t> scale = b.widenedConstant(op.getScale());
    if (failed(scale))
      return failure();
    auto &step = b.addStep<plan::RmsNormT>(op);
    step.x = b.valueOf(op.getX());
    step.scale = *scale;
    step.heads = headsOf(op.getScale());
    step.y = b.valueOf(op.getResult());
    step.epsilon = op.getEpsilon().convertToFloat();
    return addOrders<host::NormSumOrder>(op, step.orders);
  }

  LogicalResult add(ir::LayerNormOp op) {
    FailureOr<uint32_t> scale = b.widenedConstant(op.getScale());
    FailureOr<int32_t> bias = optional(op.getBias());
    if (failed(scale) || failed(bias))
      return failure();
    auto &step = b.addStep<plan::LayerNormT>(op);
    step.x = b.valueOf(op.getX());
    step.scale = *scale;
    step.heads = headsOf(op.getScale());
    step.bias = *bias;
    step.y = b.valueOf(op.getResult());
    step.epsilon = op.getEpsilon().convertToFloat();
    return addOrders<host::NormSumOrder>(op, step.orders);
  }

  LogicalResult add(ir::QuantizeOp op) {
    auto &step = b.addStep<plan::QuantizeActivationsT>(op);
    step.x = b.valueOf(op.getX());
    step.y = b.valueOf(op.getResult());
    return success();
  }

  LogicalResult add(ir::FromCodesOp op) {
    uint32_t codes = b.valueOf(op.getCodes()), scale = b.valueOf(op.getScale()),
             zero = b.valueOf(op.getZero());
    auto &step = b.addStep<plan::FromCodesT>(op);
    step.x = codes;
    step.scale = scale;
    step.zero = zero;
    step.y = b.valueOf(op.getResult());
    return success();
  }

  LogicalResult add(ir::DequantizeOp op) {
    auto &step = b.addStep<plan::DequantizeT>(op);
    step.x = b.valueOf(op.getX());
    step.y = b.valueOf(op.getResult());
    return success();
  }

  LogicalResult add(ir::RotaryTableOp op) {
    FailureOr<uint32_t> frequencies = b.widenedConstant(op.getInvFreq());
    if (failed(frequencies))
      return failure();
    auto &step = b.addStep<plan::RotaryTableT>(op);
    step.positions = b.valueOf(op.getPositions());
    step.inverse_frequencies = *frequencies;
    step.cos = b.valueOf(op.getCos());
    step.sin = b.valueOf(op.getSin());
    step.scale = op.getScale().convertToFloat();
    return success();
  }

  LogicalResult add(ir::RotaryOp op) {
    auto x = cast<RankedTensorType>(op.getX().getType());
    auto cos = cast<RankedTensorType>(op.getCos().getType());
    auto &step = b.addStep<plan::RotaryT>(op);
    step.x = b.valueOf(op.getX());
    step.cos = b.valueOf(op.getCos());
    step.sin = b.valueOf(op.getSin());
    step.y = b.valueOf(op.getResult());
    step.heads = x.getDimSize(x.getRank() - 2);
    step.head_size = x.getShape().back();
    step.rotated = 2 * cos.getShape().back();
    step.interleaved = op.getInterleaved();
    return success();
  }

  LogicalResult add(ir::PositionsOp op) {
    b.addStep<plan::PositionsT>(op).y = b.valueOf(op.getResult());
    return success();
  }

  LogicalResult add(ir::SelectRowsOp op) {
    auto &step = b.addStep<plan::SelectRowsT>(op);
    step.x = b.valueOf(op.getX());
    step.y = b.valueOf(op.getResult());
    return success();
  }

  LogicalResult add(ir::ActivationOp op) {
    auto &step = b.addStep<plan::ActivationT>(op);
    step.x = b.valueOf(op.getX());
    step.y = b.valueOf(op.getResult());
    step.kind = kindOf(op.getFunction());
    step.gpu_formula = passes::followsGpu(op);
    return success();
  }

  LogicalResult add(ir::GatedActivationOp op) {
    auto &step = b.addStep<plan::GatedActivationT>(op);
    step.gate = b.valueOf(op.getGate());
    if (op.getUp())
      step.up = b.valueOf(op.getUp());
    step.y = b.valueOf(op.getResult());
    step.kind = kindOf(op.getFunction());
    step.gpu_formula = passes::followsGpu(op);
    return success();
  }

  LogicalResult add(ir::AttentionOp op) {
    auto &step = b.addStep<plan::AttentionT>(op);
    fillAttention(op, step);
    step.y = b.valueOf(op.getResult());
    return success();
  }

  LogicalResult add(ir::AttentionGradientOp op) {
    auto &step = b.addStep<plan::AttentionGradientT>(op);
    fillAttention(op, step);
    step.y = b.valueOf(op.getY());
    step.gradient = b.valueOf(op.getGradient());
    step.q_gradient = b.valueOf(op.getQGradient());
    step.k_gradient = b.valueOf(op.getKGradient());
    step.v_gradient = b.valueOf(op.getVGradient());
    step.distance = uint32_t(op.getDistance().value_or(0));
    return success();
  }

  LogicalResult add(ir::KVAppendOp op) {
    auto &step = b.addStep<plan::KvAppendT>(op);
    step.k = b.valueOf(op.getK());
    step.v = b.valueOf(op.getV());
    step.layer = op.getLayer();
    return success();
  }

  LogicalResult add(ir::CachedAttentionOp op) {
    int32_t slopes = -1;
    if (auto values = op.getAlibiSlopes()) {
      FailureOr<uint32_t> constant = b.floatVector(*values);
      if (failed(constant))
        return failure();
      slopes = *constant;
    }
    int32_t biases = -1;
    if (auto values = op.getDistanceBiases()) {
      FailureOr<uint32_t> constant = b.floatVector(*values);
      if (failed(constant))
        return failure();
      auto heads = cast<RankedTensorType>(op.getQ().getType()).getDimSize(1);
      b.plan->values[*constant]->shape = {
          b.symbols.constant(heads),
          b.symbols.constant(int64_t(values->size()) / heads)};
      biases = int32_t(*constant);
    }
    int32_t frequencies = -1;
    std::optional<ir::KeyRotation> rotation = ir::keyRotationOf(op);
    if (rotation) {
      FailureOr<uint32_t> constant = b.floatVector(rotation->frequencies);
      if (failed(constant))
        return failure();
      frequencies = *constant;
    }
    auto &step = b.addStep<plan::CachedAttentionT>(op);
    step.q = b.valueOf(op.getQ());
    step.y = b.valueOf(op.getResult());
    step.layer = op.getLayer();
    step.heads = cast<RankedTensorType>(op.getQ().getType()).getDimSize(1);
    step.scale = op.getScale().convertToFloat();
    step.window = op.getWindow().value_or(0);
    if (op.getSoftcap())
      step.softcap = op.getSoftcap()->convertToFloat();
    step.alibi_slopes = slopes;
    step.distance_biases = biases;
    step.source = op.getSource();
    step.key_frequencies = frequencies;
    if (rotation) {
      step.key_scale = rotation->scale;
      step.key_interleaved = rotation->interleaved;
    }
    return addOrders<host::AttentionSumOrder>(op, step.orders);
  }

  /// The result is another name of the indices.
  LogicalResult add(ir::CheckIndicesOp op) {
    std::vector<uint32_t> limits;
    for (Value limit : op.getLimits()) {
      FailureOr<uint32_t> id = b.symbols.of(limit);
      if (failed(id))
        return op.emitError("a limit is no expression of input sizes");
      limits.push_back(*id);
    }
    auto &step = b.addStep<plan::CheckIndicesT>(op);
    step.x = b.valueOf(op.getIndices());
    step.limits = std::move(limits);
    step.from_zero = op.getFromZero();
    return b.addView(op);
  }

  LogicalResult add(ir::GeneratedOp op) {
    StringRef symbol = op.getKernel().getLeafReference();
    auto extent = b.code.extents.find(symbol);
    if (extent == b.code.extents.end())
      return op.emitError("there is no machine code for ") << op.getKernel();
    SmallVector<uint32_t> sizes;
    for (Value size : op.getSizes()) {
      FailureOr<uint32_t> id = b.symbols.of(size);
      if (failed(id))
        return op.emitError("a size is no expression of input sizes");
      sizes.push_back(*id);
    }
    FailureOr<uint32_t> range =
        b.symbols.of(extent->second.getResult(0), sizes, /*dims=*/0);
    if (failed(range))
      return op.emitError("its range is no expression of its sizes");
    auto &step = b.addStep<plan::GeneratedT>(op);
    step.segment = b.code.segment;
    step.symbol = symbol.str();
    for (Value input : op.getInputs())
      step.operands.push_back(b.valueOf(input));
    for (Value output : op.getOutputs())
      step.outputs.push_back(b.valueOf(output));
    step.indices.assign(sizes.begin(), sizes.end());
    step.extent = *range;
    return success();
  }

  /// One launch, or the ops of a region one by one: its meaning.
  LogicalResult add(ir::FusedOp op) {
    Block &body = op.getBody().front();
    for (auto [argument, input] :
         llvm::zip_equal(body.getArguments(), op.getInputs()))
      b.shareValue(argument, input);
    if (op.getKernel()) {
      if (failed(addRotaryAppend(op)))
        return failure();
    } else {
      for (Operation &inner : body.without_terminator())
        if (failed(b.addWithSizes(&inner)))
          return failure();
    }
    for (auto [result, value] :
         llvm::zip_equal(op.getOutputs(), body.getTerminator()->getOperands()))
      b.shareValue(result, value);
    return success();
  }

private:
  /// The orders of the op's sums, if it follows a GPU.
  template <typename Order, typename Orders>
  LogicalResult addOrders(Operation *op, Orders &orders) {
    auto found = passes::sumOrdersOf<Order>(op);
    if (!found)
      return op->emitError("its orders of sums have other numbers than "
                           "expected");
    for (const Order &from : *found) {
      auto order = std::make_unique<plan::SumOrderT>();
      Order::visitFields(from, [&](StringRef, auto &field) {
        order->numbers.push_back(int64_t(field));
      });
      orders.push_back(std::move(order));
    }
    return success();
  }

  /// What attention and its gradient have in common.
  template <typename Op, typename Step> void fillAttention(Op op, Step &step) {
    step.q = b.valueOf(op.getQ());
    step.k = b.valueOf(op.getK());
    step.v = b.valueOf(op.getV());
    if (op.getMask())
      step.mask = b.valueOf(op.getMask());
    step.scale = op.getScale().convertToFloat();
    step.causal = op.getCausal();
    step.window = op.getWindow().value_or(0);
    if (op.getSoftcap())
      step.softcap = op.getSoftcap()->convertToFloat();
  }

  LogicalResult addRotaryAppend(ir::FusedOp op) {
    // (C4) of qopt.fused: the verifier has seen that the body fits.
    ir::RotaryAppendBody body = *ir::matchRotaryAppend(op);
    if (body.queries && failed(b.resolveSizes(body.queries)))
      return failure();
    auto cos = cast<RankedTensorType>(body.keys.getCos().getType());
    auto &step = b.addStep<plan::RotaryAppendT>(op);
    if (body.queries) {
      auto queries = cast<RankedTensorType>(body.queries.getX().getType());
      step.q = b.valueOf(body.queries.getX());
      step.y = b.valueOf(body.queries.getResult());
      step.heads = queries.getDimSize(1);
    }
    step.k = b.valueOf(body.keys.getX());
    step.v = b.valueOf(body.append.getV());
    step.cos = b.valueOf(body.keys.getCos());
    step.sin = b.valueOf(body.keys.getSin());
    step.layer = body.append.getLayer();
    step.rotated = 2 * cos.getShape().back();
    step.interleaved = body.keys.getInterleaved();
    return success();
  }

  FailureOr<int32_t> optional(Value value) {
    if (!value)
      return -1;
    FailureOr<uint32_t> id = b.widenedConstant(value);
    if (failed(id))
      return failure();
    return static_cast<int32_t>(*id);
  }

  PlanBuilder &b;
};

LogicalResult PlanBuilder::addKernel(Operation *op) {
  if (kernels)
    return CudaSteps(*this, *kernels).add(op);
  KernelSteps steps(*this);
  return llvm::TypeSwitch<Operation *, LogicalResult>(op)
      .Case<ir::LinearOp, ir::EmbeddingOp, ir::RmsNormOp, ir::LayerNormOp,
            ir::QuantizeOp, ir::FromCodesOp, ir::DequantizeOp,
            ir::RotaryTableOp, ir::RotaryOp, ir::PositionsOp, ir::SelectRowsOp,
            ir::ActivationOp, ir::GatedActivationOp, ir::AttentionOp,
            ir::AttentionGradientOp, ir::KVAppendOp, ir::CachedAttentionOp,
            ir::CheckIndicesOp, ir::GeneratedOp, ir::FusedOp>(
          [&](auto kernel) { return steps.add(kernel); })
      .Default([](Operation *other) {
        return other->emitError("no kernel runs \"")
               << other->getName() << "\" on the host";
      });
}

} // namespace qopt::driver
