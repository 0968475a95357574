// How every public function of qopt says that it failed: a code that a program
// can branch on and a message that a person can act on. No exception crosses
// this interface and nothing aborts.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_STATUS_H
#define QOPT_STATUS_H

#include <optional>
#include <string>
#include <utility>

namespace qopt {

/// What kind of thing went wrong. The values are stable: the C API and the
/// tools' exit codes are made from them.
enum class StatusCode {
  Ok = 0,
  InvalidArgument = 1, ///< an option, shape, type or name that the caller gave
  NotFound = 2,        ///< a file, tensor or symbol that does not exist
  BadModel = 3,        ///< the source model is damaged or breaks its own rules
  Unsupported = 4,     ///< valid, but this build cannot do it
  Infeasible = 5,      ///< the asked budget, format or context cannot be met
  BadArtifact = 6,     ///< an artifact that is damaged or of another version
  OutOfResources = 7,  ///< memory, cache pages or disk space
  GateFailed = 8,      ///< a quality limit that was asked for is not met
  Cancelled = 9,
  Internal = 10,     ///< a defect of qopt, or a kernel that failed on a GPU
  Unwritable = 11,   ///< an output that cannot be made where it was asked for
  DeviceFailed = 12, ///< a GPU that is busy or has failed
};

/// The outcome of an operation: `Ok`, or a code with a message in lower case
/// that names the thing, what was expected, what came, and the next step where
/// there is one.
class [[nodiscard]] Status {
public:
  Status() = default;
  Status(StatusCode code, std::string message)
      : statusCode(code), text(std::move(message)) {}

  bool ok() const { return statusCode == StatusCode::Ok; }
  explicit operator bool() const { return ok(); }
  StatusCode code() const { return statusCode; }
  const std::string &message() const { return text; }

private:
  StatusCode statusCode = StatusCode::Ok;
  std::string text;
};

/// A value, or the status that says why there is none.
template <typename T> class [[nodiscard]] StatusOr {
public:
  StatusOr(T value) : content(std::move(value)) {}
  StatusOr(Status status) : failure(std::move(status)) {}

  bool ok() const { return content.has_value(); }
  explicit operator bool() const { return ok(); }
  const Status &status() const { return failure; }
  T &operator*() { return *content; }
  const T &operator*() const { return *content; }
  T *operator->() { return &*content; }
  const T *operator->() const { return &*content; }

private:
  std::optional<T> content;
  Status failure;
};

} // namespace qopt

/// Leaves the calling function with the status of `expression` unless it is ok.
#define QOPT_RETURN_IF_ERROR(expression)                                       \
  do {                                                                         \
    if (::qopt::Status qoptStatus = (expression); !qoptStatus.ok())            \
      return qoptStatus;                                                       \
  } while (false)

#endif // QOPT_STATUS_H
