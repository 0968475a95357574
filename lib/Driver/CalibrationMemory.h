// The memory that a calibration will take at its peak, counted from the arrays
// that are there together. States of tokens and factors of other layers lie in
// the store's files (CalibrationStore.h), so it does not grow with the text.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_DRIVER_CALIBRATIONMEMORY_H
#define QOPT_LIB_DRIVER_CALIBRATIONMEMORY_H

#include "lib/Calibrate/CalibrationSamples.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/ArrayRef.h"
#include <cstdint>
#include <string>

namespace qopt::driver {

/// Bytes, by what they are for.
struct CalibrationMemory {
  int64_t process = 0; ///< what this process has already
  int64_t weights = 0; ///< of the file, and their codes
  /// What the largest layer needs while it is differentiated or rounded.
  int64_t layer = 0;

  int64_t peak() const { return process + weights + layer; }
};

/// Of the layers of a CalibrationModel that runs on `samples`.
CalibrationMemory predictMemory(llvm::ArrayRef<mlir::func::FuncOp> segments,
                                const calibrate::CalibrationSamples &samples);

/// "calibration takes about 1.2 GB of memory: …".
std::string spellMemory(const CalibrationMemory &memory);

} // namespace qopt::driver

#endif // QOPT_LIB_DRIVER_CALIBRATIONMEMORY_H
