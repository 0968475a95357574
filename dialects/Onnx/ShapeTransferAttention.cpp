// Shape functions of attention operators of the default domain and of all
// operators of com.microsoft, with the checks that their packed operands need.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Onnx/OnnxOps.h"
#include "dialects/Onnx/ShapeTransfer.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace qopt::onnx {

static Status expectRank(ShapeTransfer &transfer, unsigned operand,
                         std::initializer_list<int64_t> ranks) {
  if (llvm::is_contained(ranks, transfer.rank(operand)))
    return {};
  return transfer.error(
      "operand " + Twine(operand) + " has shape " +
      transfer.spell(transfer.facts(operand).dims) + "; expected rank " +
      Twine(*ranks.begin()) +
      (ranks.size() > 1 ? " or " + Twine(ranks.begin()[1]) : Twine()));
}

/// The channels of one head of a [.., heads * D] operand.
static StatusOr<AffineExpr> headSize(ShapeTransfer &transfer, AffineExpr hidden,
                                     int64_t heads) {
  AffineExpr size;
  if (heads > 0)
    size = transfer.dims.exactQuotient(hidden, transfer.constant(heads));
  if (!size)
    return transfer.error("the hidden size " + transfer.dims.spell(hidden) +
                          " is not divisible by the number of heads, " +
                          Twine(heads));
  return size;
}

/// q, k or v as [B, heads, S, D].
static StatusOr<Dims> headForm(ShapeTransfer &transfer, unsigned operand,
                               std::optional<int64_t> heads) {
  Status rank = expectRank(transfer, operand, {4, 3});
  if (!rank)
    return rank;
  const Dims &sizes = transfer.facts(operand).dims;
  if (sizes.size() == 4)
    return sizes;
  if (!heads)
    return transfer.error("operand " + Twine(operand) +
                          " has rank 3 and the number of heads is missing");
  StatusOr<AffineExpr> channels = headSize(transfer, sizes[2], *heads);
  if (!channels)
    return channels.status();
  return Dims{sizes[0], transfer.constant(*heads), sizes[1], *channels};
}

/// A past has the sizes of what it is put before, but for its length.
static void requirePast(ShapeTransfer &transfer, unsigned operand,
                        const Dims &fresh) {
  for (unsigned axis : {0, 1, 3})
    transfer.require(ir::SizeRelation::Equal,
                     transfer.facts(operand).dims[axis], fresh[axis]);
}

/// A mask is broadcast to the scores; its last axis may be shorter, which pads.
static void requireMask(ShapeTransfer &transfer, const Dims &mask,
                        const Dims &scores) {
  for (size_t i = 2; i <= std::min(mask.size(), scores.size()); ++i)
    transfer.requireFits(mask[mask.size() - i], scores[scores.size() - i]);
  if (!mask.empty())
    transfer.require(ir::SizeRelation::AtMost, mask.back(), scores.back());
}

