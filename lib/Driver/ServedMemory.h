// What an artifact takes in memory while it serves: of a decoder that is known
// from its context and a number of sequences, of a graph from the sizes of its
// inputs. Known from the file alone.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_DRIVER_SERVEDMEMORY_H
#define QOPT_LIB_DRIVER_SERVEDMEMORY_H

#include "lib/Calibrate/CalibrationSamples.h"
#include "qopt/Artifact.h"
#include "qopt/CompileOptions.h"
#include "runtime/ResidentMemory.h"

namespace qopt::driver {

/// An artifact that was written for its sizes.
StatusOr<std::shared_ptr<const Artifact>> openSized(const std::string &path);

/// --batch sequences as long as the context of a decoder.
runtime::ServedBatch servedBatch(const CompileOptions &options,
                                 const Artifact &artifact);

/// What a graph works in with --batch of the samples at once, beside weights
/// and its inputs and outputs, which are the caller's. InvalidArgument where
/// there are several and an input has no axis for them.
StatusOr<int64_t> graphWorkBytes(const Artifact &artifact,
                                 const CompileOptions &options,
                                 const calibrate::CalibrationSamples &samples);

/// All of it, with the weights, of the artifact at `path`; `samples` are needed
/// of a graph.
StatusOr<double> residentBytes(const CompileOptions &options,
                               const calibrate::CalibrationSamples *samples,
                               const std::string &path);

} // namespace qopt::driver

#endif // QOPT_LIB_DRIVER_SERVEDMEMORY_H
