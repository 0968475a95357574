// What is in an artifact, as a JSON document: the tool prints it, or a text
// made from it.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TOOLS_QOPTINSPECT_DESCRIBEARTIFACT_H
#define QOPT_TOOLS_QOPTINSPECT_DESCRIBEARTIFACT_H

#include "qopt/Artifact.h"
#include "runtime/plan/Plan_generated.h"

#include <map>
#include <nlohmann/json.hpp>
#include <string>

namespace qopt::inspect {

using Json = nlohmann::ordered_json;

/// Who made the artifact, from what, with which options.
Json describeManifest(const Artifact &artifact);

/// Sizes of a decoder, the signature of a graph, or those of several graphs.
StatusOr<Json> describeModel(const Artifact &artifact);

/// Every weight with its format and bytes, sums for each format, and the bits
/// per weight: of the codes alone (payload) and of everything that is stored.
Json describeWeights(const plan::Plan &plan);

/// Every GPU kernel of the code segments: what it is and what it needs of an
/// SM; registers and code are 0 where a segment is PTX alone.
Json describeKernels(const plan::Plan &plan);

Json describeSegments(const plan::Plan &plan);

/// Sizes that make a plan's dimensions numbers.
struct PlanSizes {
  int64_t tokens = 1;                        ///< of a decoder's step
  int64_t sequences = 1;                     ///< of a decoder's step
  std::map<std::string, int64_t> dimensions; ///< of a graph, by name; else 1
};

/// For each function: how often it has each kernel, the arena at `sizes` and
/// the least it could be, and every step with its operands and their bytes.
StatusOr<Json> describeFunctions(const Artifact &artifact,
                                 const PlanSizes &sizes);

} // namespace qopt::inspect

#endif // QOPT_TOOLS_QOPTINSPECT_DESCRIBEARTIFACT_H
