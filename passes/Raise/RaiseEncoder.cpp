// What a decoder attends to across sequences is made once of each source: the
// encoder, and the projections of its result to keys and values that the
// decoder's file has ahead of its first step. Both become one function, which
// writes them to the layers of the cache behind the decoder's own. What else
// the decoder's file computes, up to the batch that it reshapes heads by, is
// not needed: a source is alone in its call.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Onnx/OnnxOps.h"
#include "dialects/QOpt/QOptDialect.h"
#include "dialects/QOpt/QOptOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "passes/Raise/OnnxValues.h"
#include "passes/Raise/Passes.h"
#include "passes/Raise/Probe.h"
#include "llvm/ADT/MapVector.h"

namespace qopt::passes {
#define GEN_PASS_DEF_RAISEENCODERPASS
#include "passes/Raise/Passes.h.inc"
} // namespace qopt::passes

using namespace mlir;
using namespace qopt;
using namespace qopt::passes;

namespace {

/// As RaiseDecoder's: --kv may ask for other pages.
constexpr int64_t pageSize = 16;

class EncoderRaiser {
public:
  EncoderRaiser(func::FuncOp encoder, func::FuncOp decoder)
      : encoder(encoder), decoder(decoder),
        end(encoder.getBody().front().getTerminator()), builder(end) {}

  LogicalResult run() {
    if (failed(findResults()) || failed(findHidden()))
      return failure();
    addState();
    for (auto [layer, pair] : llvm::enumerate(layers)) {
      FailureOr<Value> k = heads(pair[0]), v = heads(pair[1]);
      if (failed(k) || failed(v))
        return failure();
      cache = ir::KVAppendOp::create(
          builder, k->getLoc(), cache.getType(), cache, *k, *v, batch,
          builder.getI64IntegerAttr(ownLayers + int64_t(layer)));
    }
    finish();
    return success();
  }

private:
  LogicalResult refuse(Location loc, const Twine &reason) {
    return emitError(loc) << "no encoder of a decoder: " << reason;
  }

  /// The keys and values of each layer among the decoder's results.
  LogicalResult findResults() {
    Operation *results = decoder.getBody().front().getTerminator();
    std::map<int64_t, std::array<Value, 2>> found;
    for (auto [number, value] : llvm::enumerate(results->getOperands())) {
      auto name = decoder.getResultAttrOfType<StringAttr>(number, "qopt.name");
      StringRef text = name ? name.getValue() : "";
      ownLayers += text.ends_with(".decoder.key");
      if (auto source = parseSourceName(text))
        found[source->layer][source->isKey ? 0 : 1] = value;
    }
    for (auto &[layer, pair] : found) {
      if (layer != int64_t(layers.size()) || !pair[0] || !pair[1])
        return refuse(decoder.getLoc(),
                      "its results lack keys or values of layer " +
                          Twine(layers.size()));
      layers.push_back(pair);
    }
    if (layers.empty())
      return refuse(decoder.getLoc(),
                    "it has no results present.0.encoder.key, …");
    return success();
  }

  /// The encoder's result, one row a position, and the argument that it is for.
  LogicalResult findHidden() {
    for (BlockArgument argument : decoder.getArguments())
      if (auto name = decoder.getArgAttrOfType<StringAttr>(
              argument.getArgNumber(), "qopt.name");
          name && name.getValue() == "encoder_hidden_states")
        known[argument] = Value();
    if (known.empty())
      return refuse(decoder.getLoc(), "it has no input encoder_hidden_states");
    Value result = end->getOperand(0);
    auto type = onnx::typeOf(result);
    if (end->getNumOperands() != 1 || !type || type.getRank() != 3 ||
        type.isDynamicDim(2))
      return refuse(encoder.getLoc(),
                    "its one result is not [batch, positions, features]");
    Location loc = result.getLoc();
    Value sources = tensor::DimOp::create(builder, loc, result, 0),
          one = arith::ConstantIndexOp::create(builder, loc, 1);
    ir::RequireOp::create(builder, loc, ir::SizeRelation::Equal, sources, one);
    Value rows = tensor::CollapseShapeOp::create(
        builder, loc, type.clone({ShapedType::kDynamic, type.getDimSize(2)}),
        result, SmallVector<ReassociationIndices>{{0, 1}, {2}});
    positions = type.getDimSize(1);
    if (!type.isDynamicDim(1)) // the driver asks how many there are
      rows = tensor::CastOp::create(
          builder, loc, type.clone({positions, type.getDimSize(2)}), rows);
    known.begin()->second = rows;
    return success();
  }

