// What a tool that runs artifacts does with a model that is not compiled yet:
// the qopt-compile beside it makes an artifact for this one run. The tool
// itself stays without a compiler.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TOOLS_CLI_COMPILEMODEL_H
#define QOPT_TOOLS_CLI_COMPILEMODEL_H

#include "qopt/Artifact.h"

#include <memory>
#include <string>
#include <vector>

namespace qopt::cli {

/// Compiles `model` (an .onnx file or its folder) as qopt-compile does by
/// itself, for the kind of `device` (EngineOptions::device), and opens the
/// result as `options` says, of which no file remains. Fails with NotFound
/// where there is no qopt-compile beside this program, else as qopt-compile
/// does.
StatusOr<std::shared_ptr<const Artifact>>
compileAndOpen(const std::string &model, const OpenOptions &options,
               const std::string &device);

/// Runs qopt-compile with these arguments and gives what it printed; fails as
/// compileAndOpen does.
StatusOr<std::string> runCompiler(const std::vector<std::string> &arguments);

/// A folder in that of TMPDIR, which goes with all that is in it.
class TemporaryFolder {
public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder &) = delete;
  TemporaryFolder &operator=(const TemporaryFolder &) = delete;

  /// OutOfResources on a full disk, else Unwritable, where it could not be
  /// made.
  Status made() const;
  std::string file(const std::string &name) const { return path + "/" + name; }

private:
  std::string parent, path;
  int error = 0;
};

} // namespace qopt::cli

#endif // QOPT_TOOLS_CLI_COMPILEMODEL_H
