// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/InputFile.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace qopt::runtime {

static Status cannotRead(StatusCode code, const std::string &path,
                         const char *why) {
  return Status(code, "cannot read '" + path + "': " + why);
}

StatusOr<InputFile> InputFile::open(const std::string &path) {
  // A name with a zero byte would be another file's.
  if (path.find('\0') != std::string::npos)
    return cannotRead(StatusCode::NotFound, path.c_str(),
                      "the name has a zero byte");
  // Without O_NONBLOCK a pipe would wait here for somebody to write.
  InputFile input(
      path, ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (input.file < 0)
    return cannotRead(StatusCode::NotFound, path, std::strerror(errno));
  struct stat info;
  if (::fstat(input.file, &info) != 0)
    return cannotRead(StatusCode::NotFound, path, std::strerror(errno));
  if (!S_ISREG(info.st_mode))
    return cannotRead(StatusCode::NotFound, path,
                      S_ISDIR(info.st_mode)
                          ? "it is a folder; expected a regular file"
                      : S_ISFIFO(info.st_mode) || S_ISSOCK(info.st_mode)
                          ? "it is a pipe; expected a regular file"
                          : "it is a device; expected a regular file");
  input.bytes = size_t(info.st_size);
  return input;
}

InputFile::~InputFile() {
  if (file >= 0)
    ::close(file);
}

StatusOr<std::span<const uint8_t>> InputFile::map() const {
  if (bytes == 0)
    return std::span<const uint8_t>();
  void *address = ::mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE, file, 0);
  if (address == MAP_FAILED)
    return cannotRead(StatusCode::OutOfResources, path, std::strerror(errno));
  return std::span(static_cast<const uint8_t *>(address), bytes);
}

StatusOr<std::string> InputFile::text() const {
  if (bytes > (size_t(1) << 30))
    return Status(StatusCode::Unsupported,
                  "'" + path + "' is larger than 1 GiB, too long for a text");
  std::string result(bytes, '\0');
  size_t done = 0;
  while (done < bytes) {
    ssize_t got = ::read(file, result.data() + done, bytes - done);
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0)
      return cannotRead(StatusCode::NotFound, path, std::strerror(errno));
    if (got == 0) // it became shorter meanwhile
      break;
    done += size_t(got);
  }
  result.resize(done);
  return result;
}

} // namespace qopt::runtime
