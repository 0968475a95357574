// A model of several files becomes one artifact: each file is compiled by
// itself, and what that gave is joined here. A segment that an earlier part
// has, byte for byte, is stored once, so that the files of an encoder-decoder
// share their weights again.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_DRIVER_JOINARTIFACTS_H
#define QOPT_LIB_DRIVER_JOINARTIFACTS_H

#include "qopt/CompileSummary.h"
#include "qopt/Status.h"
#include "llvm/ADT/ArrayRef.h"
#include <string>

namespace qopt::driver {

/// A graph artifact for the host with one function, and what that is called in
/// the whole.
struct JoinedPart {
  std::string name, path;
};

/// Writes `output` with the functions of `parts` in their order. Its manifest
/// is the first part's, with the names of all files and the digest of their
/// digests. Fills what `summary` says of
/// weights and sizes, each weight once.
Status joinArtifacts(llvm::ArrayRef<JoinedPart> parts,
                     const std::string &output, CompileSummary &summary);

} // namespace qopt::driver

#endif // QOPT_LIB_DRIVER_JOINARTIFACTS_H
