// What the opaque handles of the C interface hold, and the wall that no
// exception passes.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_C_HANDLES_H
#define QOPT_RUNTIME_C_HANDLES_H

#include "qopt/Engine.h"
#include "qopt/Session.h"
#include "qopt/Tokenizer.h"
#include "qopt/qopt.h"

#include <exception>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <string>
#include <vector>

// NOLINTBEGIN(readability-identifier-naming): the names are those of qopt.h.
struct qopt_artifact {
  std::shared_ptr<const qopt::Artifact> artifact;
  /// C strings of the dimensions, for qopt_tensor_spec.
  std::vector<std::vector<const char *>> inputDimensions, outputDimensions;
};

struct qopt_session {
  std::unique_ptr<qopt::Session> session;
};

struct qopt_results {
  std::vector<qopt::Tensor> tensors;
};

struct qopt_engine {
  std::unique_ptr<qopt::Engine> engine;
  std::mutex loading;                       ///< of the tokenizer
  std::optional<qopt::Tokenizer> tokenizer; ///< made when it is first needed
  std::vector<qopt_event> events;
  std::vector<int32_t> encoded;
  std::string decoded;
};

struct qopt_generation {
  qopt::GenerateResult result;
  std::string text;
  size_t promptTokens = 0;
};

// NOLINTEND(readability-identifier-naming)

namespace qopt::c {

/// Keeps the message for qopt_last_error and returns the code.
qopt_status report(const Status &status);

/// Runs `body`, which returns a Status, and turns all it may throw into one.
template <typename Body> qopt_status guarded(const Body &body) {
  try {
    return report(body());
  } catch (const std::bad_alloc &) {
    return report(Status(StatusCode::OutOfResources, "out of memory"));
  } catch (const std::exception &error) {
    return report(Status(StatusCode::Internal, error.what()));
  } catch (...) {
    return report(Status(StatusCode::Internal, "unknown exception"));
  }
}

/// What a caller's callback returns; where it throws, the status that ends the
/// call.
template <typename Callback> StatusOr<int> answerOf(const Callback &callback) {
  try {
    return callback();
  } catch (...) {
    return Status(StatusCode::Internal, "the callback threw an exception");
  }
}

/// The tensors of an array, by no more than one beyond what the model has: that
/// one is a mistake, which the session names.
StatusOr<std::vector<TensorView>> viewsOf(const qopt_tensor *tensors,
                                          size_t count,
                                          const std::vector<TensorSpec> &specs);

/// The error of a null argument.
inline Status missing(const char *name) {
  return Status(StatusCode::InvalidArgument,
                std::string(name) + " must not be NULL");
}

} // namespace qopt::c

#endif // QOPT_RUNTIME_C_HANDLES_H
