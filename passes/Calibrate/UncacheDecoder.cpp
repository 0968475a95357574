// Calibration looks at whole sequences, each token once. A decoder's step does
// too when its batch is one sequence from its first token on; then the cache
// holds nothing but what the step itself appends, and attention can read that
// directly. What is left is a graph that needs no cache, can be cut into layers
// and differentiated.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Onnx/OnnxDialect.h"
#include "dialects/Onnx/OnnxOps.h"
#include "dialects/QOpt/KeyRotation.h"
#include "dialects/QOpt/QOptOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "passes/Calibrate/Passes.h"
#include "passes/Raise/OnnxBuilder.h"

namespace qopt::passes {
#define GEN_PASS_DEF_UNCACHEDECODERPASS
#include "passes/Calibrate/Passes.h.inc"
} // namespace qopt::passes

using namespace mlir;
using namespace qopt;

namespace {

class Rewriter {
public:
  explicit Rewriter(func::FuncOp step) : step(step), builder(step) {}

  LogicalResult run() {
    findArguments();
    addPositions();
    SmallVector<ir::CachedAttentionOp> attentions;
    step.walk([&](ir::CachedAttentionOp op) { attentions.push_back(op); });
    for (ir::CachedAttentionOp attention : attentions)
      if (failed(readDirectly(attention)))
        return failure();
    dropBatch();
    returnLogits();
    setSignature();
    return success();
  }

private:
  void findArguments() {
    for (BlockArgument argument : step.getArguments()) {
      if (isa<ir::BatchType>(argument.getType()))
        batch = argument;
      else if (isa<ir::KVCacheType>(argument.getType()))
        cache = argument;
      else
        tokens = argument;
    }
  }

  void addPositions() {
    auto type =
        RankedTensorType::get({ShapedType::kDynamic}, builder.getI32Type());
    positions = step.getBody().front().insertArgument(1u, type, step.getLoc());
  }

  /// The append of an attention's layer that it reads the result of.
  static ir::KVAppendOp appendOf(ir::CachedAttentionOp attention) {
    Value state = attention.getCache();
    while (auto append = state.getDefiningOp<ir::KVAppendOp>()) {
      if (append.getLayer() == attention.getLayer())
        return append;
      state = append.getCache();
    }
    return nullptr;
  }

  /// [T, H, D] as [1, T, H, D].
  Value asBatch(Value x, Location loc) {
    auto type = cast<RankedTensorType>(x.getType());
    SmallVector<int64_t> shape = {1};
    llvm::append_range(shape, type.getShape());
    SmallVector<OpFoldResult> sizes = {builder.getIndexAttr(1)};
    llvm::append_range(sizes, tensor::getMixedSizes(builder, loc, x));
    return tensor::ExpandShapeOp::create(
        builder, loc, type.clone(shape), x,
        SmallVector<ReassociationIndices>{{0, 1}, {2}, {3}}, sizes);
  }

  /// [T, KV, D] as [1, KV, T, D].
  Value asKeys(Value x, Location loc) {
    onnx::OnnxBuilder make(builder, loc);
    return make.transpose(asBatch(x, loc), {0, 2, 1, 3});
  }

  /// slope[h] · position[j], [1, H, 1, T].
  Value biases(ArrayRef<float> slopes, Location loc) {
    onnx::OnnxBuilder make(builder, loc);
    int64_t heads = int64_t(slopes.size());
    auto type = RankedTensorType::get({1, heads, 1, 1}, builder.getF32Type());
    Value slope = arith::ConstantOp::create(
        builder, loc, DenseElementsAttr::get(type, slopes));
    Value distance =
        make.unsqueeze(make.cast(positions, builder.getF32Type()), {0, 1, 2});
    return make.binary<onnx::MulOp>(slope, distance);
  }

  /// biases[h, min(position[i] − position[j], N − 1)], [1, H, T, T]; what is
  /// causal hides has any.
  Value biasesByDistance(ArrayRef<float> biases, int64_t heads, Location loc) {
    onnx::OnnxBuilder make(builder, loc);
    auto distances = int64_t(biases.size()) / heads;
    auto type = RankedTensorType::get({heads, distances}, builder.getF32Type());
    Value table = arith::ConstantOp::create(
        builder, loc, DenseElementsAttr::get(type, biases));
    Value wide = make.cast(positions, builder.getI64Type());
    Value distance = make.binary<onnx::SubOp>(make.unsqueeze(wide, {1}),
                                              make.unsqueeze(wide, {0}));
    distance = onnx::MaxOp::create(builder, loc, distance.getType(),
                                   ValueRange{distance, make.integer(0)});
    distance =
        onnx::MinOp::create(builder, loc, distance.getType(),
                            ValueRange{distance, make.integer(distances - 1)});
    auto all = RankedTensorType::get(
        {heads, ShapedType::kDynamic, ShapedType::kDynamic},
        builder.getF32Type());
    return make.unsqueeze(
        onnx::GatherOp::create(builder, loc, all, table, distance, /*axis=*/1),
        {0});
  }

