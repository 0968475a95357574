// The scalar types of PTX as instructions and declarations name them, with
// their sizes. Packed types (f16x2) and the eight-bit floating point types are
// here because instructions name them; registers are declared by size.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_EMULATOR_PTX_TYPE_H
#define QOPT_RUNTIME_EMULATOR_PTX_TYPE_H

#include <cstdint>
#include <string_view>

namespace qopt::emulator::ptx {

enum class Type : uint8_t {
  None,
  Pred,
  B8,
  B16,
  B32,
  B64,
  B128,
  U4,
  U8,
  U16,
  U32,
  U64,
  S4,
  S8,
  S16,
  S32,
  S64,
  U16x2,
  S16x2,
  F16,
  F16x2,
  BF16,
  BF16x2,
  TF32,
  F32,
  F32x2,
  F64,
  E4M3,
  E5M2,
  E4M3x2,
  E5M2x2,
  B1,
};

/// The type of a name such as "u32" (no dot); None for any other word.
Type typeNamed(std::string_view name);
std::string_view nameOf(Type type);

/// Bytes in memory; 0 for None and Pred. A four-bit type counts as one byte.
unsigned sizeOf(Type type);
/// Of an element of a packed register.
unsigned bitsOf(Type type);

bool isFloat(Type type); ///< f16, bf16, f32, f64 and packed pairs of them
bool isSigned(Type type);

} // namespace qopt::emulator::ptx

#endif // QOPT_RUNTIME_EMULATOR_PTX_TYPE_H
