// What `--activations` says: the type of values between kernels, and the format
// of what linears read. "f32", "bf16", "int8", "fp8_e4m3", "bf16,int8".
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_DRIVER_ACTIVATIONOPTION_H
#define QOPT_LIB_DRIVER_ACTIVATIONOPTION_H

#include "lib/Quant/Format.h"
#include "qopt/CompileOptions.h"
#include "qopt/Status.h"

#include <string>

namespace qopt::driver {

struct ActivationOption {
  std::string type = "f32"; ///< f32, f16 or bf16
  /// Of what linears read whose weights are multiplied by such codes; f32: all
  /// of them read values of `type`.
  quant::Format format;

  bool hasCodes() const { return !format.isFloat(); }
  /// One scale for all tokens, which is measured on a text.
  bool isStatic() const {
    return format.granularity == quant::Granularity::Tensor;
  }
};

/// InvalidArgument where the target has no such activations.
StatusOr<ActivationOption> parseActivationOption(const CompileOptions &options);

/// The option for the host that computes what the target computes, up to the
/// order of sums.
std::string hostActivations(const CompileOptions &options);

} // namespace qopt::driver

#endif // QOPT_LIB_DRIVER_ACTIVATIONOPTION_H
