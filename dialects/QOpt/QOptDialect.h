// The qopt dialect class. Include QOptTypes.h, QOptAttrs.h or QOptOps.h for
// what it defines.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_DIALECTS_QOPT_QOPTDIALECT_H
#define QOPT_DIALECTS_QOPT_QOPTDIALECT_H

#include "mlir/IR/Dialect.h"

#include "dialects/QOpt/QOptDialect.h.inc"

#endif // QOPT_DIALECTS_QOPT_QOPTDIALECT_H
