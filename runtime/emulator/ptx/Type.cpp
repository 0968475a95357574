// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/ptx/Type.h"

#include <iterator>

namespace qopt::emulator::ptx {
namespace {

struct TypeInfo {
  std::string_view name;
  uint8_t size;
};

/// In the order of the enumeration.
constexpr TypeInfo types[] = {
    {"", 0},       {"pred", 0},  {"b8", 1},     {"b16", 2},   {"b32", 4},
    {"b64", 8},    {"b128", 16}, {"u4", 1},     {"u8", 1},    {"u16", 2},
    {"u32", 4},    {"u64", 8},   {"s4", 1},     {"s8", 1},    {"s16", 2},
    {"s32", 4},    {"s64", 8},   {"u16x2", 4},  {"s16x2", 4}, {"f16", 2},
    {"f16x2", 4},  {"bf16", 2},  {"bf16x2", 4}, {"tf32", 4},  {"f32", 4},
    {"f32x2", 8},  {"f64", 8},   {"e4m3", 1},   {"e5m2", 1},  {"e4m3x2", 2},
    {"e5m2x2", 2}, {"b1", 1},
};

} // namespace

Type typeNamed(std::string_view name) {
  for (size_t i = 1; i < std::size(types); ++i)
    if (types[i].name == name)
      return Type(i);
  return Type::None;
}

std::string_view nameOf(Type type) { return types[size_t(type)].name; }

unsigned sizeOf(Type type) { return types[size_t(type)].size; }

unsigned bitsOf(Type type) {
  return type == Type::B1                       ? 1
         : type == Type::S4 || type == Type::U4 ? 4
                                                : 8 * sizeOf(type);
}

bool isFloat(Type type) {
  switch (type) {
  case Type::F16:
  case Type::F16x2:
  case Type::BF16:
  case Type::BF16x2:
  case Type::F32:
  case Type::F32x2:
  case Type::F64:
    return true;
  default:
    return false;
  }
}

bool isSigned(Type type) {
  return type == Type::S4 || type == Type::S8 || type == Type::S16 ||
         type == Type::S32 || type == Type::S64 || type == Type::S16x2;
}

} // namespace qopt::emulator::ptx
