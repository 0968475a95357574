// The host computes what a GPU would, op by op: what a launch does besides its
// product is said by the order of each op's sums, and the launch itself is no
// longer needed.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Onnx/OnnxDialect.h"
#include "dialects/Onnx/OnnxOps.h"
#include "lib/Kernels/AttentionDecode/AttentionDecodeOrder.h"
#include "lib/Kernels/Gemm/GemmOrder.h"
#include "lib/Kernels/Norm/NormOrder.h"
#include "lib/Kernels/SkinnyLinear/SkinnyLinearOrder.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"
#include "passes/Quantize/ActivationTypes.h"
#include "passes/Schedule/KernelProblems.h"
#include "passes/Schedule/Passes.h"
#include "passes/Schedule/SelectedKernels.h"
#include "passes/Schedule/SumOrders.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/FormatVariadic.h"

namespace qopt::passes {
#define GEN_PASS_DEF_SELECTSUMORDERSPASS
#include "passes/Schedule/Passes.h.inc"
} // namespace qopt::passes

using namespace mlir;
using namespace qopt;
using namespace qopt::kernels;
using ir::KernelFamily;
using qopt::passes::problemOf;

namespace {

/// A kernel of skinny_linear or gemm for launches of some tokens.
template <typename Problem, typename Schedule> struct LinearKernel {
  Problem problem;
  Schedule schedule;
  int64_t most; ///< tokens; 0: any number
};
using SkinnyKernel =
    LinearKernel<skinny_linear::Problem, skinny_linear::Schedule>;
using GemmKernel = LinearKernel<gemm::Problem, gemm::Schedule>;

class OrderSelector {
public:
  explicit OrderSelector(const target::Target &target) : target(target) {}

  LogicalResult select(Operation *op) {
    return llvm::TypeSwitch<Operation *, LogicalResult>(op)
        .Case<ir::LinearOp, ir::CachedAttentionOp>(
            [&](auto op) { return selectFor(op); })
        .Case<ir::RmsNormOp, ir::LayerNormOp>(
            [&](auto norm) { return selectForNorm(norm); })
        .Case<ir::ActivationOp, ir::GatedActivationOp>([&](auto function) {
          set<host::NormSumOrder>(function, {}); // a formula, no sums
          return success();
        })
        .Default([](Operation *) { return success(); });
  }

private:
  /// The kernels of a linear, by rising number of tokens.
  struct LinearKernels {
    std::vector<SkinnyKernel> few;
    std::vector<GemmKernel> many;
  };

  FailureOr<LinearKernels> kernelsOf(ir::LinearOp op) {
    auto selected = passes::selectedKernels(op, target);
    if (failed(selected))
      return failure();
    LinearKernels kernels;
    for (ir::KernelAttr kernel : *selected) {
      bool added = kernel.getFamily() == KernelFamily::SkinnyLinear
                       ? add(kernels.few, op, kernel)
                       : add(kernels.many, op, kernel);
      if (!added)
        return failure();
    }
    return kernels;
  }

  template <typename Problem, typename Schedule>
  bool add(std::vector<LinearKernel<Problem, Schedule>> &kernels,
           ir::LinearOp op, ir::KernelAttr kernel) {
    auto schedule = passes::scheduleOf<Schedule>(op, kernel);
    if (failed(schedule))
      return false;
    int64_t most = kernel.getMost();
    kernels.push_back({{problemOf(op, most)}, *schedule, most});
    return true;
  }

  LogicalResult selectFor(ir::LinearOp op) {
    auto kernels = kernelsOf(op);
    if (failed(kernels))
      return failure();
    if (kernels->few.front().problem.hasCodes())
      return success(); // exact
    SmallVector<Attribute> lists;
    for (size_t i = 0; i < op.getWeight().getType().getRanges().size(); ++i)
      lists.push_back(listOf(ordersOf(*kernels, i), op->getContext()));
    op->setAttr(passes::sumOrdersAttribute,
                lists.size() == 1 ? lists.front()
                                  : ArrayAttr::get(op->getContext(), lists));
    return success();
  }

