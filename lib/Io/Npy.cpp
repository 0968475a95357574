// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Io/Npy.h"

#include "lib/Quant/FloatConversion.h"
#include "lib/Quant/FnuzConversion.h"
#include "runtime/ElementTypes.h"

#include <cstring>

namespace qopt::io {

static Status checkSize(const NpyHeader &header, size_t fileSize,
                        const std::string &name) {
  if (fileSize - header.dataOffset == header.dataBytes)
    return {};
  return {StatusCode::BadModel,
          "'" + name + "' is no .npy array: its shape " + spell(header.shape) +
              " needs " + std::to_string(header.dataBytes) + " bytes, it has " +
              std::to_string(fileSize - header.dataOffset)};
}

/// Column-major `from` to row-major `to`.
static void reorder(const NpyHeader &header, const uint8_t *from, uint8_t *to) {
  size_t element = sizeOf(header.type);
  size_t count = header.dataBytes / element, axes = header.shape.size();
  std::vector<size_t> strides(axes), index(axes, 0);
  size_t stride = 1;
  for (size_t axis = 0; axis < axes; ++axis) {
    strides[axis] = stride;
    stride *= size_t(header.shape[axis]);
  }
  size_t source = 0;
  for (size_t i = 0; i < count; ++i) {
    std::memcpy(to + i * element, from + source * element, element);
    for (size_t axis = axes; axis-- > 0;) {
      source += strides[axis];
      if (++index[axis] < size_t(header.shape[axis]))
        break;
      source -= strides[axis] * size_t(header.shape[axis]);
      index[axis] = 0;
    }
  }
}

StatusOr<Tensor> parseNpy(std::span<const uint8_t> file,
                          const std::string &name) {
  StatusOr<NpyHeader> header = parseNpyHeader(file, name);
  if (!header.ok())
    return header.status();
  QOPT_RETURN_IF_ERROR(checkSize(*header, file.size(), name));
  Tensor tensor(name, header->type, header->shape);
  const uint8_t *data = file.data() + header->dataOffset;
  if (header->columnMajor)
    reorder(*header, data, tensor.as<uint8_t>());
  else if (header->dataBytes > 0)
    std::memcpy(tensor.data(), data, header->dataBytes);
  return tensor;
}

StatusOr<Tensor> readNpy(const std::string &path) {
  StatusOr<std::shared_ptr<const MappedFile>> file = MappedFile::open(path);
  if (!file.ok())
    return file.status();
  return parseNpy((*file)->bytes(), path);
}

StatusOr<NpyFile> NpyFile::open(const std::string &path) {
  NpyFile npy;
  StatusOr<std::shared_ptr<const MappedFile>> file = MappedFile::open(path);
  if (!file.ok())
    return file.status();
  npy.file = *file;
  StatusOr<NpyHeader> header = parseNpyHeader(npy.file->bytes(), path);
  if (!header.ok())
    return header.status();
  npy.header = std::move(*header);
  QOPT_RETURN_IF_ERROR(checkSize(npy.header, npy.file->bytes().size(), path));
  if (npy.header.columnMajor && npy.header.shape.size() > 1)
    return Status(StatusCode::Unsupported,
                  "'" + path + "' is in column-major order; expected " +
                      "row-major, which numpy.ascontiguousarray makes");
  return npy;
}

StatusOr<std::unique_ptr<NpyWriter>>
NpyWriter::create(const std::string &path, DType type,
                  const std::vector<int64_t> &shape) {
  auto writer = std::make_unique<NpyWriter>();
  StatusOr<std::unique_ptr<FileWriter>> file = FileWriter::create(path);
  if (!file.ok())
    return file.status();
  writer->file = std::move(*file);
  QOPT_RETURN_IF_ERROR(writer->file->append(spellNpyHeader(type, shape)));
  return writer;
}

Status writeNpy(const std::string &path, const TensorView &tensor) {
  Tensor array = toNumpyType(tensor);
  StatusOr<std::unique_ptr<NpyWriter>> file =
      NpyWriter::create(path, array.type(), array.shape());
  if (!file.ok())
    return file.status();
  const auto *bytes = static_cast<const uint8_t *>(array.data());
  QOPT_RETURN_IF_ERROR((*file)->append({bytes, size_t(array.bytes())}));
  return (*file)->finish();
}

Tensor toNumpyType(const TensorView &tensor) {
  DType type = runtime::findElementType(tensor.type)->numpyValues;
  bool widen = type != tensor.type && type == DType::F32;
  Tensor copy(tensor.name, type, tensor.shape);
  if (!widen && copy.bytes() > 0)
    std::memcpy(copy.data(), tensor.data, copy.bytes());
  for (int64_t i = 0; widen && i < copy.elements(); ++i)
    copy.as<float>()[i] = float(elementAsDouble(tensor, i));
  return copy;
}

template <typename T> static T load(const void *data, int64_t index) {
  T value;
  std::memcpy(&value, static_cast<const uint8_t *>(data) + index * sizeof(T),
              sizeof(T));
  return value;
}

namespace {
/// What the codes of floating point types that no machine has mean.
struct FloatCodes {
  DType type;
  float (*widen)(uint8_t);
};
} // namespace

static constexpr FloatCodes floatCodes[] = {
    {DType::F8E4M3FN, quant::e4m3ToFloat},
    {DType::F8E4M3FNUZ, quant::e4m3fnuzToFloat},
    {DType::F8E5M2, quant::e5m2ToFloat},
    {DType::F8E5M2FNUZ, quant::e5m2fnuzToFloat},
    {DType::F8E8M0, quant::e8m0ToFloat},
    {DType::F4E2M1, quant::e2m1ToFloat}};

double elementAsDouble(const TensorView &tensor, int64_t index) {
  using runtime::ElementStorage;
  const void *data = tensor.data;
  for (const FloatCodes &codes : floatCodes)
    if (codes.type == tensor.type)
      return codes.widen(load<uint8_t>(data, index));
  switch (runtime::findElementType(tensor.type)->storage) {
  case ElementStorage::F32:
    return load<float>(data, index);
  case ElementStorage::F16:
    return quant::halfToFloat(load<uint16_t>(data, index));
  case ElementStorage::BF16:
    return quant::bfloat16ToFloat(load<uint16_t>(data, index));
  case ElementStorage::F64:
    return load<double>(data, index);
  case ElementStorage::I8:
    return load<int8_t>(data, index);
  case ElementStorage::I16:
    return load<int16_t>(data, index);
  case ElementStorage::I32:
    return load<int32_t>(data, index);
  case ElementStorage::I64:
    return double(load<int64_t>(data, index));
  case ElementStorage::U8:
  case ElementStorage::Bool:
    return load<uint8_t>(data, index);
  case ElementStorage::U16:
    return load<uint16_t>(data, index);
  case ElementStorage::U32:
    return load<uint32_t>(data, index);
  case ElementStorage::U64:
    return double(load<uint64_t>(data, index));
  }
  return 0;
}

} // namespace qopt::io
