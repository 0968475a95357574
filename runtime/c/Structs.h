// How structs pass between versions of the C interface. `struct_size`, the
// first member of each, says which version the caller was compiled with: the
// fields are those of any older version and then new ones, none of which
// straddles eight bytes, so that a size that is a multiple of eight never ends
// within a field. A new field never takes the place of padding.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_C_STRUCTS_H
#define QOPT_RUNTIME_C_STRUCTS_H

#include "qopt/Status.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <string>

namespace qopt::c {

/// What no version has: a larger size was never set. It bounds what is read and
/// written on the caller's word.
inline constexpr size_t largestStruct = 1024;

inline Status checkStructSize(const char *name, size_t size, size_t ours) {
  if (size >= sizeof(size_t) && size % 8 == 0 && size <= largestStruct)
    return {};
  return Status(StatusCode::InvalidArgument,
                std::string(name) + " has struct_size " + std::to_string(size) +
                    "; expected its sizeof, " + std::to_string(ours) +
                    " in this version");
}

/// A caller's struct as this version has it. What an older caller lacks is as
/// in `defaults`; what a newer one has must be zero, since nobody here knows
/// what it asks for.
template <typename Struct>
StatusOr<Struct> readStruct(const char *name, const Struct *given,
                            const Struct &defaults) {
  static_assert(sizeof(Struct) % 8 == 0 && offsetof(Struct, struct_size) == 0);
  const auto *bytes = reinterpret_cast<const unsigned char *>(given);
  size_t size = 0;
  std::memcpy(&size, bytes, sizeof(size));
  QOPT_RETURN_IF_ERROR(checkStructSize(name, size, sizeof(Struct)));
  for (size_t i = sizeof(Struct); i < size; ++i)
    if (bytes[i] != 0)
      return Status(StatusCode::Unsupported,
                    std::string(name) + " has struct_size " +
                        std::to_string(size) + " and asks at byte " +
                        std::to_string(i) +
                        " for what this version does not know, which reads " +
                        std::to_string(sizeof(Struct)) +
                        "; use the library of the header, or set it to 0");
  Struct result = defaults;
  std::memcpy(&result, bytes, std::min(size, sizeof(Struct)));
  result.struct_size = sizeof(Struct);
  return result;
}

/// Fills a caller's struct as far as its version goes; what only a newer one
/// has becomes zero.
template <typename Struct>
Status writeStruct(const char *name, const Struct &value, Struct *given) {
  static_assert(sizeof(Struct) % 8 == 0 && offsetof(Struct, struct_size) == 0);
  auto *bytes = reinterpret_cast<unsigned char *>(given);
  size_t size = 0;
  std::memcpy(&size, bytes, sizeof(size));
  QOPT_RETURN_IF_ERROR(checkStructSize(name, size, sizeof(Struct)));
  size_t known = std::min(size, sizeof(Struct));
  std::memcpy(bytes, &value, known);
  std::memset(bytes + known, 0, size - known);
  std::memcpy(bytes, &size, sizeof(size));
  return {};
}

} // namespace qopt::c

#endif // QOPT_RUNTIME_C_STRUCTS_H
