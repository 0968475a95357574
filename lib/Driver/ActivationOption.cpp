// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/ActivationOption.h"
#include "lib/Quant/Element.h"
#include "lib/Quant/Storage.h"
#include "runtime/host/QuantizedActivations.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
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

std::vector<std::string> activationCandidates(TargetDevice target) {
  if (target == TargetDevice::Cuda)
    return {"f16", "int8"};
  return {"f32", "int8_g32_sf32", "int8", "fp8_e4m3"};
}

int64_t tokenBytes(const quant::Format &format, int64_t columns) {
  if (format.isFloat())
    return columns * quant::bitsOf(format.element) / 8;
  return columns + quant::groupsPerRow(format, columns) * 4;
}

bool readsActivations(const quant::Format &weight, const quant::Format &reads) {
  auto codes = host::activationCodes(reads);
  return reads.isFloat() || (codes && host::readsCodes(weight, *codes));
}

Status checkActivationFormats(const CompileOptions &options) {
  auto candidates = activationCandidates(options.target);
  for (StringRef entry : options.activationFormats)
    if (!llvm::is_contained(candidates, entry.rsplit('=').second))
      return Status(StatusCode::InvalidArgument,
                    "--activation-format is \"" + entry.str() +
                        "\"; expected NAME=FORMAT or re:PATTERN=FORMAT with "
                        "one of " +
                        llvm::join(candidates, ", ") + " for this target");
  return Status();
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
