// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/OutputFile.h"

#include <atomic>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>
#include <utility>

namespace qopt::runtime {

/// A file without a name in the folder of `path`; -1 where the file system has
/// none.
static int openUnnamed(const std::string &path) {
  size_t slash = path.rfind('/');
  std::string folder = slash == std::string::npos ? "."
                       : slash == 0               ? "/"
                                                  : path.substr(0, slash);
  return ::open(folder.c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666);
}

StatusOr<OutputFile> OutputFile::create(const std::string &path) {
  // The name is unique to this process, a number tells several files apart.
  static std::atomic<unsigned> files = 0;
  std::string temporary = path + ".partial-" + std::to_string(::getpid()) +
                          "-" + std::to_string(files++);
  ::unlink(temporary.c_str());
  int file = openUnnamed(path);
  bool named =
      file < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL);
  if (named)
    file = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
                  0666);
  if (file < 0)
    return Status(StatusCode::Unwritable,
                  "cannot write '" + path + "': " + std::strerror(errno) +
                      "; choose a folder that exists and is writable");
  return OutputFile(path, std::move(temporary), file, named);
}

OutputFile::OutputFile(std::string target, std::string temporary, int file,
                       bool named)
    : target(std::move(target)), temporary(std::move(temporary)), file(file),
      named(named) {}

OutputFile::OutputFile(OutputFile &&other) noexcept
    : target(std::move(other.target)), temporary(std::move(other.temporary)),
      file(std::exchange(other.file, -1)), named(other.named) {}

OutputFile::~OutputFile() {
  if (file < 0)
    return;
  ::close(file);
  if (named)
    ::unlink(temporary.c_str());
}

Status OutputFile::failure(const char *action) const {
  std::string text = std::string("cannot ") + action + " '" + target +
                     "': " + std::strerror(errno);
  if (errno == ENOSPC || errno == EDQUOT || errno == EFBIG)
    return Status(StatusCode::OutOfResources,
                  text + "; free space there or choose another folder");
  return Status(StatusCode::Unwritable, text);
}

std::string OutputFile::readablePath() const {
  return named ? temporary : "/proc/self/fd/" + std::to_string(file);
}

/// Names an open file; false, with errno, where that could not be done.
static bool giveName(const std::string &readable, const std::string &path) {
  return ::linkat(AT_FDCWD, readable.c_str(), AT_FDCWD, path.c_str(),
                  AT_SYMLINK_FOLLOW) == 0;
}

Status OutputFile::publish() {
  // A link replaces nothing. Where there is nothing to replace it is the one
  // step; else a second name is there for a moment, which SIGKILL would leave.
  bool published = !named && giveName(readablePath(), target);
  if (!named && !published) {
    if (errno != EEXIST || !giveName(readablePath(), temporary))
      return failure("name the finished file");
    named = true;
  }
  if (!published && ::rename(temporary.c_str(), target.c_str()) != 0)
    return failure("rename the finished file to");
  named = false;
  int closing = std::exchange(file, -1);
  return ::close(closing) == 0 ? Status() : failure("write");
}

} // namespace qopt::runtime
