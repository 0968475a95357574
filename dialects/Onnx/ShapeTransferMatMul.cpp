// Shape functions of contractions and of the quantized forms of the default
// domain.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Onnx/OnnxOps.h"
#include "dialects/Onnx/ShapeTransfer.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace qopt::onnx {

/// NumPy's matmul of two shapes.
static StatusOr<Dims> matMulShape(ShapeTransfer &transfer, Dims a, Dims b) {
  if (a.empty() || b.empty())
    return transfer.error("an operand is a scalar");
  bool vectorA = a.size() == 1, vectorB = b.size() == 1;
  auto mismatch = [&](ArrayRef<AffineExpr> x, ArrayRef<AffineExpr> y) {
    return transfer.error("the shapes " + transfer.spell(x) + " and " +
                          transfer.spell(y) + " do not multiply");
  };
  Dims fullA = a, fullB = b;
  if (vectorA)
    a.insert(a.begin(), transfer.constant(1));
  if (vectorB)
    b.push_back(transfer.constant(1));
  auto innerA = constantValue(a.back());
  auto innerB = constantValue(b[b.size() - 2]);
  if (innerA && innerB && *innerA != *innerB)
    return mismatch(fullA, fullB);
  transfer.require(ir::SizeRelation::Equal, a.back(), b[b.size() - 2]);
  StatusOr<Dims> sizes =
      transfer.broadcast(ArrayRef(a).drop_back(2), ArrayRef(b).drop_back(2));
  if (!sizes)
    return mismatch(fullA, fullB);
  if (!vectorA)
    sizes->push_back(a[a.size() - 2]);
  if (!vectorB)
    sizes->push_back(b.back());
  return sizes;
}

static Status inferMatMulOp(ShapeTransfer &transfer, unsigned operandB,
                            Type elementType) {
  StatusOr<Dims> sizes = matMulShape(transfer, transfer.facts(0).dims,
                                     transfer.facts(operandB).dims);
  if (!sizes)
    return sizes.status();
  return transfer.result(0, elementType, *sizes);
}

static Status inferFusedMatMul(ShapeTransfer &transfer, MSFusedMatMulOp op) {
  Dims a = transfer.facts(0).dims, b = transfer.facts(1).dims;
  if (a.size() < 2 || b.size() < 2)
    return transfer.error("an operand has rank below 2");
  if (op.getTransA())
    std::swap(a.back(), a[a.size() - 2]);
  if (op.getTransB())
    std::swap(b.back(), b[b.size() - 2]);
  StatusOr<Dims> sizes = matMulShape(transfer, a, b);
  if (!sizes)
    return sizes.status();
  return transfer.result(0, transfer.facts(0).elementType, *sizes);
}

static Status inferGemm(ShapeTransfer &transfer, GemmOp op) {
  Dims a = transfer.facts(0).dims, b = transfer.facts(1).dims;
  if (a.size() != 2 || b.size() != 2)
    return transfer.error("the operands are no matrices: " + transfer.spell(a) +
                          " and " + transfer.spell(b));
  if (op.getTransA())
    std::swap(a[0], a[1]);
  if (op.getTransB())
    std::swap(b[0], b[1]);
  StatusOr<Dims> sizes = matMulShape(transfer, a, b);
  if (!sizes)
    return sizes.status();
  if (transfer.present(2)) {
    StatusOr<Dims> joined = transfer.broadcast(*sizes, transfer.facts(2).dims);
    if (!joined)
      return joined.status();
    if (joined->size() != 2)
      return transfer.error("C has rank above 2");
    const Dims &c = transfer.facts(2).dims;
    for (size_t i = 1; i <= c.size(); ++i)
      transfer.requireFits(c[c.size() - i], (*sizes)[2 - i]);
  }
  return transfer.result(0, transfer.facts(0).elementType, *sizes);
}

namespace {

/// An Einstein sum's equation: letters per operand; '.' stands for the whole
/// ellipsis.
struct Equation {
  SmallVector<std::string> terms;
  std::string output;
};

} // namespace

static Equation parseEquation(StringRef text) {
  std::string compact;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text.substr(i).starts_with("...")) {
      compact += '.';
      i += 2;
    } else if (text[i] != ' ') {
      compact += text[i];
    }
  }
  auto [inputs, output] = StringRef(compact).split("->");
  Equation equation;
  SmallVector<StringRef> terms;
  inputs.split(terms, ',');
  for (StringRef term : terms)
    equation.terms.push_back(term.str());
  equation.output = output.str();
  if (StringRef(compact).contains("->"))
    return equation;
  // Without an arrow: the ellipsis, then the letters that occur once.
  if (inputs.contains('.'))
    equation.output = ".";
  std::string letters(inputs);
  llvm::sort(letters);
  for (char letter : letters)
    if (llvm::isAlpha(letter) && inputs.count(letter) == 1)
      equation.output += letter;
  return equation;
}