static Status inferAttentionOp(ShapeTransfer &transfer, AttentionOp op) {
  auto q = headForm(transfer, 0, op.getQNumHeads());
  auto k = headForm(transfer, 1, op.getKvNumHeads());
  auto v = headForm(transfer, 2, op.getKvNumHeads());
  for (auto *form : {&q, &k, &v})
    if (!*form)
      return form->status();
  auto queryHeads = constantValue((*q)[1]), keyHeads = constantValue((*k)[1]);
  if (queryHeads && keyHeads && (*keyHeads < 1 || *queryHeads % *keyHeads))
    return transfer.error("there are " + Twine(*queryHeads) +
                          " query heads for " + Twine(*keyHeads) +
                          " key heads; expected a multiple");
  if (transfer.present(4) != transfer.present(5))
    return transfer.error("only one of past_key and past_value is given");
  // One batch, keys as wide as queries, a value for each key.
  for (const Dims &other : {*k, *v})
    transfer.require(ir::SizeRelation::Equal, (*q)[0], other[0]);
  transfer.require(ir::SizeRelation::Equal, (*q)[3], (*k)[3]);
  transfer.require(ir::SizeRelation::Equal, (*k)[1], (*v)[1]);
  transfer.require(ir::SizeRelation::Equal, (*k)[2], (*v)[2]);
  AffineExpr total = (*k)[2];
  if (transfer.present(4)) {
    QOPT_RETURN_IF_ERROR(expectRank(transfer, 4, {4}));
    QOPT_RETURN_IF_ERROR(expectRank(transfer, 5, {4}));
    requirePast(transfer, 4, *k);
    requirePast(transfer, 5, *v);
    transfer.require(ir::SizeRelation::Equal, transfer.facts(4).dims[2],
                     transfer.facts(5).dims[2]);
    total = transfer.dims.add(transfer.facts(4).dims[2], total);
  }
  if (transfer.present(3))
    requireMask(transfer, transfer.facts(3).dims,
                {(*q)[0], (*q)[1], (*q)[2], total});
  Type type = transfer.facts(0).elementType;
  Dims y{(*q)[0], (*q)[1], (*q)[2], (*v)[3]};
  if (transfer.rank(0) == 3)
    y = {(*q)[0], (*q)[2], transfer.dims.multiply((*q)[1], (*v)[3])};
  QOPT_RETURN_IF_ERROR(transfer.result(0, type, y));
  QOPT_RETURN_IF_ERROR(transfer.result(1, transfer.facts(1).elementType,
                                       {(*k)[0], (*k)[1], total, (*k)[3]}));
  QOPT_RETURN_IF_ERROR(transfer.result(2, transfer.facts(2).elementType,
                                       {(*v)[0], (*v)[1], total, (*v)[3]}));
  return transfer.result(3, type, {(*q)[0], (*q)[1], (*q)[2], total});
}

/// The decay and the rate of an update: [B, S, one for all heads, one a head,
/// or, of the decay, one a channel of the keys].
static Status checkRates(ShapeTransfer &transfer, LinearAttentionOp op,
                         const Dims &k) {
  StringRef rule = op.getUpdateRule();
  AffineExpr heads = k[1], channels = transfer.dims.multiply(k[1], k[3]);
  struct Rate {
    unsigned operand;
    StringRef name;
    bool needed;
    AffineExpr other; ///< than one a head
  } rates[] = {{4, "decay", rule.contains("gated"), channels},
               {5, "beta", rule.contains("delta"), transfer.constant(1)}};
  for (const Rate &rate : rates) {
    if (!transfer.present(rate.operand)) {
      if (rate.needed)
        return transfer.error("the update rule " + rule + " has no " +
                              rate.name);
      continue;
    }
    QOPT_RETURN_IF_ERROR(expectRank(transfer, rate.operand, {3}));
    const Dims &own = transfer.facts(rate.operand).dims;
    if (own[2] != heads && own[2] != rate.other)
      return transfer.error(
          Twine(rate.name) + " has shape " + transfer.spell(own) +
          "; expected " + transfer.dims.spell(heads) + " or " +
          transfer.dims.spell(rate.other) + " in the last place");
    transfer.require(ir::SizeRelation::Equal, own[0], k[0]);
    transfer.require(ir::SizeRelation::Equal, own[1], k[2]);
  }
  return {};
}

static Status inferLinearAttention(ShapeTransfer &transfer,
                                   LinearAttentionOp op) {
  auto k = headForm(transfer, 1, op.getKvNumHeads());
  auto v = headForm(transfer, 2, op.getKvNumHeads());
  if (!k)
    return k.status();
  if (!v)
    return v.status();
  QOPT_RETURN_IF_ERROR(expectRank(transfer, 0, {3}));
  const TensorFacts &q = transfer.facts(0);
  int64_t heads = op.getQNumHeads(), keyHeads = op.getKvNumHeads();
  if (heads < 1 || heads % keyHeads)
    return transfer.error("there are " + Twine(heads) +
                          " heads of queries, no multiple of the " +
                          Twine(keyHeads) + " of keys");
  transfer.require(ir::SizeRelation::Equal, q.dims[2],
                   transfer.dims.multiply((*k)[3], transfer.constant(heads)));
  for (const Dims &other : {*k, *v}) {
    transfer.require(ir::SizeRelation::Equal, other[0], q.dims[0]);
    transfer.require(ir::SizeRelation::Equal, other[2], q.dims[1]);
  }
  QOPT_RETURN_IF_ERROR(checkRates(transfer, op, *k));
  if (transfer.present(3)) {
    QOPT_RETURN_IF_ERROR(expectRank(transfer, 3, {4}));
    const Dims &state = transfer.facts(3).dims;
    Dims wanted{q.dims[0], (*k)[1], (*k)[3], (*v)[3]};
    for (auto [own, size] : llvm::zip_equal(state, wanted))
      transfer.require(ir::SizeRelation::Equal, own, size);
  }
  QOPT_RETURN_IF_ERROR(transfer.result(
      0, q.elementType,
      {q.dims[0], q.dims[1],
       transfer.dims.multiply((*v)[3], transfer.constant(heads))}));
  Type stateType =
      transfer.present(3) ? transfer.facts(3).elementType : q.elementType;
  return transfer.result(1, stateType, {(*k)[0], (*k)[1], (*k)[3], (*v)[3]});
}

