// Positions of com.microsoft: rotations and biases of attention that one node
// computes, as the operators of the default domain that they stand for.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Import/Onnx/GraphImporter.h"
#include "lib/Import/Onnx/ops/NodeBuilder.h"
#include "lib/Import/Onnx/ops/Upgrades.h"
#include <cmath>

using namespace mlir;

namespace qopt::import {

static NamedAttrList permutation(NodeContext &node, ArrayRef<int64_t> axes) {
  NamedAttrList attrs;
  attrs.set("perm", node.builder().getDenseI64ArrayAttr(axes));
  return attrs;
}

/// x cos(angles) + turned sin(angles), of queries and of keys, which come with
/// their halves turned already. Inputs: angles [B, S, D], q, its turned form,
/// k, its turned form, [B, heads, S, D].
Status buildGemmaRotaryEmbedding(NodeContext &node) {
  NodeBuilder b(node);
  Value first = node.constant({1});
  Type type = cast<ShapedType>(node.input(1).getType()).getElementType();
  auto factor = [&](const char *function) {
    Value x = b.create(function, {node.input(0)});
    return b.create("Unsqueeze", {b.cast(x, type), first});
  };
  Value sine = factor("Sin"), cosine = factor("Cos");
  auto rotated = [&](unsigned of) {
    return b.create("Add", {b.create("Mul", {node.input(of), cosine}),
                            b.create("Mul", {node.input(of + 1), sine})});
  };
  return b.finish({rotated(1), rotated(3)});
}

/// Which of the three streams of positions each channel pair reads.
static StatusOr<SmallVector<int64_t>> streamsOf(NodeContext &node,
                                                int64_t half) {
  SmallVector<int64_t> sections = node.integers("mrope_section");
  int64_t layout = node.integer("mrope_layout", 0);
  int64_t sum = 0;
  for (int64_t section : sections)
    sum += section < 0 || section > half ? half + 1 : section;
  if (sections.size() != 3 || sum != half)
    return Status(StatusCode::BadModel,
                  "mrope_section has other sizes than three that add up to the "
                  "cache's " +
                      std::to_string(half) + " columns");
  if (layout != 0 && layout != 1)
    return Status(StatusCode::Unsupported,
                  "mrope_layout is " + std::to_string(layout) +
                      "; expected 0 (sections) or 1 (interleaved)");
  SmallVector<int64_t> streams(static_cast<size_t>(half), 0);
  for (int64_t i = 0; i < half; ++i) {
    int64_t &stream = streams[static_cast<size_t>(i)];
    if (layout == 0)
      stream = i < sections[0] ? 0 : i < sections[0] + sections[1] ? 1 : 2;
    else if (int64_t third = i % 3; third && i < 3 * sections[size_t(third)])
      stream = third;
  }
  return streams;
}

/// [B, S, half]: of a cache [positions, half] the row of each stream's
/// position, and of these each channel from its own stream.
static Value gatheredBy(NodeContext &node, NodeBuilder &b, Value cache,
                        ArrayRef<int64_t> streams) {
  Value rows = b.create("Gather", {cache, node.input(1)}, b.axis(0));
  auto ofStream = [&](int64_t stream) {
    return b.create("Gather", {rows, node.scalar(stream)}, b.axis(0));
  };
  Value mixed = ofStream(0);
  for (int64_t stream : {1, 2}) {
    SmallVector<bool> reads;
    for (int64_t of : streams)
      reads.push_back(of == stream);
    auto type = RankedTensorType::get({int64_t(reads.size())},
                                      node.builder().getI1Type());
    Value mask = node.importer().constant(node.location(),
                                          DenseElementsAttr::get(type, reads));
    mixed = b.create("Where", {mask, ofStream(stream), mixed});
  }
  return mixed;
}

/// Rotary embedding by three positions a token (time, height, width). Inputs:
/// x, positions [3, B, S], caches of cosines and sines.
Status buildMRotaryEmbedding(NodeContext &node) {
  NodeBuilder b(node);
  OpBuilder &builder = node.builder();
  QOPT_RETURN_IF_ERROR(node.expect("is_packed_batching", 0));
  if (float scale = node.number("scale", 1); scale != 1)
    return Status(StatusCode::Unsupported, "a scale is not supported");
  auto cache = dyn_cast<RankedTensorType>(node.input(2).getType());
  auto x = dyn_cast<RankedTensorType>(node.input(0).getType());
  if (!cache || cache.getRank() != 2 || cache.isDynamicDim(1) || !x)
    return Status(StatusCode::BadModel,
                  "cos_cache is no [positions, pairs] of a known size");
  int64_t half = cache.getDimSize(1);
  auto streams = streamsOf(node, half);
  QOPT_RETURN_IF_ERROR(streams.status());
  NamedAttrList attrs;
  int64_t rotated = node.integer("rotary_embedding_dim", 0);
  int64_t heads = node.integer("num_heads", 0);
  if (x.getRank() == 3 && heads == 0) {
    if (x.isDynamicDim(2) || x.getDimSize(2) % (2 * half))
      return Status(StatusCode::BadModel,
                    "input 0 has no whole heads of the cache's size");
    heads = x.getDimSize(2) / (2 * half);
  }
  attrs.set("interleaved",
            builder.getBoolAttr(node.integer("interleaved", 0) != 0));
  attrs.set("rotary_embedding_dim", builder.getI64IntegerAttr(rotated));
  if (x.getRank() == 3)
    attrs.set("num_heads", builder.getI64IntegerAttr(heads));
  return b.finish(
      {b.create("RotaryEmbedding",
                {node.input(0), gatheredBy(node, b, node.input(2), *streams),
                 gatheredBy(node, b, node.input(3), *streams), b.none()},
                attrs)});
}

namespace {
/// The buckets of distances of T5 (arXiv 1910.10683, section 2.1): each small
/// distance has its own, larger ones share them by their logarithm.
struct Buckets {
  int64_t count, farthest;
  bool isBidirectional;

