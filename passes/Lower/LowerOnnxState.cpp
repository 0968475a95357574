// LinearAttention: a state that every token changes and every query reads. The
// state, what a token finds at its key, and all results lie in one tensor that
// the loop over the tokens carries,
//
//   [B, KV, Dk + 1 + S · G, Dv]:  rows 0 … Dk − 1      the state
//                                 row Dk               found = kᵀ · state
//                                 rows Dk + 1 + s·G+g  token s, query head g
//
// where G query heads share a state. Columns do not depend on each other.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "passes/Lower/CarriedLoops.h"
#include "passes/Lower/Reductions.h"
#include "passes/Lower/ScalarMath.h"

using namespace mlir;
using namespace qopt;

using Order = ScalarMath::Order;

namespace {

class StateLoop {
public:
  StateLoop(onnx::LinearAttentionOp op, LoweringContext &context)
      : op(op), context(context), b(context.b), loc(context.loc),
        type(accumulatorType(context.elementOf(op.getQ()))) {}

  LogicalResult run() {
    if (failed(findSizes()))
      return failure();
    Value carried = buildLoops(
        context, {batch, context.index(stateHeads), tokens}, start(),
        [&](ArrayRef<Value> at, Value now) { return step(at, now); });
    return success(succeeded(finishOutput(carried)) &&
                   succeeded(finishState(carried)));
  }

private:
  LogicalResult findSizes() {
    int64_t queryHeads = op.getQNumHeads();
    stateHeads = op.getKvNumHeads();
    shared = queryHeads / stateHeads;
    int64_t keys = context.typeOf(op.getK()).getDimSize(2);
    int64_t values = context.typeOf(op.getV()).getDimSize(2);
    if (ShapedType::isDynamic(keys) || ShapedType::isDynamic(values))
      return context.fail("the size of its heads is not known before it runs");
    keySize = keys / stateHeads, valueSize = values / stateHeads;
    if (keySize * valueSize == 1)
      return context.fail("heads of one channel are not supported");
    batch = context.sizeValue(op.getQ(), 0);
    tokens = context.sizeValue(op.getQ(), 1);
    if (!batch || !tokens)
      return context.fail("the size of an operand depends on data");
    return success();
  }

  bool forgets() { return op.getUpdateRule().contains("gated"); }
  bool corrects() { return op.getUpdateRule().contains("delta"); }

  Value constant(int64_t value) { return context.index(value); }
  Value sum(Value x, Value y) { return arith::AddIOp::create(b, loc, x, y); }
  Value product(Value x, int64_t factor) {
    return arith::MulIOp::create(b, loc, x, constant(factor));
  }

  /// An element of an operand [B, S, heads · size].
  Value operand(Value tensor, ArrayRef<Value> at, Value head, int64_t size,
                Value channel) {
    Value column = sum(product(head, size), channel);
    return ScalarMath(context).convert(
        {context.element(tensor, {at[0], at[2], column})}, type);
  }
  Value key(ArrayRef<Value> at, Value d) {
    return operand(op.getK(), at, at[1], keySize, d);
  }

  Value read(Value now, ArrayRef<Value> at, Value row, Value column) {
    return tensor::ExtractOp::create(b, loc, now,
                                     ValueRange{at[0], at[1], row, column});
  }
  Value write(Value now, Value value, ArrayRef<Value> at, Value row,
              Value column) {
    return tensor::InsertOp::create(b, loc, value, now,
                                    ValueRange{at[0], at[1], row, column});
  }

  /// The state before the first token, and zeros.
  Value start() {
    Value rows = sum(product(tokens, shared), constant(keySize + 1));
    SmallVector<OpFoldResult> sizes{batch, b.getIndexAttr(stateHeads), rows,
                                    b.getIndexAttr(valueSize)};
    Value empty = tensor::EmptyOp::create(b, loc, sizes, type);
    SmallVector<utils::IteratorType> kinds(4, utils::IteratorType::parallel);
    auto fill =
        linalg::GenericOp::create(b, loc, empty.getType(), ValueRange(), empty,
                                  b.getMultiDimIdentityMap(4), kinds,
                                  [](OpBuilder &, Location, ValueRange) {});
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(fill.getBody());
    ScalarMath math(context);
    Value element = math.constant(type, 0);
    if (!onnx::isAbsent(op.getPastState())) {
      SmallVector<Value> at;
      for (int64_t dim = 0; dim < 4; ++dim)
        at.push_back(linalg::IndexOp::create(b, loc, dim));
      Value isState = math.compare(Order::Less, {at[2]}, {constant(keySize)});
      at[2] = math.minimum({at[2]}, {constant(keySize - 1)});
      Value past = math.convert({context.element(op.getPastState(), at)}, type);
      element = math.select(isState, past, element);
    }
    linalg::YieldOp::create(b, loc, element);
    return fill.getResult(0);
  }

