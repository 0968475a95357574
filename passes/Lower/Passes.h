// The passes of the stage lower, each in the file of its name; what they do is
// in Passes.td.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_PASSES_LOWER_PASSES_H
#define QOPT_PASSES_LOWER_PASSES_H

#include "mlir/Pass/Pass.h"

#include <memory>

namespace qopt::passes {
#define GEN_PASS_DECL
#include "passes/Lower/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "passes/Lower/Passes.h.inc"
} // namespace qopt::passes

#endif // QOPT_PASSES_LOWER_PASSES_H
