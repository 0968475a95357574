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
#include "llvm/ADT/STLFunctionalExtras.h"
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace qopt::driver {

/// Writes the artifact of a model that is as the stage "quantize" leaves it for
/// the host; a decoder has its context. Errors of passes are the context's
/// diagnostics, and Internal.
Status buildForHost(mlir::ModuleOp module, const ArtifactParts &parts);

/// What becomes of a function's weights once it is compiled.
enum class FunctionWeights {
  Fixed,
  Replaceable, ///< those of linears, where they are f32: HostFunction::replace
};

class HostFunction {
public:
  /// Compiles a graph that is as the stage "quantize" leaves it; `func` itself
  /// stays as it is. The artifact lies in `folder`, until it is loaded or, with
  /// replaceable weights, as long as this lives. Errors of passes are the
  /// context's diagnostics, and Internal.
  static StatusOr<HostFunction>
  compile(mlir::func::FuncOp func, const CompileOptions &options,
          const std::string &folder,
          FunctionWeights weights = FunctionWeights::Fixed);
  HostFunction(HostFunction &&other) noexcept
      : path(std::exchange(other.path, {})), threads(other.threads),
        session(std::move(other.session)), places(std::move(other.places)) {}
  HostFunction &operator=(HostFunction &&) = delete;
  ~HostFunction();

  /// Inputs by name (attribute qopt.name of the arguments); results in order.
  StatusOr<std::vector<Tensor>> run(const std::vector<TensorView> &inputs) {
    return session->run(inputs);
  }

  /// The values [rows, columns] of a weight, by its name; null: it stays.
  using ValuesOf = llvm::function_ref<const float *(llvm::StringRef name)>;
  /// Gives the weights of linears other values, those of their transposes
  /// included. Replaceable ones only.
  Status replace(const ValuesOf &values);

private:
  /// A linear's weight in the artifact: one of the model or several, one below
  /// the other.
  struct Place {
    struct Part {
      std::string name;
      int64_t rows, columns; ///< as the linear reads them
      bool isTransposed;     ///< of the weight of that name
    };
    std::vector<Part> parts;
    uint64_t offset; ///< in the file
  };

  HostFunction() = default;
  Status load();
  void findPlaces(mlir::ModuleOp module);

  std::string path; ///< of an artifact that stays; empty: there is none
  unsigned threads = 0;
  std::unique_ptr<Session> session;
  std::vector<Place> places;
};

} // namespace qopt::driver

#endif // QOPT_LIB_DRIVER_HOSTFUNCTION_H