/// `rows` is [B, S, …] of what turns x: angles, or positions in their table.
static void requireRows(ShapeTransfer &transfer, unsigned rows) {
  const Dims &x = transfer.facts(0).dims, &own = transfer.facts(rows).dims;
  if (own.size() < 2)
    return;
  transfer.requireFits(own[0], x[0]);
  transfer.require(ir::SizeRelation::Equal, own[1], x[x.size() == 4 ? 2 : 1]);
}

/// The rotated channels, two for each column of a table, lie within a head.
static Status checkRotated(ShapeTransfer &transfer, RotaryEmbeddingOp op) {
  AffineExpr channels = transfer.facts(0).dims.back();
  if (std::optional<int64_t> heads = op.getNumHeads();
      heads && transfer.rank(0) == 3) {
    StatusOr<AffineExpr> size = headSize(transfer, channels, *heads);
    if (!size)
      return size.status();
    channels = *size;
  }
  std::optional<int64_t> fixed = constantValue(channels);
  int64_t rotated = op.getRotaryEmbeddingDim();
  if (rotated < 0 || rotated % 2 || rotated > fixed.value_or(INT64_MAX))
    return transfer.error("rotary_embedding_dim is " + Twine(rotated) +
                          "; expected an even number of the " +
                          transfer.dims.spell(channels) +
                          " channels of a head");
  for (unsigned table : {1, 2}) {
    const Dims &rows = transfer.facts(table).dims;
    auto columns = rows.empty() ? std::nullopt : constantValue(rows.back());
    if (fixed && columns && *columns > *fixed / 2)
      return transfer.error(
          (table == 1 ? "cos_cache" : "sin_cache") + Twine(" has shape ") +
          transfer.spell(rows) + "; expected at most " + Twine(*fixed / 2) +
          " columns for the " + Twine(*fixed) + " channels of a head");
  }
  return {};
}

static Status inferRotary(ShapeTransfer &transfer, RotaryEmbeddingOp op) {
  QOPT_RETURN_IF_ERROR(expectRank(transfer, 0, {4, 3}));
  QOPT_RETURN_IF_ERROR(checkRotated(transfer, op));
  const TensorFacts &x = transfer.facts(0);
  if (transfer.present(3))
    requireRows(transfer, 3);
  else
    for (unsigned table : {1, 2})
      requireRows(transfer, table);
  return transfer.result(0, x.elementType, x.dims);
}

std::optional<Status> inferAttention(ShapeTransfer &t) {
  return TypeSwitch<Operation *, std::optional<Status>>(t.op)
      .Case([&](AttentionOp op) { return inferAttentionOp(t, op); })
      .Case([&](LinearAttentionOp op) { return inferLinearAttention(t, op); })
      .Case([&](RotaryEmbeddingOp op) { return inferRotary(t, op); })
      .Default([](Operation *) { return std::nullopt; });
}

//===----------------------------------------------------------------------===//
// com.microsoft
//===----------------------------------------------------------------------===//

static Status expectCount(ShapeTransfer &transfer, unsigned operand,
                          int64_t expected, StringRef what) {
  int64_t count = 1;
  for (AffineExpr size : transfer.facts(operand).dims) {
    std::optional<int64_t> fixed = constantValue(size);
    if (!fixed || llvm::MulOverflow(count, *fixed, count))
      return transfer.error(what + " has no static shape");
  }
  if (count == expected)
    return {};
  return transfer.error(what + " has shape " +
                        transfer.spell(transfer.facts(operand).dims) +
                        "; expected " + Twine(expected) + " elements");
}

