// The work of qopt-kernel behind an interface without MLIR's types: one kernel
// of a family from a problem in words, and a record of how it is launched.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TOOLS_QOPTKERNEL_KERNELTOOL_H
#define QOPT_TOOLS_QOPTKERNEL_KERNELTOOL_H

#include "qopt/Status.h"

#include <string>
#include <vector>

namespace qopt::kernel_tool {

struct KernelRequest {
  std::string family;               ///< skinny_linear, …
  std::vector<std::string> problem; ///< "tokens=1", "weights=int4_g128", …
  std::string schedule;             ///< "stages=6,grid=128" to change it
  std::string arch = "sm_90a";
  bool assemble = true; ///< as far as there is a ptxas
};

/// What is made. The record is JSON that names the other files by `name`.
struct MadeKernel {
  std::string symbol;
  std::string gpu; ///< the kernel as MLIR
  std::string ptx, cubin, sass, record;
  std::string note; ///< why there is no cubin or no disassembly; else empty
};

/// Errors of the request are InvalidArgument or what the family says; one that
/// spills, uses local memory or has an advisory is Infeasible.
StatusOr<MadeKernel> makeKernel(const KernelRequest &request,
                                const std::string &name);

/// The families, each with the words of its problem and schedule.
std::string listFamilies();

} // namespace qopt::kernel_tool

#endif // QOPT_TOOLS_QOPTKERNEL_KERNELTOOL_H
