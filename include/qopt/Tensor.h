// Tensors as they pass between a program and qopt: a type, a shape and
// contiguous bytes in row-major order.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TENSOR_H
#define QOPT_TENSOR_H

#include "qopt/Export.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace qopt {

/// Element types. The values are stable: the C API uses the same.
enum class DType : uint8_t {
  F32 = 0,
  F16 = 1,
  BF16 = 2,
  F64 = 3,
  I8 = 4,
  I16 = 5,
  I32 = 6,
  I64 = 7,
  U8 = 8,
  U16 = 9,
  U32 = 10,
  U64 = 11,
  Bool = 12, ///< one byte, 0 or 1
  // One byte an element; of 4 and 2 bits the low ones, integers extended.
  F8E4M3FN = 13,
  F8E4M3FNUZ = 14,
  F8E5M2 = 15,
  F8E5M2FNUZ = 16,
  F8E8M0 = 17,
  F4E2M1 = 18,
  I4 = 19,
  U4 = 20,
  I2 = 21,
  U2 = 22,
};

/// Bytes of one element.
QOPT_API size_t sizeOf(DType type);
/// "f32", "bool", …
QOPT_API const char *spell(DType type);
/// "[1, 5, 64]"
QOPT_API std::string spell(const std::vector<int64_t> &shape);

/// Someone else's tensor. `data` may be null when the shape has no elements;
/// inputs are only read.
struct TensorView {
  std::string name;
  DType type = DType::F32;
  std::vector<int64_t> shape;
  void *data = nullptr;
};

/// A tensor that owns its bytes (64-byte aligned). Copies share them.
class QOPT_API Tensor {
public:
  Tensor() = default;
  /// Zeros; the shape's product must not overflow.
  Tensor(std::string name, DType type, std::vector<int64_t> shape);

  const std::string &name() const { return tensorName; }
  DType type() const { return elementType; }
  const std::vector<int64_t> &shape() const { return dimensions; }
  int64_t elements() const;
  size_t bytes() const { return size_t(elements()) * sizeOf(elementType); }
  void *data() const { return storage.get(); }
  template <typename T> T *as() const { return static_cast<T *>(data()); }
  TensorView view() const {
    return {tensorName, elementType, dimensions, data()};
  }

private:
  std::string tensorName;
  DType elementType = DType::F32;
  std::vector<int64_t> dimensions;
  std::shared_ptr<void> storage;
};

} // namespace qopt

#endif // QOPT_TENSOR_H
