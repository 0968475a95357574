// A causal language model with its past as operands becomes a decoder: a
// function from the tokens of a ragged batch and a paged cache to logits and
// the next cache. Done only where it is proven that this is what the graph
// means: every attention reads its past and the new keys, masks are causal,
// positions count the tokens of a sequence. Of an encoder-decoder others read
// all of what the encoder made, which RaiseEncoder puts into the same cache.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Onnx/OnnxDialect.h"
#include "dialects/Onnx/OnnxOps.h"
#include "dialects/QOpt/QOptDialect.h"
#include "dialects/QOpt/QOptOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "passes/Raise/Passes.h"
#include "passes/Raise/Probe.h"
#include "passes/Raise/RaggedRewriter.h"

namespace qopt::passes {
#define GEN_PASS_DEF_RAISEDECODERPASS
#include "passes/Raise/Passes.h.inc"
} // namespace qopt::passes

using namespace mlir;
using namespace qopt;
using namespace qopt::passes;

namespace {

/// Tokens of a page of the cache.
constexpr int64_t pageSize = 16;

/// Finds the parts of a decoder in a function, or says why it is none.
class PartsFinder {
public:
  /// `mayHaveSources`: whether attention may be to what an encoder makes.
  PartsFinder(func::FuncOp func, bool mayHaveSources)
      : func(func), mayHaveSources(mayHaveSources), probe(func) {}

  FailureOr<DecoderParts> find() {
    DecoderParts parts;
    parts.tokens = probe.inputs().tokens;
    if (!parts.tokens || !isInteger(parts.tokens))
      return lacks("input of token ids (input_ids)");
    if (!probe.hasPast())
      return lacks("inputs of past keys and values");
    if (failed(findLayers(parts)) || failed(findLogits(parts)) ||
        failed(findPositions(parts)))
      return failure();
    return parts;
  }

private:
  static bool isInteger(Value value) {
    return isa<IntegerType>(getElementTypeOrSelf(value.getType()));
  }

  std::string nameOf(BlockArgument argument) {
    unsigned number = argument.getArgNumber();
    auto name = func.getArgAttrOfType<StringAttr>(number, "qopt.name");
    return name ? "\"" + name.str() + "\"" : std::to_string(number);
  }

  /// Of a function that nobody meant as a decoder: other words than where one
  /// was all but found, which errors of other passes may come from.
  LogicalResult lacks(StringRef inputs) {
    func->emitRemark() << "no decoder: it has no " << inputs;
    return failure();
  }

  LogicalResult refuse(Operation *op, const Twine &reason) {
    op->emitRemark() << "not a decoder: " << reason;
    return failure();
  }

  /// `value` = concat(past argument, new) along the tokens: returns both.
  std::optional<std::pair<BlockArgument, Value>> pastAndNew(Value value) {
    auto concat = value.getDefiningOp<onnx::ConcatOp>();
    if (!concat || concat.getInputs().size() != 2)
      return std::nullopt;
    int64_t axis = concat.getAxis();
    auto past = dyn_cast<BlockArgument>(concat.getInputs()[0]);
    if (!past || (axis != 2 && axis != -2) ||
        !llvm::is_contained(probe.inputs().past, past))
      return std::nullopt;
    return std::pair(past, concat.getInputs()[1]);
  }

  LogicalResult findLayers(DecoderParts &parts) {
    llvm::DenseSet<Value> used;
    auto walk = func.walk([&](ir::AttentionOp op) {
      if (llvm::is_contained(probe.inputs().sources, op.getK()) ||
          llvm::is_contained(probe.inputs().sources, op.getV()))
        return succeeded(addSource(op, parts)) ? WalkResult::advance()
                                               : WalkResult::interrupt();
      auto key = pastAndNew(op.getK()), value = pastAndNew(op.getV());
      if (!key || !value) {
        (void)refuse(op, "an attention does not read past keys and values");
        return WalkResult::interrupt();
      }
      DecoderLayer layer{op, key->second, value->second};
      if (failed(checkMask(op, layer)))
        return WalkResult::interrupt();
      used.insert(key->first);
      used.insert(value->first);
      parts.layers.push_back(layer);
      return WalkResult::advance();
    });
    if (walk.wasInterrupted())
      return failure();
    for (Value past : probe.inputs().past)
      if (!used.contains(past))
        return refuse(func, "no attention reads the past that input " +
                                nameOf(cast<BlockArgument>(past)) + " brings");
    return failed(placeSources(parts)) ? failure() : sameShapes(parts);
  }

