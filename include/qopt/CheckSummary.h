// What is known of a compilation before it is made: no weight has been read for
// it, and nothing written.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_CHECKSUMMARY_H
#define QOPT_CHECKSUMMARY_H

#include "qopt/CompileSummary.h"

namespace qopt {

/// What becomes of the nodes of one operator.
struct OperatorCheck {
  std::string op, domain; ///< `domain` is empty for ONNX's own operators
  int64_t opset = 0;      ///< 0: the model names none of that domain
  int64_t nodes = 0;
  int64_t families = 0; ///< nodes that are done by kernels of families
  int64_t generic = 0;  ///< by generated ones
  int64_t absorbed = 0; ///< that are part of others, or constants
  bool isSupported = true;
};

/// Something for which the compilation would fail.
struct CheckProblem {
  StatusCode code = StatusCode::Ok;
  std::string node, op, domain; ///< empty: it is of no node
  int64_t opset = 0;
  std::string reason;
  std::string nextStep; ///< may be empty
};

/// A remark of a pass on what it did not do, in so many places.
struct MissedFusion {
  std::string what, reason;
  std::string first; ///< the node of the first place
  int64_t places = 0;
};

/// External data that is not there.
struct AbsentFile {
  std::string file; ///< below the model's folder
  uint64_t bytes = 0;
  int64_t tensors = 0;
};

/// Part of what serving takes.
struct ServingPart {
  std::string what;
  uint64_t bytes = 0;
};

struct CheckSummary {
  /// What compile would say; the number of bytes of the artifact is that of the
  /// one which would be written. Of a part that was not reached it says
  /// nothing.
  CompileSummary compilation;
  std::string family;    ///< as a file beside the model says: "llama"; or empty
  bool isRaised = false; ///< layers are known
  bool isComplete = false; ///< formats, memory and speed are known, too
  std::vector<std::string> unraised; ///< why layers, or all, are no decoder's
  std::vector<OperatorCheck> operators;
  std::vector<MissedFusion> missed;
  std::vector<AbsentFile> absent;
  std::vector<std::string> unchecked; ///< options that only compile checks
  std::vector<CheckProblem> problems;

  /// Of the process that compiles, at its peak; calibration and validation not
  /// counted.
  uint64_t compileBytes = 0;
  /// Of the weights, and of a decoder that serves `batch` sequences of
  /// `context` positions: on the target's device.
  std::vector<ServingPart> serving;
  int64_t batch = 1, context = 0;
};

} // namespace qopt

#endif // QOPT_CHECKSUMMARY_H
