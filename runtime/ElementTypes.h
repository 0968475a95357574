// What is known of each element type of tensors: the one table that sizes,
// spellings, conversions and NumPy's files read. A new type is a row here, a
// DType, and what its codes mean (lib/Quant/FloatConversion.h).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_ELEMENTTYPES_H
#define QOPT_RUNTIME_ELEMENTTYPES_H

#include "qopt/Tensor.h"

#include <iterator>

namespace qopt::runtime {

/// The machine's types; the values are those of DType.
enum class ElementStorage : uint8_t {
  F32,
  F16,
  BF16,
  F64,
  I8,
  I16,
  I32,
  I64,
  U8,
  U16,
  U32,
  U64,
  Bool,
};

struct ElementTypeInfo {
  DType type;
  const char *spelling;
  int bits; ///< that mean something
  /// What an element lies in: narrower codes have a byte each, with their sign
  /// extended where they have one.
  ElementStorage storage;
  int bytes;         ///< of the storage
  const char *numpy; ///< in a .npy file, without the byte order; empty: none
  DType numpyValues; ///< the narrowest type of NumPy that has all its values
};

inline constexpr ElementTypeInfo elementTypes[] = {
    {DType::F32, "f32", 32, ElementStorage::F32, 4, "f4", DType::F32},
    {DType::F16, "f16", 16, ElementStorage::F16, 2, "f2", DType::F16},
    // What ml_dtypes' bfloat16 becomes in a file.
    {DType::BF16, "bf16", 16, ElementStorage::BF16, 2, "V2", DType::F32},
    {DType::F64, "f64", 64, ElementStorage::F64, 8, "f8", DType::F64},
    {DType::I8, "i8", 8, ElementStorage::I8, 1, "i1", DType::I8},
    {DType::I16, "i16", 16, ElementStorage::I16, 2, "i2", DType::I16},
    {DType::I32, "i32", 32, ElementStorage::I32, 4, "i4", DType::I32},
    {DType::I64, "i64", 64, ElementStorage::I64, 8, "i8", DType::I64},
    {DType::U8, "u8", 8, ElementStorage::U8, 1, "u1", DType::U8},
    {DType::U16, "u16", 16, ElementStorage::U16, 2, "u2", DType::U16},
    {DType::U32, "u32", 32, ElementStorage::U32, 4, "u4", DType::U32},
    {DType::U64, "u64", 64, ElementStorage::U64, 8, "u8", DType::U64},
    {DType::Bool, "bool", 1, ElementStorage::Bool, 1, "b1", DType::Bool},
    {DType::F8E4M3FN, "f8e4m3fn", 8, ElementStorage::U8, 1, "", DType::F32},
    {DType::F8E4M3FNUZ, "f8e4m3fnuz", 8, ElementStorage::U8, 1, "", DType::F32},
    {DType::F8E5M2, "f8e5m2", 8, ElementStorage::U8, 1, "", DType::F32},
    {DType::F8E5M2FNUZ, "f8e5m2fnuz", 8, ElementStorage::U8, 1, "", DType::F32},
    {DType::F8E8M0, "f8e8m0", 8, ElementStorage::U8, 1, "", DType::F32},
    {DType::F4E2M1, "f4e2m1", 4, ElementStorage::U8, 1, "", DType::F32},
    {DType::I4, "i4", 4, ElementStorage::I8, 1, "", DType::I8},
    {DType::U4, "u4", 4, ElementStorage::U8, 1, "", DType::U8},
    {DType::I2, "i2", 2, ElementStorage::I8, 1, "", DType::I8},
    {DType::U2, "u2", 2, ElementStorage::U8, 1, "", DType::U8},
};

/// Whether each row is at its type's place, storage that is a type has the
/// type's value, and an element fits its storage.
constexpr bool isOrdered() {
  for (size_t i = 0; i < std::size(elementTypes); ++i) {
    const ElementTypeInfo &row = elementTypes[i];
    bool isOwnStorage = i <= size_t(ElementStorage::Bool);
    if (size_t(row.type) != i || (isOwnStorage && size_t(row.storage) != i) ||
        row.bytes != elementTypes[size_t(row.storage)].bytes ||
        row.bits > 8 * row.bytes)
      return false;
  }
  return true;
}
static_assert(isOrdered() && std::size(elementTypes) == size_t(DType::U2) + 1);

/// The type's row; null: a number that is none.
constexpr const ElementTypeInfo *findElementType(DType type) {
  return size_t(type) < std::size(elementTypes) ? &elementTypes[size_t(type)]
                                                : nullptr;
}

} // namespace qopt::runtime

#endif // QOPT_RUNTIME_ELEMENTTYPES_H
