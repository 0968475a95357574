// Most of a decoder's launches at one token are a linear, what computes its
// input and what is done to its output. As one region they can be one launch:
// which parts are, and for how many tokens, is the stage schedule's business.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/QOpt/QOptOps.h"
#include "dialects/QOpt/Shapes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/Remarks.h"
#include "passes/Fuse/Gates.h"
#include "passes/Fuse/Passes.h"

#define DEBUG_TYPE "qopt-fuse-linear"

namespace qopt::passes {
#define GEN_PASS_DEF_FUSELINEARPASS
#include "passes/Fuse/Passes.h.inc"
} // namespace qopt::passes

using namespace mlir;
using namespace qopt;
using namespace qopt::ir;
using passes::linearOfGate;

/// Lets questions for the sizes of `from` be answered by `to`, of equal shape
/// in all dimensions but the last, which is static.
static void moveSizes(Value from, Value to) {
  for (OpOperand &use : llvm::make_early_inc_range(from.getUses()))
    if (isa<tensor::DimOp>(use.getOwner()))
      use.set(to);
}

/// The norm or quantization that makes the linear's x, if all that reads it are
/// linears, as their x, which then compute it for themselves.
static Operation *prologueOf(LinearOp linear) {
  Operation *source = linear.getX().getDefiningOp();
  if (!source || !isa<RmsNormOp, LayerNormOp, QuantizeOp>(source) ||
      source->getBlock() != linear->getBlock())
    return nullptr;
  if (!passes::hasVectorsOfOneType(source))
    return nullptr;
  for (OpOperand &use : source->getUses()) {
    auto reader = dyn_cast<LinearOp>(use.getOwner());
    bool isX = reader && &reader.getXMutable() == &use;
    if (!isX && !isa<tensor::DimOp>(use.getOwner()))
      return nullptr;
  }
  return source;
}

/// The size that makes dimension `dim` of a linalg operation's result.
static OpFoldResult initialSize(Value value, unsigned dim) {
  auto op = value.getDefiningOp<linalg::LinalgOp>();
  auto init = op ? op.getDpsInits()[cast<OpResult>(value).getResultNumber()]
                       .getDefiningOp<tensor::EmptyOp>()
                 : tensor::EmptyOp();
  return init ? init.getMixedSizes()[dim] : OpFoldResult();
}

/// What size a tensor.dim asks for, seen through operations of the dialect and
/// of linalg.
static std::optional<SizeSource> originOf(OpFoldResult size) {
  auto value = dyn_cast<Value>(size);
  auto dim = value ? value.getDefiningOp<tensor::DimOp>() : tensor::DimOp();
  std::optional<int64_t> index =
      dim ? dim.getConstantIndex() : std::optional<int64_t>();
  if (!index)
    return std::nullopt;
  SizeSource asked{dim.getSource(), unsigned(*index)};
  if (auto result = dyn_cast<OpResult>(asked.value))
    asked = sizeSource(result, asked.dim).value_or(asked);
  OpFoldResult initial = initialSize(asked.value, asked.dim);
  return initial ? originOf(initial) : asked;
}

/// Whether `size` is certain to be the number of rows of the linear's result.
static bool isRowsOf(OpFoldResult size, LinearOp linear) {
  OpBuilder builder(linear);
  ReifiedRankedShapedTypeDims shapes;
  if (failed(linear.reifyResultShapes(builder, shapes)))
    return false;
  OpFoldResult rows = shapes.front().front();
  if (size == rows)
    return true;
  std::optional<SizeSource> left = originOf(size), right = originOf(rows);
  return left && right && left->value == right->value &&
         left->dim == right->dim;
}

/// A product of every element with one number, as linalg writes it.
static std::optional<LinearStep> matchScale(Operation *op, Value value) {
  auto generic = dyn_cast<linalg::GenericOp>(op);
  if (!generic || generic.getNumDpsInputs() != 2 ||
      generic->getNumResults() != 1 ||
      generic->getResult(0).getType() != value.getType() ||
      generic.getNumParallelLoops() != generic.getNumLoops() ||
      generic.getBody()->getOperations().size() != 2)
    return std::nullopt;
  unsigned index = generic.getDpsInputs()[0] == value ? 0 : 1;
  DenseFPElementsAttr number;
  if (generic.getDpsInputs()[index] != value ||
      !matchPattern(generic.getDpsInputs()[1 - index], m_Constant(&number)) ||
      !number.isSplat() ||
      !generic.getIndexingMapsArray()[index].isIdentity() ||
      !generic.getIndexingMapsArray()[2].isIdentity())
    return std::nullopt;
  Operation *product =
      generic.getBody()->getTerminator()->getOperand(0).getDefiningOp();
  auto isTerm = [&](unsigned term) {
    return llvm::is_contained(product->getOperands(),
                              generic.getBody()->getArgument(term));
  };
  if (!isa_and_nonnull<arith::MulFOp>(product) || !isTerm(0) || !isTerm(1))
    return std::nullopt;
  return LinearStep{
      op, {}, float(number.getSplatValue<APFloat>().convertToDouble())};
}

