// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/ActivationOption.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringRef.h"

using llvm::StringRef;

namespace qopt::driver {

static const char *const hostFormats[] = {"int8", "fp8_e4m3", "int8_tensor",
                                          "fp8_e4m3_tensor", "int8_g32_sf32"};
static const char *const gpuFormats[] = {"int8"};

static bool isType(StringRef text, bool forGpu) {
  return text == "f16" || text == "bf16" || (text == "f32" && !forGpu);
}

static Status refuse(const CompileOptions &options, bool forGpu) {
  return Status(StatusCode::InvalidArgument,
                "--activations is \"" + options.activations + "\"; expected " +
                    (forGpu ? "f16, bf16, int8 or bf16,int8"
                            : "f32, f16, bf16, int8, fp8_e4m3, int8_tensor, "
                              "fp8_e4m3_tensor or int8_g32_sf32") +
                    " for this target");
}

StatusOr<ActivationOption>
parseActivationOption(const CompileOptions &options) {
  bool forGpu = options.target == TargetDevice::Cuda;
  ActivationOption option;
  if (forGpu)
    option.type = "f16";
  StringRef left = options.activations, codes = left;
  if (left.empty())
    codes = forGpu ? "" : "int8_g32_sf32";
  else if (auto [type, rest] = left.split(','); isType(type, forGpu)) {
    option.type = type.str();
    codes = rest;
    if (codes.empty() && left.contains(','))
      return refuse(options, forGpu);
  }
  if (codes.empty())
    return option;
  bool known = forGpu ? llvm::is_contained(gpuFormats, codes)
                      : llvm::is_contained(hostFormats, codes);
  if (!known)
    return refuse(options, forGpu);
  option.format = *quant::parseFormat(codes.str());
  return option;
}

std::string hostActivations(const CompileOptions &options) {
  if (options.target == TargetDevice::Host)
    return options.activations;
  auto option = parseActivationOption(options);
  if (!option.ok())
    return options.activations;
  return option->type +
         (option->hasCodes() ? "," + quant::spell(option->format) : "");
}

} // namespace qopt::driver