  std::optional<SourceName> sourceNameOf(Value value) {
    auto argument = dyn_cast<BlockArgument>(value);
    auto name = argument ? func.getArgAttrOfType<StringAttr>(
                               argument.getArgNumber(), "qopt.name")
                         : StringAttr();
    return name ? parseSourceName(name.getValue()) : std::nullopt;
  }

  /// An attention to what an encoder made: both operands are inputs, of one
  /// layer.
  LogicalResult addSource(ir::AttentionOp op, DecoderParts &parts) {
    if (!mayHaveSources)
      return refuse(op, "an attention reads what an encoder makes; compile the "
                        "folder that has the encoder, too");
    auto key = sourceNameOf(op.getK()), value = sourceNameOf(op.getV());
    if (!key || !value || !key->isKey || value->isKey ||
        key->layer != value->layer)
      return refuse(op, "an attention across sequences does not read keys and "
                        "values of one layer");
    if (op.getCausal() || op.getWindow())
      return refuse(op, "an attention across sequences is causal");
    if (op.getMask())
      if (Status fits = checkSourceMask(probe, op.getMask()); !fits.ok())
        return refuse(op, "the mask of an attention across sequences is not "
                          "understood: " +
                              fits.message());
    DecoderLayer layer{op, {}, {}};
    layer.source = key->layer;
    parts.layers.push_back(layer);
    return success();
  }

  /// The layers of sources lie behind the others, in the order of their names.
  LogicalResult placeSources(DecoderParts &parts) {
    llvm::DenseSet<int64_t> used;
    auto count = int64_t(probe.inputs().sources.size() / 2);
    int64_t own = llvm::count_if(
        parts.layers, [](const DecoderLayer &layer) { return !layer.source; });
    for (DecoderLayer &layer : parts.layers) {
      if (!layer.source)
        continue;
      if (*layer.source >= count || !used.insert(*layer.source).second)
        return refuse(layer.attention,
                      "attentions across sequences read other layers than "
                      "inputs bring");
      *layer.source += own;
    }
    if (int64_t(used.size()) != count)
      return refuse(func, "no attention reads what an encoder made");
    return success();
  }

  LogicalResult checkMask(ir::AttentionOp op, DecoderLayer &layer) {
    if (op.getWindow())
      layer.window = *op.getWindow();
    if (!op.getMask())
      return op.getCausal() ? success() : refuseMask(op);
    auto kind = classifyMask(probe, op.getMask());
    if (!kind.ok())
      return refuse(op, "the mask of an attention is not understood: " +
                            kind.status().message());
    if (!kind->causal && !op.getCausal())
      return refuseMask(op);
    layer.slopes.assign(kind->slopes.begin(), kind->slopes.end());
    for (const auto &row : kind->biases)
      layer.biases.append(row.begin(), row.end());
    if (kind->window)
      layer.window =
          layer.window ? std::min(*layer.window, *kind->window) : *kind->window;
    return success();
  }

  /// One query alone sees every key, whatever the model means of more.
  LogicalResult refuseMask(ir::AttentionOp op) {
    if (cast<RankedTensorType>(op.getQ().getType()).getDimSize(1) == 1)
      return refuse(op,
                    "the sequence length is fixed to 1, where no mask shows "
                    "that attention is causal; expected a symbolic "
                    "dimension, export the model with one");
    return refuse(op, "an attention is not causal");
  }

  LogicalResult sameShapes(const DecoderParts &parts) {
    auto shapeOf = [](ir::AttentionOp op) {
      auto k = cast<RankedTensorType>(op.getK().getType());
      return std::pair(k.getDimSize(1), k.getDimSize(3));
    };
    for (const DecoderLayer &layer : parts.layers) {
      ir::AttentionOp attention = layer.attention;
      auto v = cast<RankedTensorType>(attention.getV().getType());
      if (v.getDimSize(3) != shapeOf(attention).second)
        return refuse(attention,
                      "keys and values have heads of different sizes");
      if (shapeOf(attention) != shapeOf(parts.layers[0].attention))
        return refuse(attention, "layers have caches of different shapes");
    }
    return success();
  }

