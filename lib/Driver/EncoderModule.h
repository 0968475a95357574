// The files of an encoder-decoder that together encode a source: the encoder,
// and the decoder without a past, which has the projections of the encoder's
// result to the keys and values that every later step attends to.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_DRIVER_ENCODERMODULE_H
#define QOPT_LIB_DRIVER_ENCODERMODULE_H

#include "lib/Import/Onnx/LocateModel.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

namespace qopt::driver {

struct EncoderFiles {
  import::ModelPart encoder, decoder;
};

/// The functions "encoder" and "decoder" of one module, as RaiseEncoder takes
/// them. A source has no paddings, since it is alone in its call: the encoder's
/// attention_mask is ones and no argument.
StatusOr<mlir::OwningOpRef<mlir::ModuleOp>>
importEncoder(const EncoderFiles &files, mlir::MLIRContext &context);

} // namespace qopt::driver

#endif // QOPT_LIB_DRIVER_ENCODERMODULE_H
