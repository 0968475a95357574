// The first lines of a .npy file: a magic number, a version, and a Python
// dictionary with the type, the order and the shape. Read strictly and bounded:
// the file may come from anyone.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_IO_NPYHEADER_H
#define QOPT_LIB_IO_NPYHEADER_H

#include "qopt/Status.h"
#include "qopt/Tensor.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace qopt::io {

struct NpyHeader {
  DType type = DType::F32;
  bool columnMajor = false; ///< the first axis changes fastest
  std::vector<int64_t> shape;
  size_t dataOffset = 0; ///< bytes before the elements
  size_t dataBytes = 0;  ///< of all elements; does not overflow
};

/// `file` begins with the header; `name` is for messages. BadModel where it is
/// damaged, Unsupported for element types that qopt lacks.
StatusOr<NpyHeader> parseNpyHeader(std::span<const uint8_t> file,
                                   const std::string &name);

/// The header, padded to a multiple of 64 bytes. `type` is not BF16, which
/// NumPy lacks.
std::string spellNpyHeader(DType type, const std::vector<int64_t> &shape);

} // namespace qopt::io

#endif // QOPT_LIB_IO_NPYHEADER_H
