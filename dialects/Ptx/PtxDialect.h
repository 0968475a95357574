// The ptx dialect class. Include PtxOps.h for its operations.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_DIALECTS_PTX_PTXDIALECT_H
#define QOPT_DIALECTS_PTX_PTXDIALECT_H

#include "mlir/IR/Dialect.h"

#include "dialects/Ptx/PtxDialect.h.inc"

#endif // QOPT_DIALECTS_PTX_PTXDIALECT_H
