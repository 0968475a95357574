// Reading of ONNX tensors.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Import/Onnx/Tensors.h"
#include "dialects/QOpt/StoredElements.h"
#include "mlir/IR/AsmState.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "llvm/ADT/bit.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using onnx_file::TensorProto;

namespace qopt::import {

Type elementType(int32_t dataType, MLIRContext *context) {
  Builder b(context);
  auto unsignedType = [&](unsigned width) {
    return IntegerType::get(context, width, IntegerType::Unsigned);
  };
  switch (dataType) {
  case TensorProto::FLOAT:
    return b.getF32Type();
  case TensorProto::UINT8:
    return unsignedType(8);
  case TensorProto::INT8:
    return b.getIntegerType(8);
  case TensorProto::UINT16:
    return unsignedType(16);
  case TensorProto::INT16:
    return b.getIntegerType(16);
  case TensorProto::INT32:
    return b.getI32Type();
  case TensorProto::INT64:
    return b.getI64Type();
  case TensorProto::BOOL:
    return b.getI1Type();
  case TensorProto::FLOAT16:
    return b.getF16Type();
  case TensorProto::DOUBLE:
    return b.getF64Type();
  case TensorProto::UINT32:
    return unsignedType(32);
  case TensorProto::UINT64:
    return unsignedType(64);
  case TensorProto::BFLOAT16:
    return b.getBF16Type();
  case TensorProto::FLOAT8E4M3FN:
    return Float8E4M3FNType::get(context);
  case TensorProto::FLOAT8E4M3FNUZ:
    return Float8E4M3FNUZType::get(context);
  case TensorProto::FLOAT8E5M2:
    return Float8E5M2Type::get(context);
  case TensorProto::FLOAT8E5M2FNUZ:
    return Float8E5M2FNUZType::get(context);
  case TensorProto::UINT4:
    return unsignedType(4);
  case TensorProto::INT4:
    return b.getIntegerType(4);
  case TensorProto::FLOAT4E2M1:
    return Float4E2M1FNType::get(context);
  case TensorProto::FLOAT8E8M0:
    return Float8E8M0FNUType::get(context);
  case TensorProto::UINT2:
    return unsignedType(2);
  case TensorProto::INT2:
    return b.getIntegerType(2);
  default:
    return {};
  }
}

std::string dataTypeName(int32_t dataType) {
  if (TensorProto::DataType_IsValid(dataType))
    return llvm::StringRef(TensorProto::DataType_Name(
                               static_cast<TensorProto::DataType>(dataType)))
        .lower();
  return "data type " + std::to_string(dataType);
}

static Status bad(const Twine &message) {
  return Status(StatusCode::BadModel, message.str());
}

/// A bool takes a byte in a file; 4-bit and 2-bit types are packed.
static unsigned storedBits(Type type) {
  return type.isInteger(1) ? 8 : type.getIntOrFloatBitWidth();
}

/// Little-endian bytes of a repeated field, each element `width` bytes wide.
template <typename Field>
static TensorBytes collect(const Field &values, unsigned width) {
  static_assert(llvm::endianness::native == llvm::endianness::little);
  auto storage = std::make_shared<std::vector<char>>(values.size() * width);
  char *out = storage->data();
  for (auto value : values) {
    std::memcpy(out, &value, width);
    out += width;
  }
  return {llvm::ArrayRef<char>(*storage), storage, /*isMapped=*/false};
}

/// The data in the field that the specification names for the data type.
static TensorBytes typedBytes(const TensorProto &tensor, unsigned bits) {
  unsigned width = std::max(1u, bits / 8);
  switch (tensor.data_type()) {
  case TensorProto::FLOAT:
    return collect(tensor.float_data(), 4);
  case TensorProto::DOUBLE:
    return collect(tensor.double_data(), 8);
  case TensorProto::INT64:
    return collect(tensor.int64_data(), 8);
  case TensorProto::UINT32:
  case TensorProto::UINT64:
    return collect(tensor.uint64_data(), width);
  default:
    return collect(tensor.int32_data(), width);
  }
}

StatusOr<TensorBytes> TensorReader::bytesOf(const TensorProto &tensor,
                                            int64_t elements, unsigned bits) {
  int64_t expected;
  if (llvm::MulOverflow<int64_t>(elements, bits, expected))
    return bad("the tensor is too large to address");
  expected = llvm::divideCeil(expected, 8);
  if (tensor.data_location() == TensorProto::EXTERNAL)
    return external.read(tensor, expected);
  TensorBytes bytes;
  if (tensor.has_raw_data())
    bytes = {file.rawData(tensor), file.mapping(), /*isMapped=*/true};
  else
    bytes = typedBytes(tensor, bits);
  if (static_cast<int64_t>(bytes.bytes.size()) != expected)
    return bad("the tensor's data has " + Twine(bytes.bytes.size()) +
               " bytes; expected " + Twine(expected));
  return bytes;
}

static StatusOr<SmallVector<int64_t>> shapeOf(const TensorProto &tensor,
                                              int64_t &elements) {
  SmallVector<int64_t> shape;
  elements = 1;
  if (tensor.dims_size() > 64)
    return bad("the tensor has " + Twine(tensor.dims_size()) +
               " dimensions; the limit is 64");
  for (int64_t size : tensor.dims()) {
    if (size < 0)
      return bad("the tensor has the negative dimension " + Twine(size));
    shape.push_back(size);
    if (llvm::MulOverflow(elements, size, elements))
      return bad("the number of the tensor's elements overflows");
  }
  return shape;
}

/// Integers of this many elements may be shapes, axes or indices.
constexpr int64_t mostInlineIntegers = 256;
constexpr int64_t mostInlineFloats = 8;

static bool isInline(Type type, int64_t elements) {
  if (elements == 0)
    return true;
  if (storedBits(type) < 8)
    return false;
  bool index = type.isInteger(64) || type.isInteger(32) || type.isInteger(1);
  return elements <= (index ? mostInlineIntegers : mostInlineFloats);
}

static ElementsAttr inlineAttr(RankedTensorType type, ArrayRef<char> bytes) {
  if (type.getNumElements() == 0)
    return DenseElementsAttr::get(type, ArrayRef<Attribute>());
  if (!type.getElementType().isInteger(1))
    return DenseElementsAttr::getFromRawBuffer(type, bytes);
  SmallVector<bool> values;
  for (char byte : bytes)
    values.push_back(byte != 0);
  return DenseElementsAttr::get(type, values);
}

/// Booleans as 0 and 1: any other byte of a file is true as well.
static TensorBytes normalized(TensorBytes booleans) {
  if (llvm::all_of(booleans.bytes, [](uint8_t byte) { return byte <= 1; }))
    return booleans;
  auto storage = std::make_shared<std::vector<char>>();
  for (char byte : booleans.bytes)
    storage->push_back(byte != 0);
  return {llvm::ArrayRef<char>(*storage), storage, /*isMapped=*/false};
}

size_t alignmentOf(const char *data) {
  uintptr_t address = reinterpret_cast<uintptr_t>(data);
  return address ? std::min<size_t>(64, size_t(1) << llvm::countr_zero(address))
                 : 1;
}

/// Of all tensors of missing files together.
constexpr uint64_t mostMissingBytes = uint64_t(1) << 44;

Status TensorReader::addMissing(const TensorProto &tensor, uint64_t expected,
                                const Status &why) {
  auto place = ExternalData::placeOf(tensor, expected);
  if (!place)
    return place.status();
  auto known = llvm::find_if(report->missing, [&](const MissingFile &missing) {
    return missing.file == place->location;
  });
  if (known == report->missing.end())
    known = report->missing.insert(known, {place->location, why.message()});
  known->bytes = std::max(known->bytes, place->end);
  ++known->tensors;
  // No file bounds what a model says of it; sums of sizes stay in range.
  missingBytes += std::min(expected, mostMissingBytes);
  if (place->end > mostMissingBytes || missingBytes > mostMissingBytes)
    return bad("the external data file \"" + Twine(place->location) +
               "\" is missing, and would have more than 2^44 bytes; expected "
               "the file, or a model of its size");
  return Status();
}

StatusOr<ElementsAttr> TensorReader::read(const TensorProto &tensor,
                                          llvm::StringRef name) {
  if (tensor.has_segment())
    return Status(StatusCode::Unsupported,
                  "a tensor stored in segments is not supported");
  Type type = elementType(tensor.data_type(), context);
  if (!type)
    return Status(StatusCode::Unsupported,
                  "tensors of " + dataTypeName(tensor.data_type()) +
                      " are not supported");
  int64_t elements;
  auto shape = shapeOf(tensor, elements);
  if (!shape)
    return shape.status();
  auto tensorType = RankedTensorType::get(*shape, type);
  auto bytes = bytesOf(tensor, elements, storedBits(type));
  if (!bytes && report && bytes.status().code() == StatusCode::NotFound) {
    QOPT_RETURN_IF_ERROR(
        addMissing(tensor, ir::storedSize(tensorType), bytes.status()));
    if (!isInline(type, elements))
      return ir::absentElements(tensorType, name);
  }
  if (!bytes)
    return bytes.status();
  if (report && bytes->isMapped && bytes->bytes.size() > mostReadBytes)
    return ir::absentElements(tensorType, name);
  if (isInline(type, elements))
    return inlineAttr(tensorType, bytes->bytes);
  if (type.isInteger(1))
    bytes = normalized(std::move(*bytes));
  // Immutable says that pages may be dropped, for the file has them.
  AsmResourceBlob blob(
      bytes->bytes, alignmentOf(bytes->bytes.data()),
      [owner = bytes->owner](void *, size_t, size_t) {},
      /*dataIsMutable=*/!bytes->isMapped);
  return ElementsAttr(
      DenseResourceElementsAttr::get(tensorType, name, std::move(blob)));
}

} // namespace qopt::import