static Status inferEinsum(ShapeTransfer &transfer, EinsumOp op) {
  Equation equation = parseEquation(op.getEquation());
  if (equation.terms.size() != op->getNumOperands())
    return transfer.error("the equation has " + Twine(equation.terms.size()) +
                          " terms for " + Twine(op->getNumOperands()) +
                          " operands");
  llvm::SmallDenseMap<char, AffineExpr> sizes;
  Dims ellipsis;
  for (auto [index, term] : llvm::enumerate(equation.terms)) {
    const Dims &dims = transfer.facts(index).dims;
    size_t letters = term.size() - llvm::count(term, '.');
    bool open = letters != term.size();
    if (letters > dims.size() || (!open && letters != dims.size()))
      return transfer.error("the term \"" + term +
                            "\" does not fit an operand of shape " +
                            transfer.spell(dims));
    size_t place = 0;
    for (char letter : term) {
      if (letter == '.') {
        size_t count = dims.size() - letters;
        StatusOr<Dims> joined =
            transfer.broadcast(ellipsis, ArrayRef(dims).slice(place, count));
        if (!joined)
          return joined.status();
        ellipsis = *joined;
        place += count;
        continue;
      }
      AffineExpr &known = sizes[letter];
      AffineExpr size = dims[place++];
      transfer.require(ir::SizeRelation::Equal, known, size);
      known = known ? transfer.dims.broadcast(known, size) : size;
      if (!known)
        return transfer.error("the sizes of \"" + Twine(letter) + "\" differ");
    }
  }
  Dims result;
  for (char letter : equation.output) {
    if (letter == '.') {
      llvm::append_range(result, ellipsis);
      continue;
    }
    auto found = sizes.find(letter);
    if (found == sizes.end())
      return transfer.error("\"" + Twine(letter) + "\" is in no operand");
    result.push_back(found->second);
  }
  return transfer.result(0, transfer.facts(0).elementType, result);
}

static Status inferConv(ShapeTransfer &transfer, ConvOp op) {
  const TensorFacts &x = transfer.facts(0), &w = transfer.facts(1);
  size_t spatial = x.dims.size() < 3 ? 0 : x.dims.size() - 2;
  if (!spatial || w.dims.size() != x.dims.size() ||
      op.getStrides().size() != spatial ||
      op.getDilations().size() != spatial || op.getPads().size() != 2 * spatial)
    return transfer.error("x " + transfer.spell(x.dims) + ", weights " +
                          transfer.spell(w.dims) +
                          " and the attributes differ in rank");
  auto channels = constantValue(x.dims[1]), depth = constantValue(w.dims[1]);
  if (op.getGroup() < 1 ||
      (channels && depth && *channels != *depth * op.getGroup()))
    return transfer.error("x " + transfer.spell(x.dims) +
                          " does not have the channels of weights " +
                          transfer.spell(w.dims) + " in " +
                          Twine(op.getGroup()) + " groups");
  transfer.require(
      ir::SizeRelation::Equal, x.dims[1],
      transfer.dims.multiply(w.dims[1], transfer.constant(op.getGroup())));
  if (transfer.present(2) && transfer.rank(2) == 1)
    transfer.require(ir::SizeRelation::Equal, transfer.facts(2).dims[0],
                     w.dims[0]);
  Dims sizes{x.dims[0], w.dims[0]};
  for (size_t i = 0; i < spatial; ++i) {
    int64_t stride = op.getStrides()[i], dilation = op.getDilations()[i];
    auto kernel = constantValue(w.dims[i + 2]);
    if (!kernel || stride < 1 || dilation < 1)
      return transfer.error("the kernel's size is not known, or a stride or "
                            "dilation is below 1");
    AffineExpr size = x.dims[i + 2];
    bool same = op.getAutoPad().starts_with("SAME");
    int64_t taken = same ? 1 : (*kernel - 1) * dilation + 1;
    if (op.getAutoPad() == "NOTSET")
      taken -= op.getPads()[i] + op.getPads()[i + spatial];
    if (!same)
      transfer.require(ir::SizeRelation::AtMost, transfer.constant(taken),
                       size);
    AffineExpr steps =
        transfer.dims.subtract(size, transfer.constant(taken - stride));
    AffineExpr count = transfer.dims.floorQuotient(steps, stride);
    sizes.push_back(constantValue(count) || transfer.dims.isNonNegative(count)
                        ? count
                        : transfer.unknown());
  }
  return transfer.result(0, x.elementType, sizes);
}

static Status inferCausalConv(ShapeTransfer &transfer) {
  const TensorFacts &x = transfer.facts(0), &w = transfer.facts(1);
  if (x.dims.size() != 3 || w.dims.size() != 3)
    return transfer.error("x and weights have rank other than 3");
  QOPT_RETURN_IF_ERROR(transfer.result(0, x.elementType, x.dims));
  AffineExpr state = transfer.dims.subtract(w.dims[2], transfer.constant(1));
  return transfer.result(1, x.elementType, {x.dims[0], x.dims[1], state});
}

