// The table of element types: what each is called, its bits, the codes it may
// hold and how its codes or values lie in bytes. A new element type is a file
// under formats/, an enum case in Format.h and a row in Element.cpp.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_QUANT_ELEMENT_H
#define QOPT_LIB_QUANT_ELEMENT_H

#include "lib/Quant/Format.h"
#include <cstdint>
#include <string_view>

namespace qopt::quant {

/// One element type. Floating point types have `encode` and `decode`, integer
/// types `pack` and `unpackUnsigned`. The codes of fp8, fp4 and nf4 are
/// floating point numbers, and have scales as integers do; so have code books,
/// whose codes `pack` takes. Codes of four bits have both pairs.
struct Element {
  ElementType type;
  std::string_view name; ///< as in a format's spelling
  unsigned bits;         ///< of one element in canonical storage
  bool isFloat;          ///< a value as it is: no scales
  /// Codes that round-to-nearest uses in symmetric formats, as numbers. A range
  /// with minCode = −maxCode − 1 is used in full: the largest magnitude becomes
  /// minCode, whatever its sign, and the scale takes the sign (Algorithm.h).
  int minCode, maxCode;
  /// Codes of asymmetric formats are 0…unsignedMax; 0: there are none.
  int unsignedMax;

  /// Codes that are indices of a code book, which every matrix has for itself:
  /// how many numbers it has, and those of a matrix that none was fitted to.
  /// They are integers of 8 bits, ascending. 0: codes are numbers themselves.
  int bookSize = 0;
  const int8_t *usualBook = nullptr;

  /// What the codes of four bits of a floating point type stand for.
  const float *numbers = nullptr;

  bool isInteger() const { return pack && !bookSize && !encode; }
  /// Whether every number is an integer of at most 8 bits, in `numberUnit`.
  bool hasIntegerNumbers() const {
    return pack && (!encode || type == ElementType::Fp4E2m1);
  }

  /// Values, or numbers that codes are, to and from storage, `count` of them.
  void (*encode)(const float *values, int64_t count, uint8_t *bytes);
  void (*decode)(const uint8_t *bytes, int64_t count, float *values);

  /// Codes to and from storage. A row starts on a byte; bits behind its last
  /// code are zero. Signed codes are stored in two's complement of the
  /// element's bits.
  void (*pack)(const int16_t *codes, int64_t count, uint8_t *bytes);
  void (*unpackUnsigned)(const uint8_t *bytes, int64_t count, int16_t *codes);
  /// The same codes with their sign extended.
  void unpackSigned(const uint8_t *bytes, int64_t count, int16_t *codes) const;
};

extern const Element f32Element, f16Element, bf16Element; // formats/Float.cpp
extern const Element int8Element;                         // formats/Int8.cpp
extern const Element int4Element;                         // formats/Int4.cpp
extern const Element int6Element, int5Element,
    int3Element;                                     // formats/Packed.cpp
extern const Element int2Element;                    // formats/Int2.cpp
extern const Element fp8E4m3Element, fp8E5m2Element; // formats/Fp8.cpp
extern const Element fp4E2m1Element, nf4Element;     // formats/FourBitFloat.cpp
extern const Element lut4Element, lut3Element;       // formats/Lut.cpp

/// Bits of an element, as its row has them, where a constant is needed.
constexpr int bitsOf(ElementType type) {
  switch (type) {
  case ElementType::F32:
    return 32;
  case ElementType::F16:
  case ElementType::BF16:
    return 16;
  case ElementType::Int8:
  case ElementType::Fp8E4m3:
  case ElementType::Fp8E5m2:
    return 8;
  case ElementType::Int6:
    return 6;
  case ElementType::Int5:
    return 5;
  case ElementType::Int4:
  case ElementType::Lut4:
  case ElementType::Fp4E2m1:
  case ElementType::Nf4:
    return 4;
  case ElementType::Int3:
  case ElementType::Lut3:
    return 3;
  case ElementType::Int2:
    return 2;
  }
  return 0;
}

/// Columns of the longest row of int8 codes whose products with others, of
/// magnitudes up to 128 and 127, add up in 32 bits.
inline constexpr int64_t longestInt8Sum = INT32_MAX / (128 * 127);

/// What the integers of 8 bits are multiplied by that numbers of a type with
/// `hasIntegerNumbers` are.
constexpr float numberUnit(ElementType type) {
  return type == ElementType::Fp4E2m1 ? 0.5f : 1.0f;
}

/// Whether codes of 8 bits are floating point numbers.
constexpr bool isFp8(ElementType type) {
  return type == ElementType::Fp8E4m3 || type == ElementType::Fp8E5m2;
}

/// The codes that round-to-nearest uses in a symmetric format, as numbers.
struct CodeBounds {
  int low, high;
  bool operator==(const CodeBounds &) const = default;
};
CodeBounds symmetricCodes(const Format &format);

/// The row of an element type.
const Element &elementOf(ElementType type);

/// The row with this name, or null.
const Element *findElement(std::string_view name);

/// All names in the table's order, separated by ", ".
std::string elementNames();

} // namespace qopt::quant

#endif // QOPT_LIB_QUANT_ELEMENT_H