  /// exp(decay), one a head or one a channel of the keys.
  Value kept(ArrayRef<Value> at, Value d) {
    bool isHead = context.typeOf(op.getDecay()).getDimSize(2) == stateHeads;
    Value decay = isHead ? operand(op.getDecay(), at, at[1], 1, constant(0))
                         : operand(op.getDecay(), at, at[1], keySize, d);
    return ScalarMath(context).exp(decay);
  }

  /// state ← exp(g) · state and found ← kᵀ · state.
  Value forget(ArrayRef<Value> at, Value now) {
    auto body = [&](ArrayRef<Value> i, Value now) {
      ScalarMath math(context);
      Value element = read(now, at, i[0], i[1]);
      if (forgets()) {
        element = math.multiply({element}, {kept(at, i[0])});
        now = write(now, element, at, i[0], i[1]);
      }
      if (!corrects())
        return now;
      Value found = read(now, at, constant(keySize), i[1]);
      Value isFirst = math.compare(Order::Equal, {i[0]}, {constant(0)});
      found = math.select(isFirst, math.constant(type, 0), found);
      found = math.add({found}, {math.multiply({key(at, i[0])}, {element})});
      return write(now, found, at, constant(keySize), i[1]);
    };
    return buildLoops(context, {constant(keySize), constant(valueSize)}, now,
                      body);
  }

  /// state ← state + k ⊗ v, or k ⊗ β (v − found).
  Value update(ArrayRef<Value> at, Value now) {
    auto body = [&](ArrayRef<Value> i, Value now) {
      ScalarMath math(context);
      Value value = operand(op.getV(), at, at[1], valueSize, i[1]);
      if (corrects()) {
        bool isOne = context.isOne(op.getBeta(), 2);
        Value head = isOne ? constant(0) : at[1];
        Value rate = operand(op.getBeta(), at, head, 1, constant(0));
        Value found = read(now, at, constant(keySize), i[1]);
        value = math.multiply({rate}, {math.subtract({value}, {found})});
      }
      Value change = math.multiply({key(at, i[0])}, {value});
      Value element = math.add({read(now, at, i[0], i[1])}, {change});
      return write(now, element, at, i[0], i[1]);
    };
    return buildLoops(context, {constant(keySize), constant(valueSize)}, now,
                      body);
  }

  /// result ← result + qᵀ · state of every query head.
  Value ask(ArrayRef<Value> at, Value now) {
    auto body = [&](ArrayRef<Value> i, Value now) {
      ScalarMath math(context);
      Value head = sum(product(at[1], shared), i[0]);
      Value query = operand(op.getQ(), at, head, keySize, i[1]);
      Value term = math.multiply({query}, {read(now, at, i[1], i[2])});
      Value row = resultRow(at[2], i[0]);
      return write(now, math.add({read(now, at, row, i[2])}, {term}), at, row,
                   i[2]);
    };
    return buildLoops(
        context, {constant(shared), constant(keySize), constant(valueSize)},
        now, body);
  }

  Value step(ArrayRef<Value> at, Value now) {
    if (forgets() || corrects())
      now = forget(at, now);
    return ask(at, update(at, now));
  }

  Value resultRow(Value token, Value head) {
    return sum(sum(product(token, shared), head), constant(keySize + 1));
  }

  LogicalResult finishOutput(Value carried) {
    double scale = op.getScale().convertToDouble();
    if (scale == 0)
      scale = 1 / std::sqrt(static_cast<double>(keySize));
    return context.generate(op.getY(), [&](ArrayRef<Value> at) -> Value {
      ScalarMath math(context);
      auto quotient = [&](Value x, int64_t by) -> Value {
        return arith::DivUIOp::create(b, loc, x, constant(by));
      };
      auto rest = [&](Value x, int64_t by) -> Value {
        return arith::RemUIOp::create(b, loc, x, constant(by));
      };
      Value head = quotient(at[2], valueSize);
      Value row = resultRow(at[1], rest(head, shared));
      Value found = read(carried, {at[0], quotient(head, shared)}, row,
                         rest(at[2], valueSize));
      return math.convert(
          {math.multiply({found}, {math.constant(type, scale)})},
          context.elementOf(op.getY()));
    });
  }

  LogicalResult finishState(Value carried) {
    if (op.getPresentState().use_empty())
      return success();
    return context.generate(
        op.getPresentState(), [&](ArrayRef<Value> at) -> Value {
          return ScalarMath(context).convert(
              {read(carried, at.take_front(2), at[2], at[3])},
              context.elementOf(op.getPresentState()));
        });
  }

  onnx::LinearAttentionOp op;
  LoweringContext &context;
  OpBuilder &b;
  Location loc;
  Type type; ///< of the state
  Value batch, tokens;
  int64_t stateHeads = 0, shared = 0, keySize = 0, valueSize = 0;
};

} // namespace

static LogicalResult lowerLinearAttention(onnx::LinearAttentionOp op,
                                          LoweringContext &context) {
  return StateLoop(op, context).run();
}

void qopt::addStateLowerings(OnnxLoweringTable &table) {
  addLowering<onnx::LinearAttentionOp, lowerLinearAttention>(table);
}
