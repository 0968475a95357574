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

/// Where states are while they are written.
static std::string partOf(const std::string &path) { return path + ".part"; }

StatusOr<TokenStates> TokenStates::create(const std::string &path) {
  TokenStates states;
  states.file = ::open(partOf(path).c_str(),
                       O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (states.file < 0)
    return fileError("write", path);
  states.path = path;
  return states;
}

/// Behind the last sequence: the type and the sizes, and how many these are.
Status TokenStates::finish() {
  std::vector<int64_t> trailer = shape;
  trailer.push_back(int64_t(type));
  trailer.push_back(int64_t(shape.size()));
  off_t end = ::lseek(file, 0, SEEK_END);
  auto size = ssize_t(trailer.size() * sizeof(int64_t));
  if (end < 0 || ::pwrite(file, trailer.data(), size_t(size), end) != size)
    return fileError("write", path);
  if (::rename(partOf(path).c_str(), path.c_str()) != 0)
    return fileError("write", path);
  isFinished = true;
  return Status();
}

StatusOr<TokenStates> TokenStates::open(const std::string &path) {
  TokenStates states;
  states.file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  states.path = path;
  states.isFinished = true;
  off_t end = states.file < 0 ? -1 : ::lseek(states.file, 0, SEEK_END);
  int64_t last[2] = {};
  constexpr int64_t most = 8; // dimensions
  if (end < off_t(sizeof last) ||
      ::pread(states.file, last, sizeof last, end - off_t(sizeof last)) < 0 ||
      last[1] < 1 || last[1] > most)
    return fileError("read", path);
  states.type = DType(last[0]);
  states.shape.resize(size_t(last[1]));
  off_t sizesAt = end - off_t(sizeof(int64_t)) * (last[1] + 2);
  if (sizesAt < 0 ||
      ::pread(states.file, states.shape.data(),
              states.shape.size() * sizeof(int64_t), sizesAt) < 0)
    return fileError("read", path);
  states.bytes = int64_t(sizeOf(states.type));
  for (int64_t size : states.shape)
    states.bytes *= size;
  return states;
}

TokenStates::TokenStates(TokenStates &&other) noexcept {
  *this = std::move(other);
}

TokenStates &TokenStates::operator=(TokenStates &&other) noexcept {
  std::swap(path, other.path);
  std::swap(file, other.file);
  std::swap(isFinished, other.isFinished);
  std::swap(type, other.type);
  std::swap(shape, other.shape);
  std::swap(bytes, other.bytes);
  return *this;
}

TokenStates::~TokenStates() {
  if (file < 0)
    return;
  ::close(file);
  if (!isFinished)
    ::unlink(partOf(path).c_str());
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
