// What an output may replace: nothing that is read, and nothing that is not of
// the kind that is written. Whatever else has the name of an output is
// somebody's file.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TOOLS_CLI_OUTPUTFILES_H
#define QOPT_TOOLS_CLI_OUTPUTFILES_H

#include "qopt/Status.h"

#include <string>
#include <vector>

namespace qopt::cli {

/// What the tools write, each told by how it begins.
enum class OutputKind {
  Npy,          ///< one NumPy array
  Npz,          ///< a zip file of such arrays
  EvalReport,   ///< JSON of qopt-eval
  EvalPage,     ///< HTML of qopt-eval
  BenchReport,  ///< JSON, CSV or Markdown of qopt-bench
  Mlir,         ///< a module as text or bytecode
  Ptx,          ///< PTX as text
  Cubin,        ///< machine code of a GPU
  KernelRecord, ///< JSON of qopt-kernel
  Plan,         ///< JSON of qopt-compile
};

/// Refuses an output that exists and
/// - is one of `inputs`, or read because of one: a model and its folder stand
///   for the models, artifacts, configurations and tokenizer there, and for
///   every file there whose name is in a model (its external data);
/// - is no regular file (Unwritable), or does not begin as `kind` does.
/// Two paths that do not exist yet are compared as names. Empty paths are none.
Status checkOutput(const std::string &option, const std::string &output,
                   OutputKind kind, const std::vector<std::string> &inputs);

/// Refuses one file for two outputs. Empty paths are none.
Status checkOutputsDiffer(const std::string &option, const std::string &output,
                          const std::string &otherOption,
                          const std::string &other);

} // namespace qopt::cli

#endif // QOPT_TOOLS_CLI_OUTPUTFILES_H
