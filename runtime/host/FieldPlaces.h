// Where the fields of 16 rows lie in a line of fields (LinearLayout.h), for
// vectors that take them apart: lane r of 32 bits gets the two bytes that field
// r lies in by a look-up of bytes, and the field by a shift.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_HOST_FIELDPLACES_H
#define QOPT_RUNTIME_HOST_FIELDPLACES_H

#include "runtime/host/LinearLayout.h"

#include <array>

namespace qopt::host {

struct FieldPlaces {
  uint8_t bytes[4 * tileRows];
  uint32_t shifts[tileRows];
};

/// By the bits of a field, 1 … 8.
inline constexpr std::array<FieldPlaces, 9> fieldPlaces = [] {
  std::array<FieldPlaces, 9> all{};
  for (int bits = 1; bits <= 8; ++bits)
    for (int row = 0; row < tileRows; ++row) {
      int first = row * bits / 8, second = first < 15 ? first + 1 : first;
      // What the upper bytes hold is masked.
      for (int i = 0; i < 4; ++i)
        all[size_t(bits)].bytes[4 * row + i] =
            static_cast<uint8_t>(i == 0 ? first : second);
      all[size_t(bits)].shifts[row] = static_cast<uint32_t>(row * bits % 8);
    }
  return all;
}();

} // namespace qopt::host

#endif // QOPT_RUNTIME_HOST_FIELDPLACES_H