  /// Of the rows of a segment.
  static std::vector<host::LinearSumOrder>
  ordersOf(const LinearKernels &kernels, size_t segment) {
    std::vector<host::LinearSumOrder> orders;
    for (const SkinnyKernel &kernel : kernels.few)
      orders.push_back(sumOrderOf(kernel.problem, kernel.schedule, segment));
    for (const GemmKernel &kernel : kernels.many)
      orders.push_back(
          sumOrderOf(kernel.problem, kernel.schedule, segment, kernel.most));
    return orders;
  }

  static std::optional<ir::RotaryAppendBody>
  appendOf(ir::FusedOp region, const std::optional<ir::LinearBody> &body) {
    if (body)
      return body->append;
    return region ? ir::matchRotaryAppend(region) : std::nullopt;
  }

  /// A warp has a head, a lane as many channels at once whichever launch
  /// appends: the columns of heads begin and end with heads.
  void selectForHeads(Operation *op, const ir::RotaryAppendBody &append) {
    int width = widthOf(problemOf(append), target);
    set(op, std::vector{host::NormSumOrder{0, 32, width, false}});
  }

  /// In the launch of a linear for some tokens, one of its own for others.
  LogicalResult selectForNorm(Operation *op) {
    auto region = op->getParentOfType<ir::FusedOp>();
    std::optional<ir::LinearBody> body;
    if (region)
      body = ir::matchLinear(region);
    if (std::optional<ir::RotaryAppendBody> append = appendOf(region, body);
        append && (append->queryNorm == op || append->keyNorm == op)) {
      selectForHeads(op, *append);
      return success();
    }
    bool summed = body && body->sum && body->sum->norm == op;
    bool ahead = summed || (body && body->norm == op);
    auto selected = passes::selectedKernels(op, target);
    if (failed(selected))
      return failure();
    auto schedule = passes::scheduleOf<norm::Schedule>(op, selected->front());
    if (failed(schedule))
      return failure();
    std::vector<host::NormSumOrder> orders;
    if (ahead && region.getKernel() == ir::FusedKernel::Linear) {
      auto kernels = kernelsOf(body->linear);
      if (failed(kernels))
        return failure();
      for (const SkinnyKernel &kernel : kernels->few) {
        auto order = normOrderOf(kernel.problem, kernel.schedule, summed);
        orders.push_back(order ? *order : norm::sumOrderOf(*schedule));
        orders.back().mostTokens = kernel.most;
      }
    }
    orders.push_back(norm::sumOrderOf(*schedule));
    set(op, orders);
    return success();
  }

  LogicalResult selectFor(ir::CachedAttentionOp op) {
    attention_decode::Problem problem = problemOf(op);
    auto selected = passes::selectedKernels(op, target);
    if (failed(selected))
      return failure();
    std::vector<host::AttentionSumOrder> orders;
    for (ir::KernelAttr kernel : *selected) {
      auto schedule =
          passes::scheduleOf<attention_decode::Schedule>(op, kernel);
      if (failed(schedule))
        return failure();
      if (kernel.getFamily() == KernelFamily::AttentionPrefill)
        schedule->division = attention_decode::Division::Rows;
      orders.push_back(
          sumOrderOf(problem, *schedule, kernel.getMost(), target));
    }
    set(op, orders);
    return success();
  }

  template <typename Order>
  static Attribute listOf(const std::vector<Order> &orders,
                          MLIRContext *context) {
    SmallVector<Attribute> list;
    for (const Order &order : orders)
      list.push_back(passes::numbersOf(order, context));
    return ArrayAttr::get(context, list);
  }

  template <typename Order>
  static void set(Operation *op, const std::vector<Order> &orders) {
    op->setAttr(passes::sumOrdersAttribute, listOf(orders, op->getContext()));
  }

