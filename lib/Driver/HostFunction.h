// A function of the IR that the compiler itself runs, on this machine: compiled
// as any graph is, loaded and called.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_DRIVER_HOSTFUNCTION_H
#define QOPT_LIB_DRIVER_HOSTFUNCTION_H

#include "lib/Driver/ArtifactBuilder.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "qopt/CompileOptions.h"
#include "qopt/Session.h"
#include "qopt/Status.h"
#include <memory>
#include <string>
#include <vector>

namespace qopt::driver {

/// Writes the artifact of a model that is as the stage "quantize" leaves it for
/// the host; a decoder has its context. Errors of passes are the context's
/// diagnostics, and Internal.
Status buildForHost(mlir::ModuleOp module, const ArtifactParts &parts);

class HostFunction {
public:
  /// Compiles a graph that is as the stage "quantize" leaves it; `func` itself
  /// stays as it is. The artifact lies in `folder` until it is loaded. Errors
  /// of passes are the context's diagnostics, and Internal.
  static StatusOr<HostFunction> compile(mlir::func::FuncOp func,
                                        const CompileOptions &options,
                                        const std::string &folder);

  /// Inputs by name (attribute qopt.name of the arguments); results in order.
  StatusOr<std::vector<Tensor>> run(const std::vector<TensorView> &inputs) {
    return session->run(inputs);
  }

private:
  explicit HostFunction(std::unique_ptr<Session> session)
      : session(std::move(session)) {}
  std::unique_ptr<Session> session;
};

} // namespace qopt::driver

#endif // QOPT_LIB_DRIVER_HOSTFUNCTION_H
