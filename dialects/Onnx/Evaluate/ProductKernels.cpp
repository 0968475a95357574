// Matrix products: MatMul, Gemm, com.microsoft FusedMatMul, MatMulInteger and
// Einsum. Plain loops in double or 64-bit integers; meant for
// position tables and masks, not for weights.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Onnx/Evaluate/Kernel.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringMap.h"
#include <map>

using namespace mlir;

namespace qopt::onnx {
namespace {

using Shape = HostTensor::Shape;

/// One product of stacks of matrices: shapes, and where each matrix begins.
struct Product {
  Shape shape;                      ///< of the result, numpy rules
  int64_t rows, inner, columns;     ///< of one matrix
  std::vector<int64_t> left, right; ///< first element of each pair of matrices
};

StatusOr<Product> productOf(Shape a, Shape b) {
  if (a.empty() || b.empty())
    return Call::fail("an operand is a scalar");
  bool vectorLeft = a.size() == 1, vectorRight = b.size() == 1;
  if (vectorLeft)
    a.insert(a.begin(), 1);
  if (vectorRight)
    b.push_back(1);
  Product product;
  product.rows = a[a.size() - 2];
  product.inner = a.back();
  product.columns = b.back();
  if (b[b.size() - 2] != product.inner)
    return Call::fail("the inner dimensions differ: " + Twine(product.inner) +
                      " and " + Twine(b[b.size() - 2]));
  ArrayRef<int64_t> stackA = ArrayRef<int64_t>(a).drop_back(2);
  ArrayRef<int64_t> stackB = ArrayRef<int64_t>(b).drop_back(2);
  auto stack = broadcastShapes(stackA, stackB);
  if (!stack)
    return Call::fail("the leading dimensions do not broadcast");
  product.left = stridedPositions(*stack, broadcastStrides(stackA, *stack));
  product.right = stridedPositions(*stack, broadcastStrides(stackB, *stack));
  for (int64_t &start : product.left)
    start *= product.rows * product.inner;
  for (int64_t &start : product.right)
    start *= product.inner * product.columns;
  product.shape = *stack;
  if (!vectorLeft)
    product.shape.push_back(product.rows);
  if (!vectorRight)
    product.shape.push_back(product.columns);
  return product;
}

template <typename T>
std::vector<T> multiply(const Product &product, ArrayRef<T> a, ArrayRef<T> b) {
  std::vector<T> result;
  result.reserve(countOf(product.shape));
  for (size_t m = 0; m < product.left.size(); ++m)
    for (int64_t row = 0; row < product.rows; ++row)
      for (int64_t column = 0; column < product.columns; ++column) {
        T total = 0;
        for (int64_t k = 0; k < product.inner; ++k)
          total += a[product.left[m] + row * product.inner + k] *
                   b[product.right[m] + k * product.columns + column];
        result.push_back(total);
      }
  return result;
}

KernelResult matMul(const Call &call) {
  StatusOr<Product> product =
      productOf(Shape(call.in(0).shape()), Shape(call.in(1).shape()));
  if (!product)
    return product.status();
  QOPT_RETURN_IF_ERROR(call.admit(product->shape));
  if (!call.data())
    return one(HostTensor::shapeOnly(call.element(), product->shape));
  if (isFloat(call.element()))
    return one(HostTensor::ofFloats(
        call.element(), product->shape,
        multiply<double>(*product, call.in(0).floats(), call.in(1).floats())));
  return one(HostTensor::ofInts(
      call.element(), product->shape,
      multiply<int64_t>(*product, call.in(0).ints(), call.in(1).ints())));
}

/// Zero points: scalars, or one a row of A and one a column of B.
KernelResult matMulInteger(const Call &call) {
  StatusOr<Product> product =
      productOf(Shape(call.in(0).shape()), Shape(call.in(1).shape()));
  if (!product)
    return product.status();
  QOPT_RETURN_IF_ERROR(call.admit(product->shape));
  if (!call.data())
    return one(HostTensor::shapeOnly(call.element(), product->shape));
  std::vector<int64_t> a = call.in(0).ints(), b = call.in(1).ints();
  if (call.has(2))
    for (size_t i = 0; i < a.size(); ++i)
      a[i] -= call.in(2).intAt(call.in(2).count() == 1
                                   ? 0
                                   : static_cast<int64_t>(i) / product->inner %
                                         product->rows);
  if (call.has(3))
    for (size_t i = 0; i < b.size(); ++i)
      b[i] -= call.in(3).intAt(
          call.in(3).count() == 1 ? 0
                                  : static_cast<int64_t>(i) % product->columns);
  return one(HostTensor::ofInts(call.element(), product->shape,
                                multiply<int64_t>(*product, a, b)));
}

/// The tensor with its last two axes exchanged.
HostTensor transposed(const HostTensor &tensor) {
  Shape shape(tensor.shape()), strides = stridesOf(shape);
  size_t rank = shape.size();
  std::swap(shape[rank - 1], shape[rank - 2]);
  std::swap(strides[rank - 1], strides[rank - 2]);
  return tensor.hasData()
             ? tensor.taken(shape, stridedPositions(shape, strides))
             : HostTensor::shapeOnly(tensor.element(), shape);
}

/// alpha · A' · B' + beta · C, with C broadcast to the product.
KernelResult scaledProduct(const Call &call, const HostTensor &a,
                           const HostTensor &b) {
  StatusOr<Product> product = productOf(Shape(a.shape()), Shape(b.shape()));
  if (!product)
    return product.status();
  QOPT_RETURN_IF_ERROR(call.admit(product->shape));
  if (!call.data())
    return one(HostTensor::shapeOnly(call.element(), product->shape));
  std::vector<double> result =
      multiply<double>(*product, a.floats(), b.floats());
  double alpha = call.attrFloat("alpha", 1), beta = call.attrFloat("beta", 1);
  for (double &value : result)
    value *= alpha;
  if (call.has(2) && call.name() == "Gemm") {
    std::vector<double> added = call.in(2).floats();
    std::vector<int64_t> from = stridedPositions(
        product->shape, broadcastStrides(call.in(2).shape(), product->shape));
    for (size_t i = 0; i < result.size(); ++i)
      result[i] += beta * added[from[i]];
  }
  return one(HostTensor::ofFloats(call.element(), product->shape, result));
}

KernelResult gemm(const Call &call) {
  return scaledProduct(
      call, call.attr("transA", 0) ? transposed(call.in(0)) : call.in(0),
      call.attr("transB", 0) ? transposed(call.in(1)) : call.in(1));
}

KernelResult fusedMatMul(const Call &call) {
  if (call.attr("transBatchA", 0) || call.attr("transBatchB", 0))
    return Call::fail("transposed batches are not supported");
  return gemm(call);
}

//===--------------------------------------------------------------------===//
// Einsum
//===--------------------------------------------------------------------===//

/// The index space of an equation: every label with its length, those of the
/// result first.
struct Equation {
  SmallVector<std::string> terms;
  std::string result, labels;
  std::map<char, int64_t> lengths;
};

/// The equation without spaces, an ellipsis written as the labels 0, 1, … of
/// the axes that it stands for, counted from the last one.
std::string spelledOut(const Call &call) {
  std::string text, result;
  for (char c : call.attrString("equation", ""))
    if (c != ' ')
      text += c;
  SmallVector<StringRef> terms;
  auto [left, right] = StringRef(text).split("->");
  left.split(terms, ',');
  int64_t longest = 0;
  auto expand = [&](StringRef term, int64_t axes) {
    auto [before, after] = term.split("...");
    result += before;
    if (before.size() != term.size())
      for (int64_t i = axes; i > 0; --i)
        result += static_cast<char>('0' + i - 1);
    result += after;
  };
  for (auto [i, term] : llvm::enumerate(terms)) {
    int64_t rank = i < call.inputCount() ? call.in(i).rank() : 0;
    int64_t axes =
        term.contains("...") ? rank - static_cast<int64_t>(term.size()) + 3 : 0;
    longest = std::max(longest, axes);
    expand(term, axes);
    result += i + 1 < terms.size() ? "," : "";
  }
  if (StringRef(text).contains("->")) {
    result += "->";
    expand(right, longest);
  }
  return result;
}

StatusOr<Equation> equationOf(const Call &call) {
  Equation equation;
  std::string text = spelledOut(call);
  auto [left, right] = StringRef(text).split("->");
  SmallVector<StringRef> terms;
  left.split(terms, ',');
  if (terms.size() != call.inputCount())
    return Call::fail("the equation has another number of operands");
  std::map<char, int> uses;
  for (auto [i, term] : llvm::enumerate(terms)) {
    equation.terms.push_back(term.str());
    if (static_cast<int64_t>(term.size()) != call.in(i).rank())
      return Call::fail("a term does not have its operand's rank");
    for (auto [d, label] : llvm::enumerate(term)) {
      ++uses[label];
      int64_t length = call.in(i).dim(d);
      int64_t &known = equation.lengths.try_emplace(label, 1).first->second;
      if (known != length && known != 1 && length != 1)
        return Call::fail("a label has two lengths");
      known = std::max(known, length);
    }
  }
  equation.result = right.str();
  if (!StringRef(text).contains("->")) // labels that occur once, sorted
    for (auto [label, count] : uses)
      if (count == 1)
        equation.result += label;
  equation.labels = equation.result;
  for (auto [label, length] : equation.lengths)
    if (equation.labels.find(label) == std::string::npos)
      equation.labels += label;
  return equation;
}

KernelResult einsum(const Call &call) {
  StatusOr<Equation> equation = equationOf(call);
  if (!equation)
    return equation.status();
  Shape space, shape;
  for (char label : equation->labels)
    space.push_back(equation->lengths[label]);
  shape.assign(space.begin(), space.begin() + equation->result.size());
  QOPT_RETURN_IF_ERROR(call.admit(shape));
  if (!call.data())
    return one(HostTensor::shapeOnly(call.element(), shape));
  QOPT_RETURN_IF_ERROR(call.admit(space));
  std::vector<double> products(countOf(space), 1);
  for (auto [i, term] : llvm::enumerate(equation->terms)) {
    Shape strides(space.size(), 0), own = stridesOf(call.in(i).shape());
    for (auto [d, label] : llvm::enumerate(term))
      if (call.in(i).dim(d) != 1) // a repeated label walks the diagonal
        strides[equation->labels.find(label)] += own[d];
    std::vector<double> values = call.in(i).floats();
    std::vector<int64_t> from = stridedPositions(space, strides);
    for (size_t k = 0; k < products.size(); ++k)
      products[k] *= values[from[k]];
  }
  std::vector<double> result(countOf(shape), 0);
  size_t each = result.empty() ? 1 : products.size() / result.size();
  for (size_t k = 0; k < products.size(); ++k)
    result[k / each] += products[k];
  return one(HostTensor::ofFloats(call.element(), shape, result));
}

constexpr KernelEntry entries[] = {
    {"MatMul", matMul}, {"MatMulInteger", matMulInteger},
    {"Gemm", gemm},     {"ms.FusedMatMul", fusedMatMul},
    {"Einsum", einsum},
};

} // namespace

ArrayRef<KernelEntry> productKernels() { return entries; }

} // namespace qopt::onnx
