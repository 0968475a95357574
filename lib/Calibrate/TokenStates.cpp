// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Calibrate/TokenStates.h"
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>
#include <utility>

namespace qopt::calibrate {

/// What went wrong with the file, from errno.
static Status fileError(const std::string &what, const std::string &path) {
  int error = errno;
  StatusCode code = error == ENOSPC || error == EDQUOT
                        ? StatusCode::OutOfResources
                        : StatusCode::Unwritable;
  return Status(code,
                "cannot " + what + " '" + path + "': " + std::strerror(error));
}

StatusOr<TokenStates> TokenStates::create(const std::string &path) {
  TokenStates states;
  states.file =
      ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (states.file < 0)
    return fileError("write", path);
  states.path = path;
  return states;
}

TokenStates::TokenStates(TokenStates &&other) noexcept {
  *this = std::move(other);
}

TokenStates &TokenStates::operator=(TokenStates &&other) noexcept {
  std::swap(path, other.path);
  std::swap(file, other.file);
  std::swap(type, other.type);
  std::swap(shape, other.shape);
  std::swap(bytes, other.bytes);
  return *this;
}

TokenStates::~TokenStates() {
  if (file < 0)
    return;
  ::close(file);
  ::unlink(path.c_str());
}

Status TokenStates::write(int64_t sequence, const TensorView &values) {
  if (shape.empty()) {
    type = values.type;
    shape = values.shape;
    bytes = int64_t(sizeOf(type));
    for (int64_t size : shape)
      bytes *= size;
  }
  auto *from = static_cast<const char *>(values.data);
  for (int64_t done = 0; done < bytes;) {
    ssize_t count = ::pwrite(file, from + done, size_t(bytes - done),
                             sequence * bytes + done);
    if (count < 0 && errno == EINTR)
      continue;
    if (count < 0)
      return fileError("write", path);
    done += count;
  }
  return Status();
}

StatusOr<Tensor> TokenStates::read(int64_t sequence,
                                   const std::string &name) const {
  Tensor values(name, type, shape);
  for (int64_t done = 0; done < bytes;) {
    ssize_t count = ::pread(file, values.as<char>() + done,
                            size_t(bytes - done), sequence * bytes + done);
    if (count < 0 && errno == EINTR)
      continue;
    if (count < 0)
      return fileError("read", path);
    if (count == 0)
      return Status(StatusCode::Internal, "'" + path + "' has no sequence " +
                                              std::to_string(sequence));
    done += count;
  }
  return values;
}

} // namespace qopt::calibrate