  /// The one result that is no present key or value.
  LogicalResult findLogits(DecoderParts &parts) {
    auto results = func.getBody().front().getTerminator()->getOperands();
    for (Value result : results) {
      auto type = dyn_cast<RankedTensorType>(result.getType());
      bool logits = type && type.getRank() == 3 &&
                    isa<FloatType>(type.getElementType()) &&
                    !type.isDynamicDim(2);
      if (!logits)
        continue;
      if (parts.logits)
        return refuse(func, "it has several results besides the cache");
      parts.logits = result;
    }
    if (!parts.logits)
      return refuse(func, "no result is logits [batch, sequence, vocabulary]");
    return success();
  }

  LogicalResult findPositions(DecoderParts &parts) {
    SmallVector<Value> candidates;
    func.walk([&](Operation *op) {
      if (auto table = dyn_cast<ir::RotaryTableOp>(op))
        candidates.push_back(table.getPositions());
      if (auto embedding = dyn_cast<ir::EmbeddingOp>(op))
        candidates.push_back(embedding.getIds());
    });
    for (Value candidate : candidates) {
      auto kind = classifyPositions(probe, candidate);
      if (kind.ok())
        parts.positions[candidate] = kind->offset;
    }
    return success();
  }

  func::FuncOp func;
  bool mayHaveSources;
  Probe probe;
};

quant::Format cacheFormat(Value past) {
  Type element = getElementTypeOrSelf(past.getType());
  return quant::floatFormat(element.isF16()    ? quant::ElementType::F16
                            : element.isBF16() ? quant::ElementType::BF16
                                               : quant::ElementType::F32);
}

class RaiseDecoder
    : public qopt::passes::impl::RaiseDecoderPassBase<RaiseDecoder> {
public:
  using RaiseDecoderPassBase::RaiseDecoderPassBase;

  void runOnOperation() override {
    auto functions = llvm::to_vector(getOperation().getOps<func::FuncOp>());
    for (func::FuncOp func : functions)
      if (failed(raise(func)) && required) {
        func.emitError("the model cannot be compiled as a decoder; --as graph "
                       "compiles it as it is");
        return signalPassFailure();
      }
  }

private:
  LogicalResult raise(func::FuncOp func) {
    FailureOr<DecoderParts> parts = PartsFinder(func, sources).find();
    if (failed(parts))
      return failure();
    func::FuncOp step = createStep(func, *parts);
    OpBuilder builder = OpBuilder::atBlockBegin(&step.getBody().front());
    RaggedRewriter rewriter(builder, *parts, step.getArgument(0),
                            step.getArgument(1), step.getArgument(2));
    auto results = rewriter.rewrite();
    if (failed(results)) {
      step.erase();
      return failure();
    }
    func::ReturnOp::create(builder, func.getLoc(),
                           {results->first, results->second});
    func.erase();
    return success();
  }

  func::FuncOp createStep(func::FuncOp func, const DecoderParts &parts) {
    OpBuilder builder(func);
    MLIRContext *context = &getContext();
    ir::AttentionOp first = parts.layers[0].attention;
    auto keys = cast<RankedTensorType>(first.getK().getType());
    quant::Format key = cacheFormat(first.getK()),
                  value = cacheFormat(first.getV());
    auto cache =
        ir::KVCacheType::get(context, parts.layers.size(), keys.getDimSize(1),
                             keys.getDimSize(3), key, value, pageSize,
                             /*recent=*/{}, /*first=*/{});
    int64_t vocabulary =
        cast<RankedTensorType>(parts.logits.getType()).getDimSize(2);
    auto tokens =
        RankedTensorType::get({ShapedType::kDynamic}, builder.getI32Type());
    auto logits = RankedTensorType::get({ShapedType::kDynamic, vocabulary},
                                        builder.getF32Type());
    auto type = builder.getFunctionType(
        {tokens, ir::BatchType::get(context), cache}, {logits, cache});
    auto step = func::FuncOp::create(builder, func.getLoc(), "step", type);
    step->setAttr("qopt.decoder", builder.getUnitAttr());
    step.addEntryBlock();
    return step;
  }
};

} // namespace
