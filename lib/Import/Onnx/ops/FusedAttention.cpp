// Attention of com.microsoft on tokens without padding, and of one new token,
// as the operators that they stand for.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Import/Onnx/GraphImporter.h"
#include "lib/Import/Onnx/ops/NodeBuilder.h"
#include "lib/Import/Onnx/ops/Upgrades.h"

using namespace mlir;

namespace qopt::import {

namespace {
/// Queries, keys and values [T, heads · D] of the tokens of all sequences, one
/// behind the other.
struct PackedTokens {
  Value q, k, v;
};
} // namespace

/// [T, T], true where both tokens are of one sequence; `ends` [B + 1] are the
/// first tokens of all sequences, and their number.
static Value sameSequence(NodeContext &node, NodeBuilder &b, Value tokens,
                          Value ends) {
  Type i64 = node.builder().getI64Type();
  Value rows = node.constant({0}), columns = node.constant({1});
  Value count =
      b.create("Gather", {b.create("Shape", {tokens}), node.scalar(int64_t(0))},
               b.axis(0));
  Value all = b.create(
      "Range", {node.scalar(int64_t(0)), count, node.scalar(int64_t(1))});
  Value isBehind =
      b.create("LessOrEqual", {b.create("Unsqueeze", {b.cast(ends, i64), rows}),
                               b.create("Unsqueeze", {all, columns})});
  NamedAttrList drop;
  drop.set("keepdims", node.builder().getBoolAttr(false));
  Value sequence =
      b.create("ReduceSum", {b.cast(isBehind, i64), columns}, drop);
  return b.create("Equal", {b.create("Unsqueeze", {sequence, columns}),
                            b.create("Unsqueeze", {sequence, rows})});
}

/// [T, heads · D].
static Status attendPacked(NodeContext &node, NodeBuilder &b,
                           const PackedTokens &tokens, Value ends) {
  OpBuilder &builder = node.builder();
  NamedAttrList attrs;
  for (const char *name : {"q_num_heads", "kv_num_heads"})
    attrs.set(name, builder.getI64IntegerAttr(node.integer("num_heads", 0)));
  if (float scale = node.number("scale", 0); scale != 0)
    attrs.set("scale", builder.getF32FloatAttr(scale));
  Value first = node.constant({0});
  auto batched = [&](Value x) { return b.create("Unsqueeze", {x, first}); };
  Value mask = sameSequence(node, b, tokens.q, ends);
  SmallVector<Value> attended =
      b.createAll("Attention",
                  {batched(tokens.q), batched(tokens.k), batched(tokens.v),
                   mask, b.none(), b.none(), b.none()},
                  4, attrs);
  return b.finish({b.create("Squeeze", {attended[0], first})});
}

static Status refuseBias(NodeContext &node, unsigned index) {
  if (!node.hasInput(index))
    return {};
  return Status(StatusCode::Unsupported,
                "attention_bias on tokens without padding is not supported; "
                "export the model with padding");
}

/// Widths of q, k and v of a matrix of `width` columns.
static SmallVector<int64_t> widthsOf(NodeContext &node, int64_t width) {
  SmallVector<int64_t> sizes = node.integers("qkv_hidden_sizes");
  if (sizes.empty())
    sizes.assign(3, width / 3);
  return sizes;
}

/// Inputs: tokens [T, in], weights [in, q + k + v], bias, offsets of tokens in
/// the padded form, which is not made, first tokens of sequences.
Status buildPackedAttention(NodeContext &node) {
  QOPT_RETURN_IF_ERROR(refuseBias(node, 5));
  NodeBuilder b(node);
  auto weights = dyn_cast<RankedTensorType>(node.input(1).getType());
  if (!weights || weights.getRank() != 2 || weights.isDynamicDim(1))
    return Status(StatusCode::BadModel,
                  "input 1 is no matrix of the weights of q, k and v");
  SmallVector<int64_t> widths = widthsOf(node, weights.getDimSize(1));
  if (widths.size() != 3)
    return Status(StatusCode::BadModel, "qkv_hidden_sizes are not three");
  Value all =
      b.create("Add", {b.create("MatMul", {node.input(0), node.input(1)}),
                       node.input(2)});
  SmallVector<Value> parts =
      b.createAll("Split", {all, node.constant(widths)}, 3, b.axis(1));
  return attendPacked(node, b, {parts[0], parts[1], parts[2]}, node.input(4));
}

/// q, k and v of [T, heads, 3, D].
static PackedTokens partsOf(NodeContext &node, NodeBuilder &b) {
  auto part = [&](int64_t which) {
    Value heads =
        b.create("Gather", {node.input(0), node.scalar(which)}, b.axis(2));
    return b.create("Flatten", {heads}, b.axis(1));
  };
  return {part(0), part(1), part(2)};
}

/// Inputs: queries [T, heads · D] or packed [T, heads, 3, D], keys, values,
/// bias, offsets, first tokens of sequences.
Status buildPackedMultiHeadAttention(NodeContext &node) {
  QOPT_RETURN_IF_ERROR(requireInputs(node, {0, 5}));
  QOPT_RETURN_IF_ERROR(refuseBias(node, 6));
  NodeBuilder b(node);
  bool packed = !node.hasInput(1);
  if (packed != !node.hasInput(2))
    return Status(StatusCode::BadModel,
                  "keys and values are not both there, or both absent");
  PackedTokens tokens =
      packed ? partsOf(node, b)
             : PackedTokens{node.input(0), node.input(1), node.input(2)};
  if (node.hasInput(3)) {
    SmallVector<int64_t> widths;
    for (Value x : {tokens.q, tokens.k, tokens.v}) {
      auto type = x ? dyn_cast<RankedTensorType>(x.getType()) : nullptr;
      if (!type || type.getRank() != 2 || type.isDynamicDim(1))
        return Status(StatusCode::BadModel,
                      "queries, keys or values are no [tokens, width] of a "
                      "known width");
      widths.push_back(type.getDimSize(1));
    }
    SmallVector<Value> biases = b.createAll(
        "Split", {node.input(3), node.constant(widths)}, 3, b.axis(0));
    for (auto [x, bias] : llvm::zip(
             std::array<Value *, 3>{&tokens.q, &tokens.k, &tokens.v}, biases))
      *x = b.create("Add", {*x, bias});
  }
  return attendPacked(node, b, tokens, node.input(5));
}

/// What serves search over several beams, or writes into a shared buffer.
static Status refuseBuffers(NodeContext &node, ArrayRef<unsigned> inputs) {
  QOPT_RETURN_IF_ERROR(node.expect("past_present_share_buffer", 0));
  for (unsigned index : inputs)
    if (node.hasInput(index))
      return Status(StatusCode::Unsupported,
                    "input " + std::to_string(index) +
                        ", of search over beams or of a shared buffer, is not "
                        "supported; export the model without its search");
  return {};
}

static NamedAttrList headsOf(NodeContext &node) {
  OpBuilder &builder = node.builder();
  NamedAttrList attrs;
  attrs.set("num_heads",
            builder.getI64IntegerAttr(node.integer("num_heads", 0)));
  attrs.set("mask_filter_value",
            builder.getF32FloatAttr(node.number("mask_filter_value", -10000)));
  if (float scale = node.number("scale", 0); scale != 0)
    attrs.set("scale", builder.getF32FloatAttr(scale));
  return attrs;
}

/// One new token, so that there is no key behind it.
Status buildDecoderMaskedMultiHeadAttention(NodeContext &node) {
  QOPT_RETURN_IF_ERROR(refuseBuffers(node, {7, 8, 9}));
  QOPT_RETURN_IF_ERROR(node.expect("output_qk", 0));
  NodeBuilder b(node);
  SmallVector<Value> attended = b.createAll(
      "ms.MultiHeadAttention",
      {node.input(0), b.input(1), b.input(2), b.input(10), b.input(3),
       b.input(4), b.input(5), b.input(6), b.none(), b.none()},
      4, headsOf(node));
  return b.finish({attended[0], attended[1], attended[2]});
}

Status buildDecoderMaskedSelfAttention(NodeContext &node) {
  QOPT_RETURN_IF_ERROR(requireInputs(node, {4}));
  QOPT_RETURN_IF_ERROR(refuseBuffers(node, {7, 8}));
  QOPT_RETURN_IF_ERROR(node.expect("do_rotary", 0));
  NodeBuilder b(node);
  SmallVector<Value> attended =
      b.createAll("ms.Attention",
                  {node.input(0), node.input(1), node.input(2), b.input(3),
                   node.input(4), b.input(5), b.none()},
                  2, headsOf(node));
  return b.finish(attended);
}

} // namespace qopt::import
