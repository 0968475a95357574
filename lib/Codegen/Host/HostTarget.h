// Which machine the generated host code is for: a name that a user writes
// ("x86-64-v3"), and what LLVM makes of it. It knows nothing of the machine
// that compiles: code for another architecture is made the same way.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_CODEGEN_HOST_HOSTTARGET_H
#define QOPT_LIB_CODEGEN_HOST_HOSTTARGET_H

#include "qopt/Status.h"
#include "llvm/ADT/StringRef.h"

#include <string>

namespace qopt::codegen {

/// A processor family that object code is made for.
struct HostTarget {
  std::string name;     ///< as the user writes it and the object records it
  std::string triple;   ///< LLVM's target triple
  std::string cpu;      ///< LLVM's processor name
  std::string features; ///< LLVM's feature string, mostly empty
  bool nativeHalf;      ///< f16 <-> f32 conversion is an instruction
};

/// The target that artifacts are made for when the user names none: x86-64-v3
/// (AVX2, FMA, F16C).
HostTarget defaultHostTarget();

/// Finds a target by its name: x86-64-v2, x86-64-v3, x86-64-v4 or aarch64.
StatusOr<HostTarget> parseHostTarget(llvm::StringRef name);

} // namespace qopt::codegen

#endif // QOPT_LIB_CODEGEN_HOST_HOSTTARGET_H