/// The attributes must agree with the packed tensors: what reads them later
/// trusts N, K and the block size.
static Status inferMatMulNBits(ShapeTransfer &transfer, MSMatMulNBitsOp op) {
  int64_t n = op.getN(), k = op.getK(), bits = op.getBits();
  int64_t block = op.getBlockSize();
  if (n < 1 || k < 1 || n > (int64_t(1) << 31) || k > (int64_t(1) << 31))
    return transfer.error("N " + Twine(n) + " or K " + Twine(k) +
                          " is out of range");
  if (bits != 2 && bits != 4 && bits != 8)
    return transfer.error("bits is " + Twine(bits) + "; expected 2, 4 or 8");
  if (block < 16 || block > (1 << 20) || (block & (block - 1)))
    return transfer.error("block_size is " + Twine(block) +
                          "; expected a power of two from 16");
  int64_t blocks = llvm::divideCeil(k, block);
  QOPT_RETURN_IF_ERROR(
      expectCount(transfer, 1, n * blocks * (block * bits / 8), "B"));
  QOPT_RETURN_IF_ERROR(expectCount(transfer, 2, n * blocks, "scales"));
  if (transfer.present(3)) {
    bool packed = transfer.facts(3).elementType.isInteger(8);
    int64_t row = packed ? llvm::divideCeil(blocks * bits, int64_t(8)) : blocks;
    QOPT_RETURN_IF_ERROR(expectCount(transfer, 3, n * row, "zero_points"));
  }
  if (transfer.present(5))
    QOPT_RETURN_IF_ERROR(expectCount(transfer, 5, n, "bias"));
  const TensorFacts &a = transfer.facts(0);
  if (a.dims.empty() || constantValue(a.dims.back()).value_or(k) != k)
    return transfer.error("A has shape " + transfer.spell(a.dims) +
                          "; expected K = " + Twine(k) + " columns");
  transfer.require(ir::SizeRelation::Equal, a.dims.back(),
                   transfer.constant(k));
  Dims sizes = a.dims;
  sizes.back() = transfer.constant(n);
  return transfer.result(0, a.elementType, sizes);
}

/// Tokens of the cache that GroupQueryAttention returns: past and new ones, or
/// all of a longer past of which the total length says that it is a buffer.
static AffineExpr presentLength(ShapeTransfer &transfer, AffineExpr fresh) {
  AffineExpr total;
  if (std::optional<Dims> content = transfer.content(6);
      content && content->size() == 1)
    total = content->front();
  AffineExpr past =
      transfer.present(3) ? transfer.facts(3).dims[2] : transfer.constant(0);
  AffineExpr joined = transfer.dims.add(past, fresh);
  if (!total || total == joined)
    return joined;
  if (!transfer.present(3)) {
    transfer.require(ir::SizeRelation::Equal, total, fresh);
    return fresh;
  }
  transfer.require(ir::SizeRelation::AtMost, total, joined);
  return transfer.dims.maximum(past, total);
}

/// [B, S, heads * D], K/V caches [B, kv heads, T, D].
/// Keys and values, new and past: the passes take them apart by these ranks.
static Status checkKeysAndValues(ShapeTransfer &transfer, int64_t kvHeads,
                                 AffineExpr channels) {
  for (unsigned operand : {1, 2}) {
    if (!transfer.present(operand))
      continue;
    QOPT_RETURN_IF_ERROR(expectRank(transfer, operand, {3}));
    const Dims &sizes = transfer.facts(operand).dims;
    auto size = headSize(transfer, sizes[2], kvHeads);
    if (!size)
      return size.status();
    auto own = constantValue(*size), expected = constantValue(channels);
    if (own && expected && *own != *expected)
      return transfer.error("operand " + Twine(operand) + " has shape " +
                            transfer.spell(sizes) + "; expected head size " +
                            Twine(*expected));
  }
  return transfer.present(4) ? expectRank(transfer, 4, {4}) : Status();
}

