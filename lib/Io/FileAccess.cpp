// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Io/FileAccess.h"
#include "runtime/InputFile.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace qopt::io {

StatusOr<std::shared_ptr<const MappedFile>>
MappedFile::open(const std::string &path) {
  StatusOr<runtime::InputFile> file = runtime::InputFile::open(path);
  if (!file.ok())
    return file.status();
  StatusOr<std::span<const uint8_t>> mapped = file->map();
  if (!mapped.ok())
    return mapped.status();
  return std::shared_ptr<const MappedFile>(new MappedFile(*mapped));
}

MappedFile::~MappedFile() {
  if (!mapping.empty())
    ::munmap(const_cast<uint8_t *>(mapping.data()), mapping.size());
}

StatusOr<std::string> readText(const std::string &path) {
  StatusOr<runtime::InputFile> file = runtime::InputFile::open(path);
  return file.ok() ? file->text() : file.status();
}

/// What is read from `file` up to its end; waits where it does not block.
static StatusOr<std::string> readToEnd(int file, const std::string &path) {
  constexpr size_t most = size_t(1) << 30;
  std::string text;
  char piece[1 << 16];
  while (text.size() <= most) {
    ssize_t got = ::read(file, piece, sizeof piece);
    if (got == 0)
      return text;
    if (got > 0) {
      text.append(piece, size_t(got));
    } else if (errno == EAGAIN) {
      pollfd waited = {file, POLLIN, 0};
      ::poll(&waited, 1, -1);
    } else if (errno != EINTR) {
      return Status(StatusCode::NotFound,
                    "cannot read '" + path + "': " + std::strerror(errno));
    }
  }
  return Status(StatusCode::Unsupported,
                "'" + path + "' is larger than 1 GiB, too long for a text");
}

StatusOr<std::string> readTextOrPipe(const std::string &path) {
  struct stat info;
  bool isInput = path == "-";
  bool found = (isInput ? ::fstat(STDIN_FILENO, &info)
                        : ::stat(path.c_str(), &info)) == 0;
  bool isPipe = found && (S_ISFIFO(info.st_mode) || S_ISSOCK(info.st_mode));
  bool mayBeTerminal = found && S_ISCHR(info.st_mode);
  if (!isInput && !isPipe && !mayBeTerminal)
    return readText(path);
  int file = isInput ? ::dup(STDIN_FILENO)
                     : ::open(path.c_str(),
                              O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (file < 0)
    return Status(StatusCode::NotFound,
                  "cannot read '" + path + "': " + std::strerror(errno));
  StatusOr<std::string> text =
      isPipe || ::isatty(file) || (isInput && S_ISREG(info.st_mode))
          ? readToEnd(file, path)
          : Status(StatusCode::NotFound,
                   "cannot read '" + path +
                       "': it is a device; expected a file, a pipe or a "
                       "terminal");
  ::close(file);
  if (text.ok() && text->empty() && isPipe)
    return Status(StatusCode::NotFound,
                  "cannot read '" + path +
                      "': nothing was written to the pipe");
  return text;
}

StatusOr<std::unique_ptr<FileWriter>>
FileWriter::create(const std::string &path) {
  StatusOr<runtime::OutputFile> file = runtime::OutputFile::create(path);
  if (!file.ok())
    return file.status();
  return std::unique_ptr<FileWriter>(new FileWriter(std::move(*file)));
}

Status FileWriter::append(std::span<const uint8_t> bytes) {
  while (!bytes.empty()) {
    ssize_t written = ::write(file.descriptor(), bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR)
      continue;
    if (written < 0)
      return file.failure("write");
    bytes = bytes.subspan(size_t(written));
  }
  return {};
}

Status FileWriter::append(std::string_view text) {
  return append({reinterpret_cast<const uint8_t *>(text.data()), text.size()});
}

Status FileWriter::finish() { return file.publish(); }

} // namespace qopt::io