  /// [S, T] of keys' positions less queries', i64.
  Value of(NodeContext &node, NodeBuilder &b, Value distance) const;
};
} // namespace

Value Buckets::of(NodeContext &node, NodeBuilder &b, Value distance) const {
  Type i64 = node.builder().getI64Type();
  int64_t own = isBidirectional ? count / 2 : count, exact = own / 2;
  Value zero = node.scalar(int64_t(0)), side = zero, magnitude;
  if (isBidirectional) {
    side = b.create("Mul", {b.cast(b.create("Greater", {distance, zero}), i64),
                            node.scalar(own)});
    magnitude = b.create("Abs", {distance});
  } else {
    magnitude = b.create("Max", {b.create("Neg", {distance}), zero});
  }
  Value times =
      b.create("Div", {b.cast(magnitude, b.f32()), node.scalar(float(exact))});
  float steps = float(own - exact) / std::log(float(farthest) / float(exact));
  // Of distances below `exact`, whose logarithm is negative, nothing is used.
  Value shared = b.cast(
      b.create("Mul",
               {b.create("Log", {b.create("Max", {times, node.scalar(1.0f)})}),
                node.scalar(steps)}),
      i64);
  shared = b.create("Min", {b.create("Add", {shared, node.scalar(exact)}),
                            node.scalar(own - 1)});
  Value isSmall = b.create("Less", {magnitude, node.scalar(exact)});
  return b.create("Add",
                  {side, b.create("Where", {isSmall, magnitude, shared})});
}

/// The bias of T5's relative positions, [1, heads, S, T]. Inputs: the table,
/// whose shape is [buckets, heads] and whose bytes are [heads, buckets], and
/// the numbers of queries and keys.
Status buildRelativePositionBias(NodeContext &node) {
  NodeBuilder b(node);
  auto table = dyn_cast<RankedTensorType>(node.input(0).getType());
  Buckets buckets;
  buckets.isBidirectional = node.integer("is_bidirectional", 0) != 0;
  buckets.farthest = node.integer("max_distance", 0);
  if (!table || table.getRank() != 2 || !table.hasStaticShape())
    return Status(StatusCode::BadModel,
                  "bias_table is no [buckets, heads] of known sizes");
  buckets.count = table.getDimSize(0);
  if (buckets.count < 4 ||
      buckets.farthest <= buckets.count / (buckets.isBidirectional ? 4 : 2))
    return Status(StatusCode::BadModel,
                  "max_distance is " + std::to_string(buckets.farthest) +
                      "; expected more than the exact distances of " +
                      std::to_string(buckets.count) + " buckets");
  auto positions = [&](unsigned length, int64_t axis) {
    Value end = b.create("Reshape", {node.input(length), node.constant({})});
    Value all = b.create(
        "Range", {node.scalar(int64_t(0)), end, node.scalar(int64_t(1))});
    return b.create("Unsqueeze", {all, node.constant({axis})});
  };
  Value distance = b.create("Sub", {positions(2, 0), positions(1, 1)});
  Value rows = b.create(
      "Reshape",
      {node.input(0), node.constant({table.getDimSize(1), buckets.count})});
  Value bias =
      b.create("Gather", {rows, buckets.of(node, b, distance)}, b.axis(1));
  return b.finish({b.create("Unsqueeze", {bias, node.constant({0})})});
}

/// The gated bias of WavLM (arXiv 2110.13900, equation 5): rel_pos times
/// u (r · eco_a - 1) + 2. Inputs: queries [B, S, heads · D], their bias,
/// rel_pos, weight [D, 2 E] and bias of the gates, eco_a.
Status buildGatedRelativePositionBias(NodeContext &node) {
  NodeBuilder b(node);
  int64_t heads = node.integer("num_heads", 0);
  auto weight = dyn_cast<RankedTensorType>(node.input(3).getType());
  if (node.hasInput(6))
    return Status(StatusCode::Unsupported,
                  "queries without padding (token_offset) are not supported");
  if (!weight || weight.getRank() != 2 || !weight.hasStaticShape() ||
      weight.getDimSize(1) % 2)
    return Status(StatusCode::BadModel,
                  "weight is no [head size, 2 gates] of known sizes");
  int64_t size = weight.getDimSize(0), wide = weight.getDimSize(1) / 2;
  Value q = b.create("Add", {node.input(0), node.input(1)});
  q = b.create("Reshape", {q, node.constant({0, 0, heads, size})});
  q = b.create("Transpose", {q}, permutation(node, {0, 2, 1, 3}));
  Value gates =
      b.create("Add", {b.create("MatMul", {q, node.input(3)}), node.input(4)});
  gates = b.create("Reshape", {gates, node.constant({0, 0, 0, 2, wide})});
  NamedAttrList drop;
  drop.set("keepdims", node.builder().getBoolAttr(false));
  gates = b.create("Sigmoid",
                   {b.create("ReduceSum", {gates, node.constant({-1})}, drop)});
  SmallVector<Value> parts =
      b.createAll("Split", {gates, node.constant({1, 1})}, 2, b.axis(3));
  Type type = cast<ShapedType>(node.input(0).getType()).getElementType();
  auto number = [&](float value) { return b.cast(node.scalar(value), type); };
  Value inner =
      b.create("Sub", {b.create("Mul", {parts[1], node.input(5)}), number(1)});
  Value factor =
      b.create("Add", {b.create("Mul", {parts[0], inner}), number(2)});
  return b.finish({b.create("Mul", {factor, node.input(2)})});
}

} // namespace qopt::import