  /// Batch and cache as arguments.
  void addState() {
    MLIRContext *context = encoder.getContext();
    auto keys = onnx::typeOf(layers[0][0]);
    auto format = [](Value value) {
      Type element = getElementTypeOrSelf(value.getType());
      return quant::floatFormat(element.isF16()    ? quant::ElementType::F16
                                : element.isBF16() ? quant::ElementType::BF16
                                                   : quant::ElementType::F32);
    };
    auto type = ir::KVCacheType::get(
        context, ownLayers + int64_t(layers.size()), keys.getDimSize(1),
        keys.getDimSize(3), format(layers[0][0]), format(layers[0][1]),
        pageSize, /*recent=*/{}, /*first=*/{});
    for (Type state : {Type(ir::BatchType::get(context)), Type(type)})
      (void)encoder.insertArgument(encoder.getNumArguments(), state, {},
                                   encoder.getLoc());
    batch = encoder.getArguments().drop_back().back();
    cache = encoder.getArguments().back();
  }

  /// [B, KV, S, D] of the decoder as [S, KV, D].
  FailureOr<Value> heads(Value value) {
    auto transpose = value.getDefiningOp<onnx::TransposeOp>();
    auto reshape = transpose
                       ? transpose.getData().getDefiningOp<onnx::ReshapeOp>()
                       : onnx::ReshapeOp();
    auto type = cast<ir::KVCacheType>(cache.getType());
    int64_t count = type.getKvHeads(), size = type.getHeadSize();
    auto parted = reshape ? onnx::typeOf(reshape.getResult()).getShape()
                          : ArrayRef<int64_t>();
    if (!reshape || transpose.getPerm() != ArrayRef(onnx::swapHeads) ||
        parted.take_back(2) != ArrayRef({count, size}))
      return refuse(value.getLoc(), "keys or values are not [batch, " +
                                        Twine(count) + ", positions, " +
                                        Twine(size) + "] of parted heads");
    FailureOr<Value> rows = translate(reshape.getData());
    if (failed(rows))
      return failure();
    auto from = onnx::typeOf(*rows);
    if (from.getDimSize(1) != count * size)
      return refuse(value.getLoc(), "its heads are not those of one position");
    return tensor::ExpandShapeOp::create(
               builder, value.getLoc(), from.clone({positions, count, size}),
               *rows, SmallVector<ReassociationIndices>{{0}, {1, 2}})
        .getResult();
  }

  /// [B, S, features] of the decoder as [S, features].
  FailureOr<Value> translate(Value value) {
    auto found = known.find(value);
    if (found != known.end())
      return found->second;
    Operation *op = value.getDefiningOp();
    if (!isa_and_nonnull<ir::LinearOp, ir::WeightOp, onnx::ConstantOp,
                         onnx::CastOp>(op))
      return refuse(value.getLoc(), "keys and values are no projections of "
                                    "encoder_hidden_states alone");
    IRMapping mapping;
    for (Value operand : op->getOperands()) {
      FailureOr<Value> mapped = translate(operand);
      if (failed(mapped))
        return failure();
      mapping.map(operand, *mapped);
    }
    Operation *clone = builder.clone(*op, mapping);
    if (isa<ir::LinearOp, onnx::CastOp>(op)) {
      auto type = onnx::typeOf(value);
      clone->getResult(0).setType(
          type.clone({positions, type.getShape().back()}));
    }
    return known[value] = clone->getResult(0);
  }

  void finish() {
    end->setOperands(cache);
    (void)encoder.eraseResult(0);
    (void)encoder.insertResult(0, cache.getType(), {});
    encoder.setName("encode");
    encoder->setAttr("qopt.encoder", builder.getUnitAttr());
    decoder.erase();
  }

  func::FuncOp encoder, decoder;
  Operation *end; ///< of the encoder
  OpBuilder builder;
  SmallVector<std::array<Value, 2>> layers; ///< keys and values
  int64_t ownLayers = 0;                    ///< of the decoder itself
  llvm::MapVector<Value, Value> known;
  int64_t positions = ShapedType::kDynamic; ///< of a source
  Value batch, cache;
};

struct RaiseEncoder : passes::impl::RaiseEncoderPassBase<RaiseEncoder> {
  void runOnOperation() override {
    auto encoder = getOperation().lookupSymbol<func::FuncOp>("encoder"),
         decoder = getOperation().lookupSymbol<func::FuncOp>("decoder");
    if (!encoder || !decoder) {
      getOperation().emitError(
          "it has no functions \"encoder\" and \"decoder\"");
      return signalPassFailure();
    }
    if (failed(EncoderRaiser(encoder, decoder).run()))
      signalPassFailure();
  }
};

} // namespace
