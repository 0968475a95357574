// The compiler as a library: a model file in, an artifact out. The runtime that
// loads artifacts does not need it.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_COMPILER_H
#define QOPT_COMPILER_H

#include "qopt/BlameSummary.h"
#include "qopt/CheckSummary.h"
#include "qopt/CompileOptions.h"
#include "qopt/CompileSummary.h"
#include "qopt/Status.h"
#include <functional>
#include <string>
#include <vector>

namespace qopt {

/// Called while weights are written: a name and the share done, 0 to 1.
using Progress = std::function<void(const std::string &what, double done)>;

/// Called with what a person wants to know before minutes pass, one message or
/// more: what a calibration is made of and what memory it will take.
using Notice = std::function<void(const std::string &message)>;

/// The artifact of a model where none is named: in the current folder, called
/// like the file, or like the folder that was given: "models/tiny" becomes
/// "tiny.qopt".
std::string defaultOutput(const std::string &model);

/// Compiles `options.model` into `options.output`, by default the one above,
/// which appears only when it is complete. GateFailed, with every limit and
/// what was found, where one is missed.
StatusOr<CompileSummary> compile(const CompileOptions &options,
                                 const Progress &progress = {},
                                 const Notice &notice = {});

/// Which layers of the artifact that `compile` would write lose most, on the
/// texts of `options.validate`, else the part of `options.calibrate` that no
/// algorithm sees. Takes two evaluations for each layer, or four of many
/// tokens; writes nothing.
StatusOr<BlameSummary> blame(const CompileOptions &options,
                             const Progress &progress = {},
                             const Notice &notice = {});

/// What `compile` would do, without reading a weight: of external data that is
/// missing the summary says which files. Fails for options that nothing can be
/// compiled with; all else that compile would fail for is a problem of the
/// summary, all that are found before one hides the others. `options.batch` is
/// of the memory that serving takes, with or without a budget; of a budget is
/// checked whether any plan meets it, and all that is said is of the smallest.
StatusOr<CheckSummary> check(const CompileOptions &options);

/// The IR of a stage before Artifact as text; bytes of weights are elided.
/// `summary`, where given, receives the layers, remarks and warnings.
StatusOr<std::string> emitStage(const CompileOptions &options, Stage stage,
                                CompileSummary *summary = nullptr);

/// The kernels that an artifact for GPUs would have, and what a decode step is
/// predicted to take. No weight is read and nothing is written.
StatusOr<CompileSummary> describeKernels(const CompileOptions &options);

/// What a decode step is predicted to take on each of
/// `options.architectures`, or on the host that `options.hostRates` describes;
/// empty for a graph. No weight is read and no code is made.
StatusOr<std::vector<StepSummary>> predictSteps(const CompileOptions &options);

} // namespace qopt

#endif // QOPT_COMPILER_H