  const target::Target &target;
};

/// Whether an op's numbers are a GPU's whoever computes them: nothing is
/// summed, and each is rounded once from exact ones.
bool isExact(Operation *op) {
  if (op->hasTrait<OpTrait::ConstantLike>() || passes::onlyMoves(op))
    return true;
  return isa<onnx::AbsOp, onnx::AddOp, onnx::CastOp, onnx::CeilOp, onnx::ClipOp,
             onnx::ConstantOfShapeOp, onnx::DivOp, onnx::FloorOp,
             onnx::GatherElementsOp, onnx::GatherNDOp, onnx::MaxOp, onnx::MinOp,
             onnx::MulOp, onnx::NegOp, onnx::NoneOp, onnx::PadOp,
             onnx::ReciprocalOp, onnx::ReluOp, onnx::RoundOp, onnx::SignOp,
             onnx::SqrtOp, onnx::SubOp, onnx::TileOp, onnx::TopKOp,
             onnx::TriluOp, onnx::WhereOp>(op);
}

/// What generated kernels compute, each target's in its own way.
bool isFollowed(Operation *op) {
  auto isReal = [](Type type) {
    return isa<FloatType>(getElementTypeOrSelf(type));
  };
  if (isa<ir::AttentionOp>(op))
    return false;
  bool generated = isa<onnx::OnnxDialect, math::MathDialect>(op->getDialect());
  return !generated || isExact(op) ||
         llvm::none_of(op->getResultTypes(), isReal);
}

struct SelectSumOrders
    : qopt::passes::impl::SelectSumOrdersPassBase<SelectSumOrders> {
  using Base::Base;

  void runOnOperation() override {
    auto targets = target::parseArchitectures(architecture);
    if (!targets.ok()) {
      getOperation().emitError() << targets.status().message();
      return signalPassFailure();
    }
    OrderSelector selector(*targets->front());
    WalkResult result = getOperation().walk([&](Operation *op) {
      return failed(selector.select(op)) ? WalkResult::interrupt()
                                         : WalkResult::advance();
    });
    if (result.wasInterrupted())
      return signalPassFailure();
    warnOfOthers();
    warnOfKeys();
    for (ir::FusedOp op : llvm::to_vector(getOperation().getOps<ir::FusedOp>()))
      dissolve(op);
    getOperation().walk([&](ir::KVAppendOp op) { widenKeys(op); });
    for (Operation &op : llvm::make_early_inc_range(getOperation().getOps()))
      if (isa<arith::AddFOp, arith::MulFOp>(op))
        widenStep(&op);
    eraseUnused<tensor::SplatOp>();
    eraseUnused<arith::ConstantOp>();
    forgetGpu();
  }

  /// Nobody is to take the results of other kernels for a GPU's.
  void warnOfOthers() {
    llvm::MapVector<StringRef, int64_t> others;
    getOperation().walk([&](Operation *op) {
      if (op != getOperation() && !isFollowed(op))
        ++others[op->getName().getStringRef()];
    });
    if (others.empty())
      return;
    std::string list;
    for (auto [name, count] : others)
      list +=
          llvm::formatv("{0}{1} {2}", list.empty() ? "" : ", ", count, name);
    getOperation().emitWarning()
        << "the sums and functions of " << list << " in \""
        << getOperation().getName()
        << "\" are the host's own; the bits of results behind them may differ "
           "from the GPU's";
  }

  /// Whether keys wait for the scales of their group in the type of a GPU's
  /// activations, which the host's f16 holds but for the smallest.
  static bool waitInBf16(ir::KVAppendOp op) {
    ir::KVCacheType cache = op.getCache().getType();
    return cache.keyOf(op.getLayer()).groupSize &&
           getElementTypeOrSelf(op.getK().getType()).isBF16();
  }

  void warnOfKeys() {
    bool wait = false;
    getOperation().walk([&](ir::KVAppendOp op) { wait |= waitInBf16(op); });
    if (wait)
      getOperation().emitWarning()
          << "keys wait for the scales of their group in bf16 on a GPU, in f16 "
             "on the host, where those below 2^-17 are rounded and those from "
             "65520 on infinite";
  }

  /// Keys are rotated and stored by one launch: nothing is rounded between, but
  /// for those that wait.
  void widenKeys(ir::KVAppendOp op) {
    auto rotary = op.getK().getDefiningOp<ir::RotaryOp>();
    if (!rotary || !rotary->hasOneUse())
      return;
    OpBuilder builder(rotary);
    auto wide = cast<RankedTensorType>(rotary.getX().getType())
                    .clone(builder.getF32Type());
    if (!waitInBf16(op)) {
      rotary.getXMutable().assign(
          onnx::CastOp::create(builder, rotary.getLoc(), wide, rotary.getX()));
      rotary.getResult().setType(wide);
    }
    builder.setInsertionPoint(op);
    auto values =
        cast<RankedTensorType>(op.getV().getType()).clone(builder.getF32Type());
    op.getVMutable().assign(
        onnx::CastOp::create(builder, op.getLoc(), values, op.getV()));
  }

  /// The ops of a region take its place.
  void dissolve(ir::FusedOp op) {
    Block &body = op.getBody().front();
    for (auto [argument, input] :
         llvm::zip_equal(body.getArguments(), op.getInputs()))
      argument.replaceAllUsesWith(input);
    Operation *end = body.getTerminator();
    op->replaceAllUsesWith(end->getOperands());
    end->erase();
    op->getBlock()->getOperations().splice(op->getIterator(),
                                           body.getOperations());
    op->erase();
  }

  /// `value` in f32: a factor that is spread over a tensor as one number.
  static Value widened(OpBuilder &builder, Value value) {
    auto type = cast<RankedTensorType>(value.getType());
    auto splat = value.getDefiningOp<tensor::SplatOp>();
    FloatAttr factor;
    if (!splat || !matchPattern(splat.getInput(), m_Constant(&factor)))
      return onnx::CastOp::create(builder, value.getLoc(),
                                  type.clone(builder.getF32Type()), value);
    auto scalar = RankedTensorType::get({}, builder.getF32Type());
    float number = factor.getValue().convertToDouble();
    return onnx::ConstantOp::create(builder, value.getLoc(), scalar,
                                    DenseElementsAttr::get(scalar, number));
  }

  template <typename Op> void eraseUnused() {
    for (auto op : llvm::to_vector(getOperation().getOps<Op>()))
      if (op->use_empty())
        op->erase();
  }

  /// Sums and multiples of 16 bits behind a linear are computed in f32, and
  /// rounded.
  void widenStep(Operation *op) {
    auto type = dyn_cast<RankedTensorType>(op->getResult(0).getType());
    if (!type || type.getElementType().isF32())
      return;
    OpBuilder builder(op);
    Location loc = op->getLoc();
    Type wide = type.clone(builder.getF32Type());
    Value a = widened(builder, op->getOperand(0)),
          b = widened(builder, op->getOperand(1));
    Value result =
        isa<arith::AddFOp>(op)
            ? onnx::AddOp::create(builder, loc, wide, a, b).getResult()
            : onnx::MulOp::create(builder, loc, wide, a, b).getResult();
    op->getResult(0).replaceAllUsesWith(
        onnx::CastOp::create(builder, loc, type, result));
    op->erase();
  }

  /// Weights in canonical layout, and no kernels.
  void forgetGpu() {
    for (auto pack :
         llvm::to_vector(getOperation().getOps<ir::PackWeightOp>())) {
      pack.getResult().replaceAllUsesWith(pack->getOperand(0));
      pack.erase();
    }
    getOperation().walk(
        [](Operation *op) { op->removeAttr(ir::kernelsAttribute); });
  }
};

} // namespace
