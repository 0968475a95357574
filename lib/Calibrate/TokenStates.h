// A vector for each token of each calibration sequence: what a layer reads, or
// the gradient of what it gives. All of them together are larger than the
// layer, so they lie in a file, and memory holds one sequence at a time.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_CALIBRATE_TOKENSTATES_H
#define QOPT_LIB_CALIBRATE_TOKENSTATES_H

#include "qopt/Status.h"
#include "qopt/Tensor.h"
#include <cstdint>
#include <string>

namespace qopt::calibrate {

class TokenStates {
public:
  TokenStates() = default;
  /// States that will be the file `path`: until `finish` they lie beside it and
  /// go with this. Sequences of one shape are written in any order.
  /// OutOfResources on a full disk, else Unwritable.
  static StatusOr<TokenStates> create(const std::string &path);
  /// The states of a finished file.
  static StatusOr<TokenStates> open(const std::string &path);
  TokenStates(TokenStates &&other) noexcept;
  TokenStates &operator=(TokenStates &&other) noexcept;
  ~TokenStates();

  Status write(int64_t sequence, const TensorView &values);
  /// All sequences are written: the file gets its name, and stays.
  Status finish();
  /// The values of a sequence that was written; the tensor is called `name`.
  StatusOr<Tensor> read(int64_t sequence, const std::string &name) const;

private:
  std::string path;
  int file = -1;
  bool isFinished = false;
  DType type = DType::F32;
  std::vector<int64_t> shape;
  int64_t bytes = 0; ///< of a sequence
};

} // namespace qopt::calibrate

#endif // QOPT_LIB_CALIBRATE_TOKENSTATES_H