  /// Keys that are stored ahead of their rotation, as they are attended to:
  /// rotated by the table of the queries.
  FailureOr<Value> rotated(Value keys, ir::CachedAttentionOp op) {
    std::optional<ir::KeyRotation> rotation = ir::keyRotationOf(op);
    if (!rotation)
      return keys;
    auto queries = op.getQ().getDefiningOp<ir::RotaryOp>();
    if (!queries || queries.getInterleaved() != rotation->interleaved)
      return op.emitError("its keys are stored ahead of their rotation, and "
                          "its queries are not rotated alike; leave "
                          "before_rotary out of --kv");
    return ir::RotaryOp::create(builder, op.getLoc(), keys.getType(), keys,
                                queries.getCos(), queries.getSin(),
                                queries.getInterleavedAttr())
        .getResult();
  }

  LogicalResult readDirectly(ir::CachedAttentionOp op) {
    ir::KVAppendOp append = appendOf(op);
    if (!append)
      return op.emitError("the attention reads no append of its layer");
    builder.setInsertionPoint(op);
    Location loc = op.getLoc();
    Value mask;
    if (auto slopes = op.getAlibiSlopes())
      mask = biases(*slopes, loc);
    else if (auto biases = op.getDistanceBiases())
      mask = biasesByDistance(
          *biases, cast<RankedTensorType>(op.getQ().getType()).getDimSize(1),
          loc);
    FailureOr<Value> keys = rotated(append.getK(), op);
    if (failed(keys))
      return failure();
    Value q = asBatch(op.getQ(), loc), k = asKeys(*keys, loc),
          v = asKeys(append.getV(), loc);
    Value result = ir::AttentionOp::create(
        builder, loc, q.getType(), q, k, v, mask, op.getScaleAttr(),
        builder.getUnitAttr(), op.getWindowAttr(), op.getSoftcapAttr());
    op.replaceAllUsesWith(Value(tensor::CollapseShapeOp::create(
        builder, loc, result,
        SmallVector<ReassociationIndices>{{0, 1}, {2}, {3}})));
    op.erase();
    return success();
  }

  /// What asks the batch: sizes, positions, rows.
  void dropBatch() {
    for (Operation *user : llvm::make_early_inc_range(batch.getUsers())) {
      builder.setInsertionPoint(user);
      if (isa<ir::BatchDimOp>(user))
        user->replaceAllUsesWith(ValueRange(
            tensor::DimOp::create(builder, user->getLoc(), tokens, 0)));
      else if (isa<ir::PositionsOp>(user))
        user->replaceAllUsesWith(ValueRange(positions));
      else if (auto select = dyn_cast<ir::SelectRowsOp>(user))
        user->replaceAllUsesWith(ValueRange(select.getX()));
      else
        continue;
      user->erase();
    }
  }

  void returnLogits() {
    Operation *end = step.getBody().front().getTerminator();
    for (auto [number, value] : llvm::enumerate(end->getOperands()))
      if (!isa<ir::KVCacheType>(value.getType()))
        logits = value;
    end->setOperands(logits);
    for (Operation &op :
         llvm::make_early_inc_range(llvm::reverse(step.getBody().front())))
      if (isa<ir::KVAppendOp>(op) && op.use_empty())
        op.erase();
  }

  void setSignature() {
    Block &body = step.getBody().front();
    // Of the last argument first: numbers change behind an erased one.
    for (BlockArgument gone : {cache, batch})
      body.eraseArgument(gone.getArgNumber());
    step->removeAttr("qopt.decoder");
    step.setType(
        builder.getFunctionType(body.getArgumentTypes(), logits.getType()));
    ArrayAttr dims = builder.getStrArrayAttr({"tokens"});
    for (auto [number, name] : {std::pair(0u, "tokens"), {1u, "positions"}}) {
      step.setArgAttr(number, "qopt.name", builder.getStringAttr(name));
      step.setArgAttr(number, "onnx.dims", dims);
    }
    step.setResultAttr(0, "qopt.name", builder.getStringAttr("logits"));
  }

  func::FuncOp step;
  OpBuilder builder;
  BlockArgument tokens, positions, batch, cache;
  Value logits;
};

struct UncacheDecoder : passes::impl::UncacheDecoderPassBase<UncacheDecoder> {
  void runOnOperation() override {
    func::FuncOp func = getOperation();
    if (func->hasAttr("qopt.decoder") && failed(Rewriter(func).run()))
      signalPassFailure();
  }
};

} // namespace
