// A program of text (Settings.h), compiled for its target, run there, and
// compared with the reference.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TEST_RANDOM_PROGRAM_H
#define QOPT_TEST_RANDOM_PROGRAM_H

#include "Settings.h"
#include "lib/Codegen/TemporaryFolder.h"
#include "mlir/IR/MLIRContext.h"
#include "qopt/Tensor.h"
#include "runtime/Device.h"

#include <memory>
#include <string>

namespace qopt::programs {

/// What came of a program.
struct Outcome {
  enum class Kind {
    Agrees,
    Differs, ///< a number is farther from the reference than its bound
    Fails,   ///< it is not read, not compiled, or a run ends with an error
  };
  Kind kind = Kind::Agrees;
  std::string message; ///< of what is wrong; names run and place
  int64_t runs = 0;    ///< that were compared
  int64_t numbers = 0, unbounded = 0;
  /// Of all numbers the largest distance beside its bound.
  double worst = 0;
  /// Of each run the mean bound beside the largest number.
  std::vector<double> looseness;

  bool isGood() const { return kind == Kind::Agrees; }
  /// Whether a smaller program has gone wrong in the same way.
  bool isLike(const Outcome &other) const;
};

/// Compiles and runs one program after the other.
class Machine {
public:
  Machine() : folder("qopt-random") {}
  /// `slack` multiplies all bounds: 1, but to try this tool itself.
  Outcome check(const std::string &text, double slack = 1);

private:
  class Check;
  std::shared_ptr<runtime::Device> device; ///< of the last program
  codegen::TemporaryFolder folder;
  /// Of some programs: it keeps all constants that it has seen.
  std::unique_ptr<mlir::MLIRContext> context;
  int programs = 0; ///< of this context
};

} // namespace qopt::programs

#endif // QOPT_TEST_RANDOM_PROGRAM_H