namespace {

/// The operations that become one region, in their order.
struct Parts {
  std::optional<NormSumBody> sum;
  Operation *prologue = nullptr; ///< norm or quantization
  LinearOp linear;
  SmallVector<Operation *> views; ///< slices and heads of the linear's result
  GatedActivationOp gated;
  FusedOp append;         ///< a region of its own so far
  KVAppendOp plainAppend; ///< of keys as the linear makes them
  Value queries;          ///< heads beside these
  SmallVector<LinearStep> steps;

  Operation *last() {
    return append           ? append.getOperation()
           : plainAppend    ? plainAppend.getOperation()
           : gated          ? gated.getOperation()
           : !steps.empty() ? steps.back().op
                            : linear.getOperation();
  }
  /// What is used behind the region.
  SmallVector<Value> results() {
    auto results = llvm::to_vector_of<Value>(last()->getResults());
    if (plainAppend)
      results = {queries, plainAppend.getResult()};
    if (sum)
      results.push_back(sum->sum->getResult(0));
    return results;
  }
  /// What has the linear's rows: codes are no tensor that has sizes.
  Value source() {
    return sum        ? sum->norm->getOperand(0)
           : prologue ? prologue->getOperand(0)
                      : Value(linear.getX());
  }
};

/// Copies the parts into a region.
class RegionBuilder {
public:
  explicit RegionBuilder(Parts &parts) : parts(parts) {
    if (parts.sum)
      llvm::append_values(ops, parts.sum->norm, parts.sum->sum);
    if (parts.prologue)
      ops.push_back(parts.prologue);
    ops.push_back(parts.linear);
    llvm::append_range(ops, parts.views);
    if (parts.gated)
      ops.push_back(parts.gated);
    if (parts.plainAppend)
      ops.push_back(parts.plainAppend);
  }

  FusedOp build() {
    for (Operation *op : ops)
      addInputs(op);
    if (parts.append)
      addInputs(parts.append);
    for (const LinearStep &step : parts.steps)
      if (step.added)
        inputs.insert(step.added);
    OpBuilder builder(parts.last());
    Location loc = parts.linear.getLoc();
    SmallVector<Value> stored = parts.results();
    auto fused = FusedOp::create(builder, loc, ValueRange(stored).getTypes(),
                                 inputs.getArrayRef());
    Block *body = builder.createBlock(
        &fused.getBody(), {}, ValueRange(inputs.getArrayRef()).getTypes(),
        SmallVector<Location>(inputs.size(), loc));
    mapping.map(inputs.getArrayRef(), body->getArguments());
    mapSizes(builder, loc);
    for (Operation *op : ops)
      builder.clone(*op, mapping);
    Value before = parts.linear.getResult();
    for (const LinearStep &step : parts.steps) {
      addStep(builder, step, before);
      before = step.op->getResult(0);
    }
    SmallVector<Value> results = addTail(builder);
    YieldOp::create(builder, loc, results);
    return fused;
  }

private:
  void addInputs(Operation *op) {
    for (Value operand : op->getOperands()) {
      Operation *source = operand.getDefiningOp();
      if (operand.getType().isIndex())
        sizes.insert(operand);
      else if (!source || !llvm::is_contained(ops, source))
        inputs.insert(operand);
    }
  }

  /// The sizes of the views are the rows of x.
  void mapSizes(OpBuilder &builder, Location loc) {
    if (sizes.empty())
      return;
    Value rows =
        tensor::DimOp::create(builder, loc, mapping.lookup(parts.source()), 0);
    for (Value size : sizes)
      mapping.map(size, rows);
  }

