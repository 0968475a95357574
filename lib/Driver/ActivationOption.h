// What `--activations` says: the type of values between kernels, and the format
// of what linears read. "f32", "bf16", "int8", "fp8_e4m3", "bf16,int8".
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_DRIVER_ACTIVATIONOPTION_H
#define QOPT_LIB_DRIVER_ACTIVATIONOPTION_H

#include "lib/Quant/Format.h"
#include "qopt/CompileOptions.h"
#include "qopt/Status.h"

#include <string>
#include <vector>

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

/// What --max-latency chooses from, the most exact first: the target's values
/// as they are, then codes with scales that are computed.
std::vector<std::string> activationCandidates(TargetDevice target);

/// Bytes of a token's `columns` values.
int64_t tokenBytes(const quant::Format &format, int64_t columns);

/// Whether a linear multiplies codes of `reads` by a weight in this format, on
/// the host and on GPUs alike; values as they are by any.
bool readsActivations(const quant::Format &weight, const quant::Format &reads);

/// InvalidArgument where an entry of --activation-format is none of them.
Status checkActivationFormats(const CompileOptions &options);

/// The option for the host that computes what the target computes, up to the
/// order of sums.
std::string hostActivations(const CompileOptions &options);

} // namespace qopt::driver

#endif // QOPT_LIB_DRIVER_ACTIVATIONOPTION_H
