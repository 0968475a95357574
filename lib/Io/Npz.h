// Named arrays in NumPy's .npz files: a ZIP archive of .npy members, stored or
// deflated. Every size in the archive is checked before it is used, and a
// member cannot claim more memory than its compressed bytes can give.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_IO_NPZ_H
#define QOPT_LIB_IO_NPZ_H

#include "qopt/Status.h"
#include "qopt/Tensor.h"

#include <string>
#include <vector>

namespace qopt::io {

/// The arrays in the archive's order, named without ".npy".
StatusOr<std::vector<Tensor>> readNpz(const std::string &path);

/// Members are stored, as numpy.savez does; the same arrays give the same
/// bytes.
Status writeNpz(const std::string &path,
                const std::vector<TensorView> &tensors);

} // namespace qopt::io

#endif // QOPT_LIB_IO_NPZ_H
