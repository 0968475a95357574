// PTX of a case's kernel.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TEST_LIB_KERNELS_ATTENTIONDECODE_BUILD_H
#define QOPT_TEST_LIB_KERNELS_ATTENTIONDECODE_BUILD_H

#include "Case.h"

namespace qopt::kernels::attention_decode {

StatusOr<std::string> buildPtx(const Case &test);

} // namespace qopt::kernels::attention_decode

#endif // QOPT_TEST_LIB_KERNELS_ATTENTIONDECODE_BUILD_H
