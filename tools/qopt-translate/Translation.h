// The work of qopt-translate behind an interface without MLIR's types, so that
// its command line is that of the other tools.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TOOLS_QOPTTRANSLATE_TRANSLATION_H
#define QOPT_TOOLS_QOPTTRANSLATE_TRANSLATION_H

#include "qopt/Status.h"

#include <string>

namespace qopt::translate {

struct TranslateOptions {
  std::string model;      ///< model.onnx or its folder
  bool sizes = false;     ///< each result's sizes as the attribute `sizes`
  bool locations = false; ///< where each op comes from
  bool weights = false;   ///< the bytes of weights, else "__elided__"
};

/// The model in the onnx dialect, as text.
StatusOr<std::string> importAsText(const TranslateOptions &options);

/// The kernels, in the dialects gpu, nvvm and ptx, of the function in the MLIR
/// file `path` that `qopt-cuda-lower-stage` has lowered, an architecture of
/// `arch` behind the other, as `qopt-compile --emit gpu` prints them.
/// InvalidArgument for an unknown one, BadModel for what is not MLIR or has no
/// such function, and what the kernels' generators say.
StatusOr<std::string> gpuOf(const std::string &path, const std::string &arch);

/// PTX for one architecture of the gpu.modules in the MLIR file `path`, else of
/// the kernels that OutlineKernels made (the module `kernels`, or all
/// functions), whose launches precede the text as comments.
/// InvalidArgument for an unknown one, BadModel for what is not MLIR or cannot
/// be compiled.
StatusOr<std::string> ptxOf(const std::string &path, const std::string &arch);

/// The operators that can be read, as a Markdown table.
std::string listOperators();

} // namespace qopt::translate

#endif // QOPT_TOOLS_QOPTTRANSLATE_TRANSLATION_H
