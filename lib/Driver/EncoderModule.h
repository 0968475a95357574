// The files of an encoder-decoder that together encode a source: the encoder,
// and the decoder without a past, which has the projections of the encoder's
// result to the keys and values that every later step attends to.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_DRIVER_ENCODERMODULE_H
#define QOPT_LIB_DRIVER_ENCODERMODULE_H

#include "lib/Import/Onnx/LocateModel.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "qopt/CompileOptions.h"
#include "llvm/ADT/StringSet.h"

namespace qopt::driver {

struct EncoderFiles {
  import::ModelPart encoder, decoder;
};

/// The functions "encoder" and "decoder" of one module, as RaiseEncoder takes
/// them. A source has no paddings, since it is alone in its call: the encoder's
/// attention_mask is ones and no argument.
StatusOr<mlir::OwningOpRef<mlir::ModuleOp>>
importEncoder(const EncoderFiles &files, mlir::MLIRContext &context);

/// Options that name weights are each for one of the two modules or for both;
/// each module gets those that it has weights for.
class PartFormats {
public:
  /// Leaves in `options` what is of the raised `module`.
  void keepOwn(mlir::ModuleOp module, CompileOptions &options);
  /// InvalidArgument for the first of what `options` ask that no module has
  /// kept.
  Status checkKept(const CompileOptions &options) const;

private:
  void keepMatching(const llvm::StringSet<> &weights,
                    std::vector<std::string> &entries);

  llvm::StringSet<> kept; ///< entries as they are written
};

} // namespace qopt::driver

#endif // QOPT_LIB_DRIVER_ENCODERMODULE_H
