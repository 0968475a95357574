// Where a calibration keeps what it has done: a folder whose name is a digest
// of everything that the results depend on, the compiler itself included.
//
//   $XDG_CACHE_HOME/qopt/calibration/<digest>     or below ~/.cache; below
//                                                 `options.store`, where given
//
// Where none can be made there, or another process works in it, a temporary one
// serves.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_DRIVER_STOREFOLDER_H
#define QOPT_LIB_DRIVER_STOREFOLDER_H

#include "lib/Codegen/TemporaryFolder.h"
#include "lib/Driver/PrecisionPlan.h"
#include "mlir/IR/BuiltinOps.h"
#include "qopt/CompileOptions.h"
#include <memory>

namespace qopt::driver {

class StoreFolder {
public:
  /// For the calibration of a raised model. Unwritable where `options.store`
  /// is given and cannot be written.
  static StatusOr<StoreFolder> open(mlir::ModuleOp raised,
                                    const CompileOptions &options,
                                    const CalibrationRecord &text);

  StoreFolder(StoreFolder &&other) noexcept;
  ~StoreFolder();

  const std::string &path() const { return folder; }

private:
  StoreFolder() = default;
  std::string folder;
  int lock = -1; ///< a file that is locked while this lives
  std::unique_ptr<codegen::TemporaryFolder> temporary; ///< where that is it
};

} // namespace qopt::driver

#endif // QOPT_LIB_DRIVER_STOREFOLDER_H