  /// A step of `before`, whose factor may have been the scalar of a linalg
  /// operation.
  void addStep(OpBuilder &builder, const LinearStep &step, Value before) {
    Value result = step.op->getResult(0);
    if (!step.factor) {
      builder.clone(*step.op, mapping);
      return;
    }
    Location loc = step.op->getLoc();
    auto type = cast<RankedTensorType>(result.getType());
    Value number = arith::ConstantOp::create(
        builder, loc,
        builder.getFloatAttr(type.getElementType(), *step.factor));
    SmallVector<Value> dynamic;
    for (int64_t dim = 0; dim < type.getRank(); ++dim)
      if (type.isDynamicDim(dim))
        dynamic.push_back(tensor::DimOp::create(
            builder, loc, mapping.lookup(parts.source()), dim));
    Value factor = tensor::SplatOp::create(builder, loc, type, number, dynamic);
    mapping.map(result, arith::MulFOp::create(builder, loc,
                                              mapping.lookup(before), factor)
                            .getResult());
  }

  SmallVector<Value> addTail(OpBuilder &builder) {
    SmallVector<Value> results;
    if (!parts.append) {
      for (Value result : parts.results())
        results.push_back(mapping.lookup(result));
      return results;
    }
    FusedOp region = parts.append;
    Block &block = region.getBody().front();
    for (auto [argument, input] :
         llvm::zip_equal(block.getArguments(), region.getInputs()))
      mapping.map(argument, mapping.lookup(input));
    for (Operation &op : block.without_terminator())
      builder.clone(op, mapping);
    for (Value value : block.getTerminator()->getOperands())
      results.push_back(mapping.lookup(value));
    if (parts.sum)
      results.push_back(mapping.lookup(parts.sum->sum->getResult(0)));
    return results;
  }

  Parts &parts;
  SmallVector<Operation *> ops;
  llvm::SetVector<Value> inputs, sizes;
  IRMapping mapping;
};

struct FuseLinear : passes::impl::FuseLinearPassBase<FuseLinear> {
  void runOnOperation() override {
    SmallVector<LinearOp> linears;
    getOperation().walk([&](LinearOp linear) {
      if (!linear->getParentOfType<FusedOp>())
        linears.push_back(linear);
    });
    // From the last one on: sizes are asked of what is ahead of a linear.
    for (LinearOp linear : llvm::reverse(linears))
      fuse(linear);
  }

  void fuse(LinearOp linear) {
    Parts parts;
    parts.linear = linear;
    parts.prologue = prologueOf(linear);
    if (parts.prologue)
      moveSizes(parts.prologue->getResult(0), parts.source());
    if (isa<RankedTensorType>(parts.source().getType())) {
      moveSizes(linear.getResult(), parts.source());
      if (!addGated(parts)) {
        addAppend(parts);
        addPlainAppend(parts);
        addSteps(parts);
      }
      addSum(parts);
    }
    if (!parts.sum && !parts.prologue && parts.last() == linear) {
      remark::missed(linear.getLoc(),
                     remark::RemarkOpts::name("NotFused").category(DEBUG_TYPE))
          << remark::reason("neither its input nor its result is computed by "
                            "what one launch could do");
      return;
    }
    FusedOp region = RegionBuilder(parts).build();
    for (auto [old, result] :
         llvm::zip_equal(parts.results(), region.getResults()))
      old.replaceAllUsesWith(result);
    erase(parts);
  }

  /// The residual sum of a norm that the linear or its prologue reads. All else
  /// that reads it, as the next sum does, stands behind the region.
  void addSum(Parts &parts) {
    Value source = parts.source();
    auto sum = source.getDefiningOp<arith::AddFOp>();
    Operation *reader = parts.prologue ? parts.prologue : parts.linear,
              *last = parts.last();
    bool fits = sum && sum->getBlock() == last->getBlock() &&
                (!parts.prologue || parts.prologue->hasOneUse()) &&
                parts.linear.getResidual() != source;
    if (!fits)
      return;
    for (Operation *user : sum->getUsers()) {
      Operation *other = last->getBlock()->findAncestorOpInBlock(*user);
      bool isBehind = other && last->isBeforeInBlock(other);
      if (user != reader && !isBehind && !isa<tensor::DimOp>(user))
        return;
    }
    parts.sum = passes::normSumOf(sum);
    if (parts.sum)
      moveSizes(source, parts.source());
  }

  /// The gated activation that alone reads the linear.
  bool addGated(Parts &parts) {
    LinearOp linear = parts.linear;
    auto gated = linear->hasOneUse()
                     ? dyn_cast<GatedActivationOp>(*linear->user_begin())
                     : GatedActivationOp();
    if (!gated || linearOfGate(gated) != linear ||
        !isa<RankedTensorType>(gated.getResult().getType()))
      return false;
    parts.gated = gated;
    return true;
  }