static Status inferGroupQuery(ShapeTransfer &transfer,
                              MSGroupQueryAttentionOp op) {
  QOPT_RETURN_IF_ERROR(expectRank(transfer, 0, {3}));
  const TensorFacts &query = transfer.facts(0);
  int64_t heads = op.getNumHeads(), kvHeads = op.getKvNumHeads();
  if (heads < 1 || kvHeads < 1 || heads % kvHeads)
    return transfer.error("num_heads is " + Twine(heads) +
                          " and kv_num_heads " + Twine(kvHeads) +
                          "; expected a multiple");
  bool packed = !transfer.present(1);
  if (packed == transfer.present(2))
    return transfer.error("only one of key and value is given");
  auto channels =
      headSize(transfer, query.dims[2], packed ? heads + 2 * kvHeads : heads);
  if (!channels)
    return channels.status();
  QOPT_RETURN_IF_ERROR(checkKeysAndValues(transfer, kvHeads, *channels));
  Dims output = query.dims;
  output[2] = transfer.dims.multiply(*channels, transfer.constant(heads));
  AffineExpr width = *channels;
  Type cacheType = query.elementType;
  if (transfer.present(3)) {
    QOPT_RETURN_IF_ERROR(expectRank(transfer, 3, {4}));
    const TensorFacts &past = transfer.facts(3);
    cacheType = past.elementType;
    if (op.getKvCacheBitWidth().value_or(0) == 4)
      width = past.dims[3];
    auto own = constantValue(past.dims[3]), expected = constantValue(width);
    if (own && expected && *own != *expected)
      return transfer.error("past_key has shape " + transfer.spell(past.dims) +
                            "; expected head size " + Twine(*expected));
  }
  AffineExpr length = presentLength(transfer, query.dims[1]);
  Dims cache{query.dims[0], transfer.constant(kvHeads), length, width};
  QOPT_RETURN_IF_ERROR(transfer.result(0, query.elementType, output));
  QOPT_RETURN_IF_ERROR(transfer.result(1, cacheType, cache));
  QOPT_RETURN_IF_ERROR(transfer.result(2, cacheType, cache));
  return transfer.result(
      3, query.elementType,
      {query.dims[0], transfer.constant(heads), query.dims[1], length});
}

static Status inferMultiHead(ShapeTransfer &transfer,
                             MSMultiHeadAttentionOp op) {
  QOPT_RETURN_IF_ERROR(expectRank(transfer, 0, {3, 5}));
  const TensorFacts &query = transfer.facts(0);
  AffineExpr heads = transfer.constant(op.getNumHeads());
  Dims output = query.dims;
  AffineExpr keys = query.dims[1], channels;
  if (output.size() == 5) {
    channels = output[4];
    output = {output[0], output[1], transfer.dims.multiply(heads, channels)};
  } else {
    auto size = headSize(transfer, output[2], op.getNumHeads());
    if (!size)
      return size.status();
    channels = *size;
    if (transfer.present(1))
      keys = transfer.facts(1).dims[transfer.rank(1) == 4 ? 2 : 1];
    if (transfer.present(2))
      output[2] = transfer.rank(2) == 4
                      ? transfer.dims.multiply(heads, transfer.facts(2).dims[3])
                      : transfer.facts(2).dims.back();
  }
  if (transfer.present(6)) {
    QOPT_RETURN_IF_ERROR(expectRank(transfer, 6, {4}));
    keys = transfer.dims.add(transfer.facts(6).dims[2], keys);
  }
  Dims cache{query.dims[0], heads, keys, channels};
  QOPT_RETURN_IF_ERROR(transfer.result(0, query.elementType, output));
  QOPT_RETURN_IF_ERROR(transfer.result(1, query.elementType, cache));
  QOPT_RETURN_IF_ERROR(transfer.result(2, query.elementType, cache));
  return transfer.result(3, query.elementType,
                         {query.dims[0], heads, query.dims[1], keys});
}

