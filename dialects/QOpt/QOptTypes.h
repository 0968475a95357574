// Types of the qopt dialect.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_DIALECTS_QOPT_QOPTTYPES_H
#define QOPT_DIALECTS_QOPT_QOPTTYPES_H

#include "dialects/QOpt/QOptAttrs.h"
#include "mlir/IR/BuiltinTypes.h"

#define GET_TYPEDEF_CLASSES
#include "dialects/QOpt/QOptTypes.h.inc"

#endif // QOPT_DIALECTS_QOPT_QOPTTYPES_H
