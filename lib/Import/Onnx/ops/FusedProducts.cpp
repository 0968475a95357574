// Products of com.microsoft with what stands around them in one node, or with
// codes that the standard has in another type: as the operators that they stand
// for. Those of MatMulNBits keep the file's bytes as they are.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Import/Onnx/GraphImporter.h"
#include "lib/Import/Onnx/ops/ConstantViews.h"
#include "lib/Import/Onnx/ops/NodeBuilder.h"
#include "lib/Import/Onnx/ops/Upgrades.h"

using namespace mlir;

namespace qopt::import {

static Type elementOf(Value value) {
  return cast<ShapedType>(value.getType()).getElementType();
}

static Status refuse(const llvm::Twine &what) {
  return Status(StatusCode::Unsupported, what.str());
}

namespace {
/// Products of MatMulNBits of one x, normalized first where it has a scale.
class SharedInput {
public:
  /// A, skip and the norm's scale are inputs 0 to 2.
  SharedInput(NodeContext &node, NodeBuilder &b, float epsilon);

  /// [.., n] with B, scales and bias from input `first` on.
  Value product(unsigned first, int64_t n);
  /// A + skip, null without a skip.
  Value sum;

private:
  NodeContext &node;
  NodeBuilder &b;
  Value x;
  int64_t columns, bits, block, accuracy;
};
} // namespace

SharedInput::SharedInput(NodeContext &node, NodeBuilder &b, float epsilon)
    : node(node), b(b), x(node.input(0)), columns(node.integer("K", 0)),
      bits(node.integer("bits", 4)), block(node.integer("block_size", 0)),
      accuracy(node.integer("accuracy_level", 0)) {
  NamedAttrList attrs;
  attrs.set("epsilon", node.builder().getF32FloatAttr(epsilon));
  if (node.hasInput(1)) {
    SmallVector<Value> normed =
        b.createAll("ms.SkipSimplifiedLayerNormalization",
                    {x, node.input(1), b.input(2), b.none()}, 4, attrs);
    x = normed[0];
    sum = normed[3];
  } else if (node.hasInput(2)) {
    x = b.createAll("ms.SimplifiedLayerNormalization", {x, node.input(2)}, 2,
                    attrs)[0];
  }
}

Value SharedInput::product(unsigned first, int64_t n) {
  OpBuilder &builder = node.builder();
  NamedAttrList attrs;
  for (auto [name, value] : {std::pair("K", columns),
                             {"N", n},
                             {"bits", bits},
                             {"block_size", block},
                             {"accuracy_level", accuracy}})
    attrs.set(name, builder.getI64IntegerAttr(value));
  return b.create("ms.MatMulNBits",
                  {x, node.input(first), node.input(first + 1), b.none(),
                   b.none(), b.input(first + 2)},
                  attrs);
}

/// A norm scale is what a skip is for.
static Status checkSkip(NodeContext &node) {
  if (node.hasInput(1) && !node.hasInput(2))
    return Status(StatusCode::BadModel,
                  "the node has a skip and no norm_scale; expected both");
  return {};
}

/// silu(x W_gate) · (x W_up).
Status buildMatMulNBitsMlp(NodeContext &node) {
  QOPT_RETURN_IF_ERROR(requireInputs(node, {0, 3, 4, 6, 7}));
  QOPT_RETURN_IF_ERROR(checkSkip(node));
  if (std::string name = node.text("activation", ""); name != "silu")
    return refuse("the activation \"" + name +
                  "\" is not supported; expected silu");
  NodeBuilder b(node);
  SharedInput x(node, b, node.number("epsilon", 1e-5f));
  int64_t n = node.integer("N", 0);
  Value gate = x.product(3, n), up = x.product(6, n);
  gate = b.create("Mul", {gate, b.create("Sigmoid", {gate})});
  return b.finish({b.create("Mul", {gate, up}), x.sum});
}

/// x W of queries, keys and values.
Status buildMatMulNBitsQkv(NodeContext &node) {
  QOPT_RETURN_IF_ERROR(requireInputs(node, {0, 2, 3, 4, 6, 7, 9, 10}));
  NodeBuilder b(node);
  SharedInput x(node, b, node.number("epsilon", 1e-6f));
  int64_t queries = node.integer("Nq", 0), keys = node.integer("Nkv", 0);
  return b.finish(
      {x.product(3, queries), x.product(6, keys), x.product(9, keys), x.sum});
}

/// A of f16 or bf16 times Wᵀ [N, K] of f32, as exact as f32 is, and the bias.
static Value timesRows(NodeContext &node, NodeBuilder &b, Value a, Value w,
                       Value bias) {
  NamedAttrList swap;
  swap.set("perm", node.builder().getDenseI64ArrayAttr({1, 0}));
  Value y = b.create("MatMul",
                     {b.cast(a, b.f32()), b.create("Transpose", {w}, swap)});
  if (!onnx::isAbsent(bias))
    y = b.create("Add", {y, b.cast(bias, b.f32())});
  return b.cast(y, elementOf(node.input(0)));
}

static NamedAttrList blocksOf(NodeContext &node, int64_t size) {
  NamedAttrList attrs;
  attrs.set("axis", node.builder().getI64IntegerAttr(1));
  attrs.set("block_size", node.builder().getI64IntegerAttr(size));
  return attrs;
}

static Status checkBlock(int64_t size) {
  if (size > 0)
    return {};
  return Status(StatusCode::BadModel, "block_size is " + std::to_string(size) +
                                          "; expected 1 or more");
}

/// Inputs: A, codes of e4m3 [N, K], scales of blocks of K, A's own scale, bias.
Status buildMatMulBlockQuantizedFp8Weight(NodeContext &node) {
  NodeBuilder b(node);
  Value a = node.input(0), w = node.input(1);
  int64_t block = node.integer("block_size", 128);
  QOPT_RETURN_IF_ERROR(checkBlock(block));
  if (!isa<Float8E4M3FNType>(elementOf(w)))
    return Status(StatusCode::BadModel, "input 1 is not of float8e4m3fn");
  if (node.hasInput(3)) {
    Value codes = b.create("QuantizeLinear",
                           {b.cast(a, b.f32()), node.input(3), b.none()},
                           b.axis(1), elementOf(w));
    a = b.create("DequantizeLinear", {codes, node.input(3), b.none()},
                 b.axis(1), b.f32());
  }
  Value wide = b.create("DequantizeLinear", {w, node.input(2), b.none()},
                        blocksOf(node, block), b.f32());
  return b.finish({timesRows(node, b, a, wide, b.input(4))});
}

/// A constant of bytes [rows, columns] as one of `element`, so many a byte.
static StatusOr<Value> bytesAs(NodeContext &node, unsigned index, Type element,
                               int64_t perByte) {
  auto constant = node.input(index).getDefiningOp<onnx::ConstantOp>();
  if (!constant)
    return refuse("input " + llvm::Twine(index) +
                  " is computed; packed codes must be constants");
  auto value = cast<ElementsAttr>(constant.getValue());
  auto type = cast<RankedTensorType>(value.getShapedType());
  if (type.getElementType() == element)
    return node.input(index);
  if (!type.getElementType().isUnsignedInteger(8) || type.getRank() != 2)
    return Status(StatusCode::BadModel,
                  "input " + std::to_string(index) + " is no matrix of uint8");
  auto wanted = RankedTensorType::get(
      {type.getDimSize(0), type.getDimSize(1) * perByte}, element);
  return node.importer().constant(
      node.location(), viewOf(value, wanted, 0, keyOf(value, "codes")));
}

/// Inputs: A, packed codes of e2m1 [N, K / 2], bytes of e4m3 for blocks of K,
/// their f32, a scale of A that nothing reads, bias.
Status buildMatMulBlockQuantizedFp4Weight(NodeContext &node) {
  NodeBuilder b(node);
  MLIRContext *context = node.builder().getContext();
  int64_t block = node.integer("block_size", 16);
  QOPT_RETURN_IF_ERROR(checkBlock(block));
  auto w = bytesAs(node, 1, Float4E2M1FNType::get(context), 2);
  QOPT_RETURN_IF_ERROR(w.status());
  auto scales = bytesAs(node, 2, Float8E4M3FNType::get(context), 1);
  QOPT_RETURN_IF_ERROR(scales.status());
  Value wide = b.create("DequantizeLinear", {*scales, node.input(3), b.none()},
                        b.axis(1), b.f32());
  Value matrix = b.create("DequantizeLinear", {*w, wide, b.none()},
                          blocksOf(node, block), b.f32());
  return b.finish({timesRows(node, b, node.input(0), matrix, b.input(5))});
}

/// One side of GemmFloat8, in f32.
static Value wideSide(NodeContext &node, NodeBuilder &b, unsigned side,
                      unsigned scale) {
  Value x = node.input(side);
  if (elementOf(x).getIntOrFloatBitWidth() > 8 || !node.hasInput(scale))
    return b.cast(x, b.f32());
  return b.create("DequantizeLinear", {x, node.input(scale), b.none()},
                  b.axis(1), b.f32());
}

/// act(alpha · a A · b B + beta · C), of A and B in 8 bits with scales a and b.
Status buildGemmFloat8(NodeContext &node) {
  OpBuilder &builder = node.builder();
  NodeBuilder b(node);
  if (node.hasInput(5))
    return refuse("scaleY, which results of 8 bits have, is not supported; "
                  "export with a result of 16 or 32 bits");
  Type type =
      elementType(int32_t(node.integer("dtype", 1)), builder.getContext());
  if (!type || !isa<FloatType>(type) || type.getIntOrFloatBitWidth() < 16)
    return refuse("results of " +
                  dataTypeName(int32_t(node.integer("dtype", 1))) +
                  " are not supported; expected 16 or 32 bits");
  NamedAttrList attrs;
  for (const char *name : {"alpha", "beta"})
    attrs.set(name, builder.getF32FloatAttr(
                        node.number(name, name[0] == 'a' ? 1.0f : 0.0f)));
  for (const char *name : {"transA", "transB"})
    attrs.set(name, builder.getBoolAttr(node.integer(name, 0) != 0));
  Value added = node.hasInput(2) ? b.cast(node.input(2), b.f32()) : b.none();
  Value y = b.create(
      "Gemm", {wideSide(node, b, 0, 3), wideSide(node, b, 1, 4), added}, attrs);
  std::string activation = node.text("activation", "NONE");
  if (activation == "RELU")
    y = b.create("Relu", {y});
  else if (activation == "GELU")
    y = b.create("Gelu", {y});
  else if (activation != "NONE")
    return refuse("the activation \"" + activation +
                  "\" is not supported; expected NONE, RELU or GELU");
  return b.finish({b.cast(y, type)});
}

/// The numbers of bitsandbytes' codes of 4 bits, e2m1 in an order of its own
/// (0) and the quantiles of NF4 (1, arXiv 2305.14314, appendix E).
static constexpr float bnbNumbers[2][16] = {
    {0.0f, 0.0052083333f, 0.66666667f, 1.0f, 0.33333333f, 0.5f, 0.16666667f,
     0.25f, -0.0f, -0.0052083333f, -0.66666667f, -1.0f, -0.33333333f, -0.5f,
     -0.16666667f, -0.25f},
    {-1.0f, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f,
     -0.28444138169288635f, -0.18477343022823334f, -0.09105003625154495f, 0.0f,
     0.07958029955625534f, 0.16093020141124725f, 0.24611230194568634f,
     0.33791524171829224f, 0.44070982933044434f, 0.5626170039176941f,
     0.7229568362236023f, 1.0f}};

/// x Wᵀ with W [N, K] of packed codes, the first in the high bits, and a scale
/// for every `block_size` of them, across rows, too.
Status buildMatMulBnb4(NodeContext &node) {
  OpBuilder &builder = node.builder();
  NodeBuilder b(node);
  QOPT_RETURN_IF_ERROR(node.expect("training_mode", 0));
  if (node.integer("transB", 1) != 1)
    return refuse("transB 0, which training has, is not supported");
  int64_t kind = node.integer("quant_type", -1);
  int64_t block = node.integer("block_size", 0);
  int64_t rows = node.integer("N", 0), columns = node.integer("K", 0);
  auto codes = dyn_cast<RankedTensorType>(node.input(1).getType());
  if (kind != 0 && kind != 1)
    return refuse("quant_type " + llvm::Twine(kind) +
                  " is not supported; expected 0 (FP4) or 1 (NF4)");
  if (block < 16 || rows < 1 || columns < 1 || rows > INT32_MAX ||
      columns > INT32_MAX || rows * columns % block)
    return refuse("blocks of " + llvm::Twine(block) + " do not divide the " +
                  llvm::Twine(rows) + " x " + llvm::Twine(columns) +
                  " weights");
  if (!codes || !codes.hasStaticShape() ||
      codes.getNumElements() != rows * columns / 2)
    return Status(StatusCode::BadModel, "input 1 has other bytes than the " +
                                            std::to_string(rows * columns / 2) +
                                            " of N x K codes");
  auto byte = [&](int value) {
    auto type = RankedTensorType::get({}, codes.getElementType());
    return node.importer().constant(
        node.location(),
        DenseElementsAttr::get(type, APInt(8, uint64_t(value))));
  };
  NamedAttrList right;
  right.set("direction", builder.getStringAttr("RIGHT"));
  Value bytes = b.create("Reshape", {node.input(1), node.constant({-1, 1})});
  Value pairs = b.create("Concat",
                         {b.create("BitShift", {bytes, byte(4)}, right),
                          b.create("BitwiseAnd", {bytes, byte(15)})},
                         b.axis(1));
  Value table = node.importer().constant(
      node.location(),
      DenseElementsAttr::get(RankedTensorType::get({16}, b.f32()),
                             ArrayRef(bnbNumbers[kind])));
  Value numbers = b.create(
      "Gather", {table, b.cast(pairs, builder.getI64Type())}, b.axis(0));
  numbers = b.create("Reshape", {numbers, node.constant({-1, block})});
  Value scales = b.create(
      "Reshape", {b.cast(node.input(2), b.f32()), node.constant({-1, 1})});
  Value w = b.create("Reshape", {b.create("Mul", {numbers, scales}),
                                 node.constant({rows, columns})});
  return b.finish({timesRows(node, b, node.input(0), w, b.none())});
}

} // namespace qopt::import
