// The public tensor type.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "qopt/Tensor.h"

#include <cstdlib>
#include <cstring>
#include <new>

namespace qopt {

size_t sizeOf(DType type) {
  switch (type) {
  case DType::I8:
  case DType::U8:
  case DType::Bool:
  case DType::F8E4M3FN:
  case DType::F8E4M3FNUZ:
  case DType::F8E5M2:
  case DType::F8E5M2FNUZ:
  case DType::F8E8M0:
  case DType::F4E2M1:
  case DType::I4:
  case DType::U4:
  case DType::I2:
  case DType::U2:
    return 1;
  case DType::F16:
  case DType::BF16:
  case DType::I16:
  case DType::U16:
    return 2;
  case DType::F32:
  case DType::I32:
  case DType::U32:
    return 4;
  case DType::F64:
  case DType::I64:
  case DType::U64:
    return 8;
  }
  return 0;
}

const char *spell(DType type) {
  static const char *const names[] = {
      "f32",    "f16",      "bf16",       "f64",    "i8",         "i16",
      "i32",    "i64",      "u8",         "u16",    "u32",        "u64",
      "bool",   "f8e4m3fn", "f8e4m3fnuz", "f8e5m2", "f8e5m2fnuz", "f8e8m0",
      "f4e2m1", "i4",       "u4",         "i2",     "u2"};
  return size_t(type) < std::size(names) ? names[size_t(type)] : "unknown";
}

std::string spell(const std::vector<int64_t> &shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i)
    text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

Tensor::Tensor(std::string name, DType type, std::vector<int64_t> shape)
    : tensorName(std::move(name)), elementType(type),
      dimensions(std::move(shape)) {
  size_t size = (bytes() + 63) / 64 * 64;
  void *memory = std::aligned_alloc(64, size ? size : 64);
  if (!memory)
    throw std::bad_alloc();
  std::memset(memory, 0, size);
  storage = std::shared_ptr<void>(memory, std::free);
}

int64_t Tensor::elements() const {
  int64_t product = 1;
  for (int64_t size : dimensions)
    product *= size;
  return product;
}

} // namespace qopt
