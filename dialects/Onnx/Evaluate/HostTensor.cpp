// Element formats, conversion to and from wide numbers and attributes, and the
// strided index arithmetic that every data-moving kernel shares.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Onnx/Evaluate/HostTensor.h"
#include "dialects/QOpt/StoredElements.h"
#include "lib/Quant/FloatConversion.h"
#include "llvm/ADT/APFloat.h"
#include "llvm/ADT/STLExtras.h"
#include <cassert>
#include <cmath>
#include <cstring>
#include <limits>

using namespace mlir;
using llvm::APFloat;

namespace qopt::onnx {

std::optional<Element> elementOf(Type type) {
  if (isa<NoneType>(type))
    return Element::None;
  if (auto integer = dyn_cast<IntegerType>(type)) {
    bool isUnsigned = integer.isUnsigned();
    switch (integer.getWidth()) {
    case 1:
      return Element::Bool;
    case 2:
      return isUnsigned ? Element::U2 : Element::I2;
    case 4:
      return isUnsigned ? Element::U4 : Element::I4;
    case 8:
      return isUnsigned ? Element::U8 : Element::I8;
    case 16:
      return isUnsigned ? Element::U16 : Element::I16;
    case 32:
      return isUnsigned ? Element::U32 : Element::I32;
    case 64:
      return isUnsigned ? Element::U64 : Element::I64;
    default:
      return std::nullopt;
    }
  }
  return llvm::TypeSwitch<Type, std::optional<Element>>(type)
      .Case<IndexType>([](Type) { return Element::I64; })
      .Case<Float4E2M1FNType>([](Type) { return Element::F4E2M1; })
      .Case<Float8E4M3FNType>([](Type) { return Element::F8E4M3FN; })
      .Case<Float8E4M3FNUZType>([](Type) { return Element::F8E4M3FNUZ; })
      .Case<Float8E5M2Type>([](Type) { return Element::F8E5M2; })
      .Case<Float8E5M2FNUZType>([](Type) { return Element::F8E5M2FNUZ; })
      .Case<Float8E8M0FNUType>([](Type) { return Element::F8E8M0; })
      .Case<Float16Type>([](Type) { return Element::F16; })
      .Case<BFloat16Type>([](Type) { return Element::BF16; })
      .Case<Float32Type>([](Type) { return Element::F32; })
      .Case<Float64Type>([](Type) { return Element::F64; })
      .Default([](Type) { return std::nullopt; });
}

unsigned widthOf(Element element) {
  switch (element) {
  case Element::None:
    return 0;
  case Element::I16:
  case Element::U16:
  case Element::F16:
  case Element::BF16:
    return 2;
  case Element::I32:
  case Element::U32:
  case Element::F32:
    return 4;
  case Element::I64:
  case Element::U64:
  case Element::F64:
    return 8;
  default:
    return 1;
  }
}

bool isFloat(Element element) { return element >= Element::F4E2M1; }

bool isSigned(Element element) {
  return element == Element::I2 || element == Element::I4 ||
         element == Element::I8 || element == Element::I16 ||
         element == Element::I32 || element == Element::I64;
}

/// Significant bits of an integer element.
static unsigned bitsOf(Element element) {
  switch (element) {
  case Element::Bool:
    return 1;
  case Element::I2:
  case Element::U2:
    return 2;
  case Element::I4:
  case Element::U4:
    return 4;
  default:
    return widthOf(element) * 8;
  }
}

std::pair<int64_t, int64_t> rangeOf(Element element) {
  unsigned bits = bitsOf(element);
  if (isSigned(element))
    return {llvm::minIntN(bits), llvm::maxIntN(bits)};
  // The largest u64 does not fit; its users saturate at the largest i64.
  return {0, bits == 64 ? std::numeric_limits<int64_t>::max()
                        : static_cast<int64_t>(llvm::maxUIntN(bits))};
}

double saturated(Element element, double value) {
  double limit = element == Element::F8E4M3FN     ? 448
                 : element == Element::F8E4M3FNUZ ? 240
                 : element == Element::F8E5M2     ? 57344
                 : element == Element::F8E5M2FNUZ ? 57344
                 : element == Element::F4E2M1     ? 6
                                                  : INFINITY;
  return std::isnan(value) ? value : std::min(std::max(value, -limit), limit);
}

int64_t countOf(ArrayRef<int64_t> shape) {
  int64_t count = 1;
  for (int64_t dim : shape)
    count *= dim;
  return count;
}

//===--------------------------------------------------------------------===//
// Wide numbers
//===--------------------------------------------------------------------===//

static const llvm::fltSemantics &semanticsOf(Element element) {
  switch (element) {
  case Element::F4E2M1:
    return APFloat::Float4E2M1FN();
  case Element::F8E4M3FN:
    return APFloat::Float8E4M3FN();
  case Element::F8E4M3FNUZ:
    return APFloat::Float8E4M3FNUZ();
  case Element::F8E5M2:
    return APFloat::Float8E5M2();
  case Element::F8E5M2FNUZ:
    return APFloat::Float8E5M2FNUZ();
  case Element::F8E8M0:
    return APFloat::Float8E8M0FNU();
  case Element::F16:
    return APFloat::IEEEhalf();
  case Element::BF16:
    return APFloat::BFloat();
  case Element::F32:
    return APFloat::IEEEsingle();
  default:
    return APFloat::IEEEdouble();
  }
}

template <typename T> static T loadAs(const char *place) {
  T value;
  std::memcpy(&value, place, sizeof(T));
  return value;
}

static int64_t loadInt(Element element, const char *place) {
  switch (element) {
  case Element::I8:
  case Element::I4:
  case Element::I2:
    return loadAs<int8_t>(place);
  case Element::I16:
    return loadAs<int16_t>(place);
  case Element::U16:
    return loadAs<uint16_t>(place);
  case Element::I32:
    return loadAs<int32_t>(place);
  case Element::U32:
    return loadAs<uint32_t>(place);
  case Element::I64:
  case Element::U64:
    return loadAs<int64_t>(place);
  default:
    return loadAs<uint8_t>(place);
  }
}

/// The two 16-bit formats by their bits: tables of them are large.
static double halfOf(uint16_t bits) {
  int exponent = bits >> 10 & 31, fraction = bits & 1023;
  double size = exponent == 31  ? (fraction ? NAN : INFINITY)
                : exponent == 0 ? std::ldexp(fraction, -24)
                                : std::ldexp(1024 + fraction, exponent - 25);
  return bits >> 15 ? -size : size;
}
static double bfloatOf(uint16_t bits) {
  uint32_t wide = static_cast<uint32_t>(bits) << 16;
  return loadAs<float>(reinterpret_cast<const char *>(&wide));
}

static double loadFloat(Element element, const char *place) {
  if (element == Element::F32)
    return loadAs<float>(place);
  if (element == Element::F16)
    return halfOf(loadAs<uint16_t>(place));
  if (element == Element::BF16)
    return bfloatOf(loadAs<uint16_t>(place));
  if (element == Element::F64)
    return loadAs<double>(place);
  if (!isFloat(element)) {
    int64_t value = loadInt(element, place);
    return element == Element::U64
               ? static_cast<double>(static_cast<uint64_t>(value))
               : static_cast<double>(value);
  }
  const llvm::fltSemantics &semantics = semanticsOf(element);
  APFloat value(semantics, llvm::APInt(APFloat::getSizeInBits(semantics),
                                       loadAs<uint8_t>(place),
                                       /*isSigned=*/false,
                                       /*implicitTrunc=*/true));
  return value.convertToDouble();
}

static void storeInt(Element element, char *place, int64_t value) {
  unsigned bits = bitsOf(element);
  if (element == Element::Bool)
    value = value != 0;
  else if (bits < 64)
    value = isSigned(element)
                ? llvm::SignExtend64(static_cast<uint64_t>(value), bits)
                : static_cast<int64_t>(static_cast<uint64_t>(value) &
                                       llvm::maxUIntN(bits));
  std::memcpy(place, &value, widthOf(element)); // little endian hosts only
}

/// Truncation towards zero; what does not fit saturates (ONNX leaves it open),
/// NaN is 0.
static int64_t toInt(double value) {
  if (std::isnan(value))
    return 0;
  if (value >= 9223372036854775808.0)
    return std::numeric_limits<int64_t>::max();
  if (value <= -9223372036854775808.0)
    return std::numeric_limits<int64_t>::min();
  return static_cast<int64_t>(value);
}

static void storeFloat(Element element, char *place, double value) {
  if (element == Element::F64) {
    std::memcpy(place, &value, sizeof(value));
    return;
  }
  if (element == Element::F32) {
    float narrow = static_cast<float>(value);
    std::memcpy(place, &narrow, sizeof(narrow));
    return;
  }
  if (!isFloat(element)) {
    storeInt(element, place,
             element == Element::Bool ? value != 0 : toInt(value));
    return;
  }
  // APFloat has neither a NaN of e2m1, which is a zero of the other sign as in
  // ml_dtypes, nor signs and zeros of e8m0.
  if (element == Element::F8E8M0) {
    *place = char(quant::floatToE8m0(static_cast<float>(value)));
    return;
  }
  if (element == Element::F4E2M1 && std::isnan(value))
    value = std::signbit(value) ? 0.0 : -0.0;
  APFloat narrow(value);
  bool losesInfo = false;
  narrow.convert(semanticsOf(element), APFloat::rmNearestTiesToEven,
                 &losesInfo);
  uint64_t bits = narrow.bitcastToAPInt().getZExtValue();
  std::memcpy(place, &bits, widthOf(element));
}

HostTensor HostTensor::shapeOnly(Element element, ArrayRef<int64_t> shape) {
  HostTensor result;
  result.kind = element;
  result.dims.assign(shape.begin(), shape.end());
  return result;
}

HostTensor HostTensor::ofBytes(Element element, ArrayRef<int64_t> shape,
                               std::vector<char> bytes) {
  assert(static_cast<int64_t>(bytes.size()) ==
         countOf(shape) * widthOf(element));
  HostTensor result = shapeOnly(element, shape);
  auto owned = std::make_shared<const std::vector<char>>(std::move(bytes));
  result.content = ArrayRef<char>(owned->data(), owned->size());
  result.owner = std::move(owned);
  result.dataKnown = true;
  return result;
}

HostTensor HostTensor::referring(Element element, ArrayRef<int64_t> shape,
                                 ArrayRef<char> bytes) {
  HostTensor result = shapeOnly(element, shape);
  result.content = bytes;
  result.dataKnown = true;
  return result;
}

HostTensor HostTensor::ofFloats(Element element, ArrayRef<int64_t> shape,
                                ArrayRef<double> values) {
  unsigned width = widthOf(element);
  std::vector<char> bytes(values.size() * width);
  for (size_t i = 0; i < values.size(); ++i)
    storeFloat(element, bytes.data() + i * width, values[i]);
  return ofBytes(element, shape, std::move(bytes));
}

HostTensor HostTensor::ofInts(Element element, ArrayRef<int64_t> shape,
                              ArrayRef<int64_t> values) {
  unsigned width = widthOf(element);
  std::vector<char> bytes(values.size() * width);
  for (size_t i = 0; i < values.size(); ++i) {
    char *place = bytes.data() + i * width;
    if (element == Element::F32) { // one rounding, not two
      auto single = static_cast<float>(values[i]);
      std::memcpy(place, &single, sizeof(single));
    } else if (isFloat(element)) {
      storeFloat(element, place, static_cast<double>(values[i]));
    } else {
      storeInt(element, place, values[i]);
    }
  }
  return ofBytes(element, shape, std::move(bytes));
}

HostTensor HostTensor::scalar(Element element, double value) {
  return ofFloats(element, {}, {value});
}

int64_t HostTensor::ownedBytes() const {
  return owner ? static_cast<int64_t>(owner->size()) : 0;
}

int64_t HostTensor::intAt(int64_t position) const {
  const char *place = content.data() + position * widthOf(kind);
  return isFloat(kind) ? toInt(loadFloat(kind, place)) : loadInt(kind, place);
}

double HostTensor::floatAt(int64_t position) const {
  return loadFloat(kind, content.data() + position * widthOf(kind));
}

std::vector<int64_t> HostTensor::ints() const {
  std::vector<int64_t> values(count());
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = intAt(static_cast<int64_t>(i));
  return values;
}

std::vector<double> HostTensor::floats() const {
  std::vector<double> values(count());
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = floatAt(static_cast<int64_t>(i));
  return values;
}

HostTensor HostTensor::reshaped(ArrayRef<int64_t> shape) const {
  assert(countOf(shape) == count());
  HostTensor result = *this;
  result.dims.assign(shape.begin(), shape.end());
  return result;
}

HostTensor HostTensor::taken(ArrayRef<int64_t> shape,
                             ArrayRef<int64_t> positions) const {
  unsigned width = widthOf(kind);
  std::vector<char> bytes(positions.size() * width);
  for (size_t i = 0; i < positions.size(); ++i)
    std::memcpy(bytes.data() + i * width, content.data() + positions[i] * width,
                width);
  return ofBytes(kind, shape, std::move(bytes));
}

//===--------------------------------------------------------------------===//
// Attributes
//===--------------------------------------------------------------------===//

/// Sub-byte integers as ONNX packs them: the first element in the lowest bits.
static std::vector<char> unpacked(Element element, int64_t count,
                                  ArrayRef<char> packed) {
  unsigned bits = bitsOf(element), perByte = 8 / bits;
  std::vector<char> bytes(count);
  for (int64_t i = 0; i < count; ++i) {
    auto byte = static_cast<uint8_t>(packed[i / perByte]);
    storeInt(element, &bytes[i], byte >> (i % perByte * bits));
  }
  return bytes;
}

std::optional<HostTensor> HostTensor::ofAttr(ElementsAttr attr) {
  auto type = dyn_cast<RankedTensorType>(attr.getType());
  if (!type)
    return std::nullopt;
  std::optional<Element> element = elementOf(type.getElementType());
  if (!element)
    return std::nullopt;
  std::optional<ir::StoredElements> stored = ir::StoredElements::of(attr);
  if (!stored)
    return std::nullopt;
  ArrayRef<int64_t> shape = type.getShape();
  ArrayRef<char> bytes = stored->bytes();
  bool nibbles = *element == Element::F4E2M1;
  if (*element != Element::Bool && (nibbles || bitsOf(*element) < 8))
    return ofBytes(
        *element, shape,
        unpacked(nibbles ? Element::U4 : *element, countOf(shape), bytes));
  if (stored->areCopied())
    return ofBytes(*element, shape, bytes.vec());
  return referring(*element, shape, bytes);
}

DenseElementsAttr HostTensor::toAttr(RankedTensorType type) const {
  assert(hasData() && type.getNumElements() == count());
  Type element = type.getElementType();
  if (kind == Element::Bool) {
    SmallVector<bool> values;
    for (int64_t value : ints())
      values.push_back(value != 0);
    return DenseElementsAttr::get(type, values);
  }
  if (bitsOf(kind) == widthOf(kind) * 8 && kind != Element::F4E2M1)
    return DenseElementsAttr::getFromRawBuffer(type, content);
  if (auto floating = dyn_cast<FloatType>(element)) {
    SmallVector<APFloat> values;
    for (double value : floats()) {
      APFloat narrow(value);
      bool losesInfo = false;
      narrow.convert(floating.getFloatSemantics(), APFloat::rmNearestTiesToEven,
                     &losesInfo);
      values.push_back(narrow);
    }
    return DenseElementsAttr::get(type, values);
  }
  SmallVector<llvm::APInt> values;
  for (int64_t value : ints())
    values.emplace_back(bitsOf(kind), static_cast<uint64_t>(value),
                        /*isSigned=*/false, /*implicitTrunc=*/true);
  return DenseElementsAttr::get(type, values);
}

//===--------------------------------------------------------------------===//
// Index arithmetic
//===--------------------------------------------------------------------===//

std::vector<int64_t> stridedPositions(ArrayRef<int64_t> shape,
                                      ArrayRef<int64_t> strides,
                                      int64_t offset) {
  std::vector<int64_t> positions(countOf(shape));
  HostTensor::Shape index(shape.size(), 0);
  int64_t position = offset;
  for (int64_t &result : positions) {
    result = position;
    for (int64_t d = static_cast<int64_t>(shape.size()) - 1; d >= 0; --d) {
      position += strides[d];
      if (++index[d] < shape[d])
        break;
      position -= strides[d] * shape[d];
      index[d] = 0;
    }
  }
  return positions;
}

HostTensor::Shape stridesOf(ArrayRef<int64_t> shape) {
  HostTensor::Shape strides(shape.size(), 1);
  for (int64_t d = static_cast<int64_t>(shape.size()) - 2; d >= 0; --d)
    strides[d] = strides[d + 1] * shape[d + 1];
  return strides;
}

HostTensor::Shape broadcastStrides(ArrayRef<int64_t> from,
                                   ArrayRef<int64_t> to) {
  HostTensor::Shape own = stridesOf(from), strides(to.size(), 0);
  for (size_t i = 0; i < from.size(); ++i)
    if (from[from.size() - 1 - i] != 1)
      strides[to.size() - 1 - i] = own[from.size() - 1 - i];
  return strides;
}

std::optional<HostTensor::Shape> broadcastShapes(ArrayRef<int64_t> a,
                                                 ArrayRef<int64_t> b) {
  HostTensor::Shape result(std::max(a.size(), b.size()), 1);
  for (size_t i = 0; i < result.size(); ++i) {
    int64_t x = i < a.size() ? a[a.size() - 1 - i] : 1;
    int64_t y = i < b.size() ? b[b.size() - 1 - i] : 1;
    if (x != y && x != 1 && y != 1)
      return std::nullopt;
    result[result.size() - 1 - i] = x == 1 ? y : x;
  }
  return result;
}

} // namespace qopt::onnx