/// The scale of a (de)quantization: scalar, along an axis, or per block.
static Status checkScales(ShapeTransfer &transfer, int64_t wanted,
                          int64_t block) {
  const Dims &x = transfer.facts(0).dims, &scale = transfer.facts(1).dims;
  auto isSingle = [](const Dims &sizes) {
    return sizes.empty() || (sizes.size() == 1 && constantValue(sizes[0]) == 1);
  };
  if (transfer.present(2) && transfer.facts(2).dims != scale &&
      !(isSingle(scale) && isSingle(transfer.facts(2).dims)))
    return transfer.error(
        "scale " + transfer.spell(scale) + " and zero point " +
        transfer.spell(transfer.facts(2).dims) + " differ in shape");
  if (scale.empty() || (isSingle(scale) && !block))
    return {};
  StatusOr<int64_t> axis = transfer.axis(wanted, x.size());
  if (!axis)
    return axis.status();
  Dims expected{x[*axis]};
  if (block) {
    expected = x;
    if (auto size = constantValue(x[*axis]))
      expected[*axis] = transfer.constant(llvm::divideCeil(*size, block));
    else
      expected[*axis] = scale.size() == x.size() ? scale[*axis] : x[*axis];
  }
  if (block < 0 || scale.size() != expected.size())
    return transfer.error("scales of shape " + transfer.spell(scale) +
                          " do not fit x of shape " + transfer.spell(x) +
                          "; expected " + transfer.spell(expected));
  for (auto [own, full] : llvm::zip(scale, expected)) {
    transfer.require(ir::SizeRelation::Equal, own, full);
    if (constantValue(own) && constantValue(full) && own != full)
      return transfer.error("scales of shape " + transfer.spell(scale) +
                            " do not fit x of shape " + transfer.spell(x) +
                            "; expected " + transfer.spell(expected));
  }
  return {};
}

static Status inferQuantize(ShapeTransfer &transfer, QuantizeLinearOp op) {
  QOPT_RETURN_IF_ERROR(checkScales(transfer, op.getAxis(), op.getBlockSize()));
  Type type = cast<ShapedType>(op.getY().getType()).getElementType();
  if (transfer.present(2))
    type = transfer.facts(2).elementType;
  return transfer.result(0, type, transfer.facts(0).dims);
}

static Status inferDequantize(ShapeTransfer &transfer, DequantizeLinearOp op) {
  QOPT_RETURN_IF_ERROR(checkScales(transfer, op.getAxis(), op.getBlockSize()));
  Type type = transfer.facts(1).elementType;
  if (isa<Float8E8M0FNUType>(type)) // the importer knows what is asked
    type = cast<ShapedType>(op.getY().getType()).getElementType();
  return transfer.result(0, type, transfer.facts(0).dims);
}

static Status inferDynamicQuantize(ShapeTransfer &transfer) {
  const TensorFacts &x = transfer.facts(0);
  Type ui8 =
      IntegerType::get(transfer.op->getContext(), 8, IntegerType::Unsigned);
  QOPT_RETURN_IF_ERROR(transfer.result(0, ui8, x.dims));
  QOPT_RETURN_IF_ERROR(transfer.result(1, x.elementType, {}));
  return transfer.result(2, ui8, {});
}

std::optional<Status> inferMatMul(ShapeTransfer &t) {
  return TypeSwitch<Operation *, std::optional<Status>>(t.op)
      .Case([&](MatMulOp op) -> Status {
        if (t.facts(0).elementType != t.facts(1).elementType)
          return t.error("the operands have different element types");
        return inferMatMulOp(t, 1, t.facts(0).elementType);
      })
      .Case([&](MatMulIntegerOp op) {
        return inferMatMulOp(t, 1, IntegerType::get(op.getContext(), 32));
      })
      .Case([&](QLinearMatMulOp) {
        return inferMatMulOp(t, 3, t.facts(7).elementType);
      })
      .Case([&](MSFusedMatMulOp op) { return inferFusedMatMul(t, op); })
      .Case([&](GemmOp op) { return inferGemm(t, op); })
      .Case([&](EinsumOp op) { return inferEinsum(t, op); })
      .Case([&](ConvOp op) { return inferConv(t, op); })
      .Case([&](CausalConvWithStateOp) { return inferCausalConv(t); })
      .Case([&](QuantizeLinearOp op) { return inferQuantize(t, op); })
      .Case([&](DequantizeLinearOp op) { return inferDequantize(t, op); })
      .Case([&](DynamicQuantizeLinearOp) { return inferDynamicQuantize(t); })
      .Default([](Operation *) { return std::nullopt; });
}

} // namespace qopt::onnx
