// The sources that a calibration is made of, as a file says it:
//
//   {
//     "schema": "qopt-calibration-1",
//     "window": 512,
//     "sources": [
//       {"path": "books.txt", "weight": 3, "domain": "books"},
//       {"path": "code.npy", "domain": "code", "slice": "stress",
//        "sha256": "9f86d0…"},
//       …]
//   }
//
// Paths are relative to the file's folder and name texts or token ids (.npy),
// or for a graph, which has no window, its inputs (.npz). All but "schema",
// "sources" and "path" may be left out: windows have 512 tokens, or the model's
// context where that is less, weights are 1, a domain is called like its file,
// and a slice like its domain. Sources share the tokens of --calibrate-tokens
// by their weights; a slice is what limits of quality are applied to by itself,
// on its held-out windows.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_DRIVER_CALIBRATIONMANIFEST_H
#define QOPT_LIB_DRIVER_CALIBRATIONMANIFEST_H

#include "qopt/Status.h"
#include <cstdint>
#include <string>
#include <vector>

namespace qopt::driver {

struct ManifestSource {
  std::string path; ///< that can be opened
  std::string domain, slice;
  std::string sha256; ///< expected; empty: not said
  double weight = 1;
};

struct CalibrationManifest {
  int64_t window = 0; ///< 0: not said
  std::vector<ManifestSource> sources;

  /// Of `tokens`, the source's share by weight.
  int64_t tokensOf(size_t source, int64_t tokens) const;
};

/// Whether `path` is meant as a manifest and not as text: it ends in .json.
bool isManifest(const std::string &path);

/// `text` of the file `path`. InvalidArgument names the entry that is missing,
/// unknown, or not what is expected.
StatusOr<CalibrationManifest> parseManifest(const std::string &text,
                                            const std::string &path);

} // namespace qopt::driver

#endif // QOPT_LIB_DRIVER_CALIBRATIONMANIFEST_H
