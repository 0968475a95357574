// Puts the parts of an artifact together: weights and constants, machine code,
// the plan, the tokenizer and the manifest.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_DRIVER_ARTIFACTBUILDER_H
#define QOPT_LIB_DRIVER_ARTIFACTBUILDER_H

#include "lib/Driver/Companions.h"
#include "lib/Driver/PrecisionPlan.h"
#include "mlir/IR/BuiltinOps.h"
#include "qopt/Compiler.h"
#include <functional>

namespace qopt::driver {

/// What an artifact is made for.
enum class ArtifactUse {
  Serving,
  /// To be looked at: it is as large as the other and has the same plan, but no
  /// weight is read, and their bytes are holes.
  Sizes,
};

/// What an artifact is made of beside its module.
struct ArtifactParts {
  const CompileOptions &options;
  /// Those without a model are of a function that the compiler runs itself.
  const Companions &companions;
  /// Optional: why weights have their formats; recorded.
  const PrecisionPlan *precision = nullptr;
  /// Optional: opens the artifact when all else of it is written, and says what
  /// it does; an error leaves nothing behind.
  std::function<StatusOr<ValidationSummary>(const std::string &path)> measure =
      {};
  ArtifactUse use = ArtifactUse::Serving;
  /// Optional, with ArtifactUse::Sizes: receives what writing would take of
  /// memory at a time, beside what this compilation has taken.
  uint64_t *workingBytes = nullptr;
  /// Optional, of a decoder that attends across sequences: what encodes their
  /// sources, and the files that it is from.
  mlir::ModuleOp encoder = {};
  std::vector<std::string> encoderFiles = {};
};

/// Writes the artifact of a module that consists of kernels. Fills what the
/// summary says of weights, sizes and what was measured.
Status buildArtifact(mlir::ModuleOp module, const ArtifactParts &parts,
                     const Progress &progress, CompileSummary &summary);

} // namespace qopt::driver

#endif // QOPT_LIB_DRIVER_ARTIFACTBUILDER_H
