// How a number that is no integer is spelt in a kernel's symbol.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_KERNELS_SYMBOLNAME_H
#define QOPT_LIB_KERNELS_SYMBOLNAME_H

#include <bit>
#include <cstdint>
#include <cstdio>
#include <string>

namespace qopt::kernels {

/// Its bits as f32, so that unequal numbers have unequal names: "3EB504F3".
inline std::string spellBits(float number) {
  char text[12];
  std::snprintf(text, sizeof text, "%X", std::bit_cast<uint32_t>(number));
  return text;
}

} // namespace qopt::kernels

#endif // QOPT_LIB_KERNELS_SYMBOLNAME_H
