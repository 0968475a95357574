// Turns the remarks that passes make about their choices (MLIR's remark engine)
// into lines of the compilation's summary.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_DRIVER_REMARKCOLLECTOR_H
#define QOPT_LIB_DRIVER_REMARKCOLLECTOR_H

#include "mlir/IR/MLIRContext.h"
#include "qopt/CheckSummary.h"
#include <string>
#include <vector>

namespace qopt::driver {

/// From now on every remark of a pass in `context` becomes a line of `lines`,
/// and those on what was not done are counted in `missed`; both must outlive
/// the context.
void collectRemarks(mlir::MLIRContext &context, std::vector<std::string> &lines,
                    std::vector<MissedFusion> &missed);

} // namespace qopt::driver

#endif // QOPT_LIB_DRIVER_REMARKCOLLECTOR_H
