// How far arrays are from what was expected.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TOOLS_QOPTRUN_COMPARETENSORS_H
#define QOPT_TOOLS_QOPTRUN_COMPARETENSORS_H

#include "lib/Io/Npy.h"
#include "qopt/Tensor.h"
#include "tools/qopt-run/RunOptions.h"

#include <string>
#include <vector>

namespace qopt::run {

/// Whether `path` is meant as arrays: it ends in .npy or .npz.
bool isArrayFile(const std::string &path);

/// The arrays of a .npz file, or the one of a .npy file.
StatusOr<std::vector<Tensor>> readArrays(const std::string &path);

/// The array `name` or `prefix` + `name`; null where there is none.
const Tensor *findArray(const std::vector<Tensor> &arrays,
                        const std::string &prefix, const std::string &name);

/// InvalidArgument names the first array of `path` that is none of `names`: in
/// a file that has names behind `prefix`, of those; in another, of all.
Status refuseOthers(const std::vector<Tensor> &arrays,
                    const std::string &prefix,
                    const std::vector<std::string> &names,
                    const std::string &path, const std::string &what);

/// Prints, for each of `outputs` that `expected` has, max |difference| and that
/// over max |expected|. GateFailed where this exceeds `options.tolerance`;
/// InvalidArgument, before anything is printed, where a shape differs or
/// `expected` has none of them.
Status compareTensors(const std::vector<Tensor> &outputs,
                      const std::vector<Tensor> &expected,
                      const RunOptions &options);

} // namespace qopt::run

#endif // QOPT_TOOLS_QOPTRUN_COMPARETENSORS_H
