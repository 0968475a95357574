// A caller's tensors by the names of a function's signature.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_NAMEDTENSORS_H
#define QOPT_RUNTIME_NAMEDTENSORS_H

#include "qopt/Artifact.h"
#include "runtime/plan/SymbolValues.h"

namespace qopt::runtime {

/// Inputs in the order of the signature.
struct GivenInputs {
  SymbolInputs sizes;
  std::vector<void *> pointers;
};

/// Finds every input by name and checks its type and rank.
StatusOr<GivenInputs> matchInputs(const std::vector<TensorSpec> &specs,
                                  const std::vector<TensorView> &tensors);

/// The tensor of that name and type, given once. `what` is "input" or "output".
StatusOr<const TensorView *> findTensor(const char *what,
                                        const TensorSpec &spec,
                                        const std::vector<TensorView> &tensors);

/// Where as many are `given` as the signature has it says nothing.
Status checkNames(const char *what, size_t given,
                  const std::vector<TensorView> &tensors,
                  const std::vector<TensorSpec> &specs);

} // namespace qopt::runtime

#endif // QOPT_RUNTIME_NAMEDTENSORS_H
