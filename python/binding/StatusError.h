// A failed Status on its way through C++ to Python's qopt.Error.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_PYTHON_BINDING_STATUSERROR_H
#define QOPT_PYTHON_BINDING_STATUSERROR_H

#include "qopt/Status.h"

#include <nanobind/nanobind.h>

#include <exception>
#include <string>
#include <utility>

namespace qopt::python {

class StatusError : public std::exception {
public:
  explicit StatusError(Status status) : status(std::move(status)) {}
  const char *what() const noexcept override {
    return status.message().c_str();
  }
  const Status status;
};

/// Makes the module being initialised raise qopt.Error for StatusError.
void registerStatusError();

inline void check(const Status &status) {
  if (!status.ok())
    throw StatusError(status);
}

template <typename T> T valueOf(StatusOr<T> result) {
  check(result.status());
  return std::move(*result);
}

} // namespace qopt::python

#endif // QOPT_PYTHON_BINDING_STATUSERROR_H