  /// What is done to every element of the result, one after the other.
  void addSteps(Parts &parts) {
    if (parts.append || parts.plainAppend)
      return;
    Value value = parts.linear.getResult();
    while (value.hasOneUse()) {
      Operation *user = *value.user_begin();
      std::optional<LinearStep> step = matchLinearStep(user, value);
      if (!step)
        step = matchScale(user, value);
      if (!step || user->getBlock() != parts.linear->getBlock())
        return;
      parts.steps.push_back(*step);
      value = user->getResult(0);
      moveSizes(value, parts.source());
    }
  }

  /// The heads that a slice of the linear's columns are, if nothing else is
  /// made of it.
  static tensor::ExpandShapeOp headsOf(Operation *user, LinearOp linear) {
    auto slice = dyn_cast<tensor::ExtractSliceOp>(user);
    if (!slice || !slice->hasOneUse() || slice.getType().getRank() != 2 ||
        !isRowsOf(slice.getMixedSizes().front(), linear))
      return {};
    auto heads = dyn_cast<tensor::ExpandShapeOp>(*slice->user_begin());
    return heads && heads->hasOneUse() ? heads : tensor::ExpandShapeOp();
  }

  /// The append of keys and values that are, beside the queries that attend to
  /// it, all there is of the linear's result.
  void addPlainAppend(Parts &parts) {
    LinearOp linear = parts.linear;
    if (linear.getResidual() || parts.append)
      return;
    KVAppendOp append;
    SmallVector<Operation *> slices, heads;
    Value queries;
    for (Operation *user : linear->getUsers()) {
      tensor::ExpandShapeOp expanded = headsOf(user, linear);
      if (!expanded)
        return;
      slices.push_back(user);
      heads.push_back(expanded);
      Operation *reader = *expanded->user_begin();
      if (isa<CachedAttentionOp>(reader))
        queries = expanded.getResult();
      else if (isa<KVAppendOp>(reader) && (!append || append == reader))
        append = cast<KVAppendOp>(reader);
      else
        return;
    }
    if (!append || !queries || slices.size() != 3 ||
        append->getBlock() != linear->getBlock() ||
        append->getParentOfType<FusedOp>())
      return;
    auto attention = cast<CachedAttentionOp>(*queries.user_begin());
    if (attention.getQ() != queries ||
        attention.getCache() != append.getResult())
      return;
    llvm::append_range(parts.views, llvm::reverse(slices));
    llvm::append_range(parts.views, llvm::reverse(heads));
    parts.plainAppend = append;
    parts.queries = queries;
  }

  /// The region of rotary_append whose queries, keys and values are all there
  /// is of the linear's result.
  void addAppend(Parts &parts) {
    LinearOp linear = parts.linear;
    if (linear.getResidual())
      return;
    SmallVector<Operation *> slices, heads;
    FusedOp region;
    for (Operation *user : linear->getUsers()) {
      tensor::ExpandShapeOp expanded = headsOf(user, linear);
      auto fused =
          expanded ? dyn_cast<FusedOp>(*expanded->user_begin()) : FusedOp();
      if (!fused || (region && fused != region) || fused.getKernel() ||
          fused->getBlock() != linear->getBlock())
        return;
      region = fused;
      slices.push_back(user);
      heads.push_back(expanded);
    }
    std::optional<RotaryAppendBody> body;
    if (region)
      body = matchRotaryAppend(region);
    // A launch appends what it has computed itself.
    if (!body || !body->queries || region.getNumResults() != 2 ||
        slices.size() != 3)
      return;
    // Users are listed last first.
    llvm::append_range(parts.views, llvm::reverse(slices));
    llvm::append_range(parts.views, llvm::reverse(heads));
    parts.append = region;
  }

  void erase(const Parts &parts) {
    if (parts.append)
      parts.append->erase();
    if (parts.plainAppend)
      parts.plainAppend->erase();
    for (const LinearStep &step : llvm::reverse(parts.steps))
      step.op->erase();
    if (parts.gated)
      parts.gated->erase();
    for (Operation *view : llvm::reverse(parts.views))
      view->erase();
    LinearOp linear = parts.linear;
    linear->erase();
    if (parts.prologue && parts.prologue->use_empty())
      parts.prologue->erase();
    if (parts.sum) {
      parts.sum->sum->erase();
      parts.sum->norm->erase();
    }
  }
};

} // namespace
