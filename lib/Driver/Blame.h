// Which layers of a quantized model lose most: each layer's weights in turn are
// those of the file, all others keep their codes, and what is measured is how
// much of the divergence from the unquantized model that takes away. A layer is
// what the pass CutLayers makes one function of.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_DRIVER_BLAME_H
#define QOPT_LIB_DRIVER_BLAME_H

#include "lib/Driver/ValidationSamples.h"
#include "lib/Driver/ValidationTexts.h"
#include "lib/Evaluate/ReferenceLogits.h"
#include "mlir/IR/OwningOpRef.h"
#include "qopt/BlameSummary.h"
#include "qopt/Compiler.h"

namespace qopt::driver {

class Blame {
public:
  /// `raised` has its context; `options` have the formats that were chosen;
  /// both and `companions` stay. Measured on `samples` of a graph, else on
  /// `windows`.
  Blame(mlir::ModuleOp raised, const CompileOptions &options,
        const Companions &companions, TokenWindows windows,
        std::optional<ValidationSamples> samples);

  /// `quantized` is the model with the codes of its artifact, as the stage
  /// quantize leaves it. InvalidArgument where no weight of it is quantized.
  /// Builds and runs two models for each layer, one at a time. Errors
  /// of passes are the context's diagnostics.
  StatusOr<BlameSummary> measure(mlir::ModuleOp quantized,
                                 const Progress &progress);

private:
  Status findLayers();
  StatusOr<mlir::OwningOpRef<mlir::ModuleOp>>
  restored(llvm::ArrayRef<std::string> weights, mlir::ModuleOp quantized) const;
  struct Distance {
    double divergence, perplexity, floor;
    double outputSize = 0; ///< of a graph
  };
  /// Of a model, with its floor or without it.
  enum class Floor : bool { Without, With };
  using Measure =
      std::function<StatusOr<Distance>(mlir::ModuleOp model, Floor floor)>;
  StatusOr<Distance> distanceOf(mlir::ModuleOp model,
                                eval::ReferenceLogits &reference,
                                Floor floor) const;
  StatusOr<Distance> distanceOf(mlir::ModuleOp model, Session &reference) const;
  StatusOr<BlameSummary> measureWith(const Measure &measure,
                                     mlir::ModuleOp quantized,
                                     const Progress &progress);

  mlir::ModuleOp raised;
  std::string device;
  CompileOptions options; ///< of a host
  const Companions &companions;
  TokenWindows windows;
  std::optional<ValidationSamples> samples; ///< of a graph
  std::vector<LayerBlame> layers;
};

} // namespace qopt::driver

#endif // QOPT_LIB_DRIVER_BLAME_H