static Status inferPackedAttention(ShapeTransfer &transfer, MSAttentionOp op) {
  QOPT_RETURN_IF_ERROR(expectRank(transfer, 0, {3}));
  QOPT_RETURN_IF_ERROR(expectRank(transfer, 1, {2}));
  const TensorFacts &x = transfer.facts(0);
  auto columns = constantValue(transfer.facts(1).dims[1]);
  if (!columns)
    return transfer.error("the weights have no static shape");
  SmallVector<int64_t> hidden{*columns / 3, *columns / 3, *columns / 3};
  if (std::optional<ArrayRef<int64_t>> given = op.getQkvHiddenSizes())
    hidden.assign(given->begin(), given->end());
  if (hidden.size() != 3 || hidden[0] != hidden[1] ||
      hidden[0] + hidden[1] + hidden[2] != *columns)
    return transfer.error("the weights' " + Twine(*columns) +
                          " columns are not q, k and v");
  auto channels =
      headSize(transfer, transfer.constant(hidden[2]), op.getNumHeads());
  if (!channels)
    return channels.status();
  Dims output = x.dims;
  output[2] = transfer.constant(hidden[2]);
  AffineExpr keys = x.dims[1];
  if (transfer.present(4)) {
    QOPT_RETURN_IF_ERROR(expectRank(transfer, 4, {5}));
    keys = transfer.dims.add(transfer.facts(4).dims[3], keys);
  }
  QOPT_RETURN_IF_ERROR(transfer.result(0, x.elementType, output));
  return transfer.result(1, x.elementType,
                         {transfer.constant(2), x.dims[0],
                          transfer.constant(op.getNumHeads()), keys,
                          *channels});
}

/// output, mean, inverse deviation (f32 statistics), sum
static Status inferSkipNorm(ShapeTransfer &transfer) {
  const TensorFacts &x = transfer.facts(0);
  StatusOr<Dims> joined = transfer.broadcast(x.dims, transfer.facts(1).dims);
  if (!joined)
    return joined.status();
  if (x.dims.empty() || transfer.rank(2) != 1 ||
      transfer.facts(2).dims[0] != x.dims.back())
    return transfer.error("gamma does not have the last size of " +
                          transfer.spell(x.dims));
  Dims reduced = x.dims;
  reduced.back() = transfer.constant(1);
  Type f32 = Float32Type::get(transfer.op->getContext());
  QOPT_RETURN_IF_ERROR(transfer.result(0, x.elementType, x.dims));
  QOPT_RETURN_IF_ERROR(transfer.result(1, f32, reduced));
  QOPT_RETURN_IF_ERROR(transfer.result(2, f32, reduced));
  return transfer.result(3, x.elementType, x.dims);
}

static Status inferEmbedNorm(ShapeTransfer &transfer) {
  QOPT_RETURN_IF_ERROR(expectRank(transfer, 0, {2}));
  QOPT_RETURN_IF_ERROR(expectRank(transfer, 2, {2}));
  const Dims &ids = transfer.facts(0).dims;
  const TensorFacts &table = transfer.facts(2);
  Dims output{ids[0], ids[1], table.dims[1]};
  QOPT_RETURN_IF_ERROR(transfer.result(0, table.elementType, output));
  QOPT_RETURN_IF_ERROR(transfer.result(
      1, IntegerType::get(transfer.op->getContext(), 32), {ids[0]}));
  return transfer.result(2, table.elementType, output);
}

static Status sameAsFirst(ShapeTransfer &transfer) {
  const TensorFacts &x = transfer.facts(0);
  return transfer.result(0, x.elementType, x.dims);
}

std::optional<Status> inferMicrosoft(ShapeTransfer &t) {
  return TypeSwitch<Operation *, std::optional<Status>>(t.op)
      .Case([&](MSMatMulNBitsOp op) { return inferMatMulNBits(t, op); })
      .Case([&](MSGroupQueryAttentionOp op) { return inferGroupQuery(t, op); })
      .Case([&](MSMultiHeadAttentionOp op) { return inferMultiHead(t, op); })
      .Case([&](MSAttentionOp op) { return inferPackedAttention(t, op); })
      .Case<MSSkipLayerNormalizationOp, MSSkipSimplifiedLayerNormalizationOp>(
          [&](auto) { return inferSkipNorm(t); })
      .Case([&](MSEmbedLayerNormalizationOp) { return inferEmbedNorm(t); })
      .Case<MSRotaryEmbeddingOp, MSBiasGeluOp, MSFastGeluOp, MSQuickGeluOp>(
          [&](auto) { return sameAsFirst(t); })
      .Default([](Operation *) { return std::nullopt; });
}

} // namespace qopt::onnx
