// A small tensor in the compiler's memory: what the reference evaluator of the
// onnx dialect computes with. One byte width an element (sub-byte integers and
// booleans take a byte each), row-major, cheap to copy: data is shared and
// never changed after it is made. A tensor may also be a shape without data,
// for values that only their Shape is asked of. It is not for weights at speed:
// numbers are widened to double or int64 to be computed with.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_DIALECTS_ONNX_EVALUATE_HOSTTENSOR_H
#define QOPT_DIALECTS_ONNX_EVALUATE_HOSTTENSOR_H

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

namespace qopt::onnx {

/// The element types of ONNX tensors that can be computed with.
enum class Element : uint8_t {
  None, ///< an omitted optional operand
  Bool,
  I2,
  U2,
  I4,
  U4,
  I8,
  U8,
  I16,
  U16,
  I32,
  U32,
  I64,
  U64,
  F4E2M1,
  F8E4M3FN,
  F8E4M3FNUZ,
  F8E5M2,
  F8E5M2FNUZ,
  F8E8M0,
  F16,
  BF16,
  F32,
  F64,
};

/// The element of an MLIR element type (signless integers are signed); nothing
/// for a type that ONNX lacks.
std::optional<Element> elementOf(mlir::Type type);
/// Bytes that one element takes in a HostTensor.
unsigned widthOf(Element element);
bool isFloat(Element element);
/// True for signed integers; false for unsigned ones, booleans and floats.
bool isSigned(Element element);
/// Smallest and largest value of an integer element.
std::pair<int64_t, int64_t> rangeOf(Element element);
/// A number limited to the range of an eight-bit or narrower float; wider
/// formats become infinite by rounding.
double saturated(Element element, double value);
/// The number of elements of a shape; 1 for rank 0.
int64_t countOf(llvm::ArrayRef<int64_t> shape);

class HostTensor {
public:
  using Shape = llvm::SmallVector<int64_t, 4>;

  /// An omitted operand.
  HostTensor() = default;
  /// A shape without data.
  static HostTensor shapeOnly(Element element, llvm::ArrayRef<int64_t> shape);
  /// Numbers rounded to nearest even (floats) or truncated and wrapped
  /// (integers).
  static HostTensor ofFloats(Element element, llvm::ArrayRef<int64_t> shape,
                             llvm::ArrayRef<double> values);
  /// Integers, wrapped to the width of an integer element; unsigned 64-bit
  /// values are given by their bits.
  static HostTensor ofInts(Element element, llvm::ArrayRef<int64_t> shape,
                           llvm::ArrayRef<int64_t> values);
  /// A rank-0 tensor.
  static HostTensor scalar(Element element, double value);
  /// Elements in their own format, one width a piece.
  static HostTensor ofBytes(Element element, llvm::ArrayRef<int64_t> shape,
                            std::vector<char> bytes);
  /// Elements that somebody else keeps alive, such as a mapped weight.
  static HostTensor referring(Element element, llvm::ArrayRef<int64_t> shape,
                              llvm::ArrayRef<char> bytes);
  /// The content of a dense or dense_resource attribute; nothing where the
  /// resource is absent or has another size. Byte-wide data is not copied.
  static std::optional<HostTensor> ofAttr(mlir::ElementsAttr attr);

  bool isNone() const { return kind == Element::None; }
  bool hasData() const { return !isNone() && dataKnown; }
  Element element() const { return kind; }
  llvm::ArrayRef<int64_t> shape() const { return dims; }
  int64_t rank() const { return static_cast<int64_t>(dims.size()); }
  int64_t dim(int64_t axis) const { return dims[axis]; }
  int64_t count() const { return countOf(dims); }
  llvm::ArrayRef<char> bytes() const { return content; }
  /// Bytes of memory that this tensor owns (0 for one that refers).
  int64_t ownedBytes() const;

  /// All elements as integers (floats truncate towards zero).
  std::vector<int64_t> ints() const;
  /// All elements as doubles.
  std::vector<double> floats() const;
  /// One element, by its row-major position.
  int64_t intAt(int64_t position) const;
  double floatAt(int64_t position) const;

  /// The same data with another shape of the same count.
  HostTensor reshaped(llvm::ArrayRef<int64_t> shape) const;
  /// The same shape without data.
  HostTensor withoutData() const { return shapeOnly(kind, dims); }
  /// A tensor whose element i is this one's element `positions[i]`.
  HostTensor taken(llvm::ArrayRef<int64_t> shape,
                   llvm::ArrayRef<int64_t> positions) const;
  /// This content as an attribute of `type` (same element and shape).
  mlir::DenseElementsAttr toAttr(mlir::RankedTensorType type) const;

private:
  Element kind = Element::None;
  bool dataKnown = false;
  Shape dims;
  std::shared_ptr<const std::vector<char>> owner;
  llvm::ArrayRef<char> content;
};

/// The linear positions offset + Σ index[d] · strides[d] of all indices of
/// `shape`, in row-major order.
std::vector<int64_t> stridedPositions(llvm::ArrayRef<int64_t> shape,
                                      llvm::ArrayRef<int64_t> strides,
                                      int64_t offset = 0);
/// Row-major strides of a shape.
HostTensor::Shape stridesOf(llvm::ArrayRef<int64_t> shape);
/// Strides with which a tensor of shape `from` is read over the index space
/// `to` (numpy broadcasting; 0 where repeated).
HostTensor::Shape broadcastStrides(llvm::ArrayRef<int64_t> from,
                                   llvm::ArrayRef<int64_t> to);
/// The shape that both broadcast to, or nothing.
std::optional<HostTensor::Shape> broadcastShapes(llvm::ArrayRef<int64_t> a,
                                                 llvm::ArrayRef<int64_t> b);

} // namespace qopt::onnx

#endif // QOPT_DIALECTS_ONNX_EVALUATE_HOSTTENSOR_H
