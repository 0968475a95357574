// The public tensor type.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "qopt/Tensor.h"

#include "runtime/ElementTypes.h"

#include <cstdlib>
#include <cstring>
#include <new>

namespace qopt {

size_t sizeOf(DType type) {
  const runtime::ElementTypeInfo *info = runtime::findElementType(type);
  return info ? size_t(info->bytes) : 0;
}

const char *spell(DType type) {
  const runtime::ElementTypeInfo *info = runtime::findElementType(type);
  return info ? info->spelling : "unknown";
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
