// Whether a workload fits this machine. A session takes memory as its cache
// fills; a measurement fills all that it asks for, so it can be refused before
// it begins.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TOOLS_QOPTBENCH_WORKLOADMEMORY_H
#define QOPT_TOOLS_QOPTBENCH_WORKLOADMEMORY_H

#include "runtime/ResidentMemory.h"
#include "tools/qopt-bench/Measurement.h"

namespace qopt::bench {

/// What the workload serves at once.
runtime::ServedBatch servedBatch(const Workload &workload);

/// OutOfResources where cache, steps and tokens of the workload are more than
/// this machine has left; names each and what makes them fewer. The memory of
/// another device is its own: Engine::create compares with that.
Status checkMemory(const Artifact &artifact, const Workload &workload);

} // namespace qopt::bench

#endif // QOPT_TOOLS_QOPTBENCH_WORKLOADMEMORY_H
