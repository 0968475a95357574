// Which formats of weights and tables a GPU's kernels read.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_KERNELS_WEIGHTFORMATS_H
#define QOPT_LIB_KERNELS_WEIGHTFORMATS_H

#include "lib/Quant/Format.h"

namespace qopt::kernels {

/// Unsupported, with the elements that there are, where no kernel unpacks those
/// of `format`.
Status hasUnpacking(const quant::Format &format);

} // namespace qopt::kernels

#endif // QOPT_LIB_KERNELS_WEIGHTFORMATS_H
