// From PTX to machine code of GPUs, by NVIDIA's assembler as a process. Without
// one there is no machine code and the PTX goes out alone; that is a Status
// that says so, not a failure of the compilation.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_CODEGEN_CUDA_PTXAS_H
#define QOPT_LIB_CODEGEN_CUDA_PTXAS_H

#include "lib/Codegen/CodeCache.h"
#include "lib/Codegen/Cuda/KernelResources.h"
#include "lib/Target/Target.h"
#include "qopt/Status.h"

#include <string>
#include <vector>

namespace qopt::codegen {

/// One text to assemble for one architecture.
struct AssemblyJob {
  std::string ptx;
  const target::Target *target;
};

/// Machine code, and what is known of its kernels in the order of the text.
struct Assembly {
  std::string cubin;
  std::vector<KernelResources> kernels;
  bool cached; ///< it was there already
};

/// The assembler of this machine.
class Ptxas {
public:
  /// Finds it (QOPT_PTXAS, PATH, /usr/local/cuda/bin, the Python package) and
  /// asks for its version. NotFound when there is none; OutOfResources and
  /// Unwritable say that it could not be asked.
  static StatusOr<Ptxas> find();

  const std::string &path() const { return program; }
  /// "13.0.88"
  const std::string &version() const { return release; }

  /// Assembles all jobs, at most `threads` at once, and returns them in their
  /// order. The first error in that order is the error of the call.
  StatusOr<std::vector<Assembly>> assemble(const std::vector<AssemblyJob> &jobs,
                                           const CodeCache &cache,
                                           unsigned threads) const;

private:
  struct Output {
    std::string report; ///< what it printed
    std::string cubin;
  };

  Ptxas(std::string program, std::string release)
      : program(std::move(program)), release(std::move(release)) {}

  StatusOr<Assembly> assemble(const AssemblyJob &job,
                              const CodeCache &cache) const;
  std::string keyOf(const AssemblyJob &job) const;
  StatusOr<Output> run(const AssemblyJob &job) const;

  std::string program, release;
};

} // namespace qopt::codegen

#endif // QOPT_LIB_CODEGEN_CUDA_PTXAS_H
