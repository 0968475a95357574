// What a calibration has done so far, in files of one folder, so that a run
// that was ended goes on where it was: the folder's name is a digest of all
// that the results depend on. An entry is there when it is complete, or not at
// all. What is large and soon of no use (states of tokens, factors) lies there
// too, and not in memory.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_DRIVER_CALIBRATIONSTORE_H
#define QOPT_LIB_DRIVER_CALIBRATIONSTORE_H

#include "lib/Calibrate/TokenStates.h"
#include "qopt/Status.h"
#include <span>
#include <string>
#include <vector>

namespace qopt::driver {

class CalibrationStore {
public:
  /// In a folder that is there.
  explicit CalibrationStore(std::string folder) : folder(std::move(folder)) {}

  bool has(const std::string &name) const;
  /// OutOfResources on a full disk, else Unwritable.
  Status put(const std::string &name, const std::string &bytes) const;
  StatusOr<std::string> get(const std::string &name) const;
  Status put(const std::string &name, const std::vector<float> &values) const;
  StatusOr<std::vector<float>> getFloats(const std::string &name) const;

  /// States to be written under a name; finish() makes an entry of them.
  StatusOr<calibrate::TokenStates> newStates(const std::string &name) const;
  StatusOr<calibrate::TokenStates> openStates(const std::string &name) const;

  void erase(const std::string &name) const;
  /// All entries whose name begins so.
  void eraseAll(const std::string &prefix) const;

private:
  std::string pathOf(const std::string &name) const;
  std::string folder;
};

} // namespace qopt::driver

#endif // QOPT_LIB_DRIVER_CALIBRATIONSTORE_H
